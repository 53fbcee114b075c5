//! Entries as JSON, for people and programs. Never holds a seed: whoever has a session's can foretell the game, and of a game with hidden information see what was hidden.
//!
//! Bytes that are UTF-8 text stand as `{"text": …}`, others as `{"base64": …}`; digests in hexadecimal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use croupier_core::durable::{
    Answer, Change, Effect, KeyOnRecord, OnRecord, Recorded, Shot, Side, Turn, Verdict,
};
use croupier_core::ids::SessionId;
use serde_json::{Value, json};

/// One entry, as one JSON object.
pub fn entry(game: &str, session: SessionId, at: u64, what: &Change) -> Value {
    json!({ "game": game, "session": session.0, "at": at, "change": change(what) })
}

fn change(change: &Change) -> Value {
    match change {
        Change::Opened(opened) => json!({ "opened": {
            "opened_ns": opened.opened_ns, "tick_ns": opened.tick_ns, "idle_ns": opened.idle_ns,
            "queue_max": opened.queue_max,
        } }),
        Change::Played(played) => json!({ "played": {
            "digest": hex::encode(played.digest), "epoch": played.epoch, "turn": turn(&played.turn),
            "key": played.key.map(key), "verdict": verdict(&played.verdict),
            "outputs": played.outputs.iter().map(effect).collect::<Vec<_>>(),
        } }),
        Change::Asking(asking) => json!({ "asking": {
            "turn": turn(&asking.turn), "key": asking.key.map(key),
        } }),
        Change::Snapshot(kept) => json!({ "snapshot": {
            "seq": kept.seq, "bytes": bytes(&kept.bytes), "state_version": kept.state_version,
            "digest": hex::encode(kept.digest), "side": side(&kept.side),
        } }),
        Change::Parked(parked) => json!({ "parked": {
            "digest": hex::encode(parked.digest), "side": side(&parked.side),
            "snapshots": parked.snapshots.iter().flatten().map(shot).collect::<Vec<_>>(),
            "records": parked.records.iter().map(on_record).collect::<Vec<_>>(),
        } }),
        Change::SnapshotDropped => json!("snapshot-dropped"),
        Change::Pruned { from } => json!({ "pruned": { "from": from } }),
        Change::Held { reason } => json!({ "held": { "reason": reason } }),
        Change::Ended(ended) => json!({ "ended": {
            // Whom its seed is revealed to is the transcript's business.
            "reason": ended.reason.word(),
            "answers": ended.answers.iter().map(answer).collect::<Vec<_>>(),
        } }),
    }
}

fn side(side: &Side) -> Value {
    json!({
        "last_seq": side.last_seq, "last_now_ns": side.last_now_ns, "epoch": side.epoch,
        "players": side.seats.iter().map(|(player, _)| player).collect::<Vec<_>>(),
        "ticks": side.ticks, "poison": side.poison, "last_output": side.last_output,
        "answers": side.answers.iter().map(answer).collect::<Vec<_>>(),
    })
}

fn shot(shot: &Shot) -> Value {
    json!({
        "seq": shot.seq, "bytes": bytes(&shot.bytes), "state_version": shot.state_version,
        "digest": hex::encode(shot.digest),
    })
}

fn on_record(on: &OnRecord) -> Value {
    let what = match &on.what {
        Recorded::Turn(of, outcome) => json!({ "turn": turn(of), "outcome": format!("{outcome:016x}") }),
        Recorded::Poison(of) => json!({ "poison": turn(of) }),
        Recorded::Ticks { first_seq, count, first_now_ns, period_ns, outcome, .. } => json!({ "ticks": {
            "first_seq": first_seq, "count": count, "first_now_ns": first_now_ns, "period_ns": period_ns,
            "outcome": format!("{outcome:016x}"),
        } }),
        Recorded::Skipped { seq, now_ns, ticks } => {
            json!({ "skipped": { "seq": seq, "now_ns": now_ns, "ticks": ticks } })
        }
    };
    json!({ "digest": hex::encode(on.digest), "epoch": on.epoch, "what": what })
}

fn turn(turn: &Turn) -> Value {
    let calls: Vec<Value> = turn
        .calls
        .iter()
        .map(|(asked, status, answer)| {
            json!({ "asked": format!("{asked:016x}"), "status": status, "answer": bytes(answer) })
        })
        .collect();
    json!({
        "seq": turn.seq, "kind": turn.kind, "player": turn.player, "now_ns": turn.now_ns,
        "payload": bytes(&turn.payload), "client_seed": hex::encode(&turn.client_seed), "calls": calls,
    })
}

fn verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Done { reply, retries, outcome } => json!({ "done": {
            "reply": bytes(reply), "retries": retries, "outcome": format!("{outcome:016x}"),
        } }),
        Verdict::Failed { status, text, outcome } => json!({ "failed": {
            "status": status, "text": text, "outcome": format!("{outcome:016x}"),
        } }),
        Verdict::Poison => json!("poison"),
        Verdict::Skipped { ticks } => json!({ "skipped": { "ticks": ticks } }),
    }
}

fn effect(effect: &Effect) -> Value {
    match effect {
        Effect::Send { to, message } => json!({ "send": { "to": to, "message": bytes(message) } }),
        Effect::Emit { topic, event } => json!({ "emit": { "topic": topic, "event": bytes(event) } }),
    }
}

fn answer(answer: &Answer) -> Value {
    json!({
        "key": key(answer.key), "seq": answer.seq, "now_ns": answer.now_ns, "verdict": verdict(&answer.verdict),
    })
}

fn key((client, number, body): KeyOnRecord) -> Value {
    json!({ "client": format!("{client:016x}"), "number": number, "body": format!("{body:016x}") })
}

fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}
