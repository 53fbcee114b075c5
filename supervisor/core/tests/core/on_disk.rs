//! What a session's entries on the disk say, for those who look at them from outside.

use croupier_core::durable::Change;
use croupier_fair::entry;

/// The last turn on the disk, and turns that asked the platform and have no outcome there.
pub(crate) fn known(changes: &[(u64, Change)]) -> (u64, Vec<u64>) {
    let mut last = 0;
    let mut asking = Vec::new();
    for (_, change) in changes {
        match change {
            Change::Played(played) => last = played.turn.seq,
            Change::Snapshot(kept) => last = last.max(kept.side.last_seq),
            Change::Parked(parked) => last = parked.side.last_seq,
            Change::Asking(ask) => asking.push(ask.turn.seq),
            _ => {}
        }
    }
    asking.retain(|seq| *seq > last);
    (last, asking)
}

pub(crate) fn is_parked(changes: &[(u64, Change)]) -> bool {
    changes.iter().any(|(_, change)| matches!(change, Change::Parked(_)))
}

/// A turn on the disk as a line of the transcript, which a driver writes when its own file lacks it.
pub(crate) fn line(change: &Change) -> Option<entry::Entry> {
    use croupier_core::durable::{Effect, Verdict};
    let Change::Played(played) = change else { return None };
    let effect = |effect: &Effect| match effect.clone() {
        Effect::Send { to, message } => entry::Effect::Send { to, message },
        Effect::Emit { topic, event } => entry::Effect::Emit { topic, event },
    };
    let turn = &played.turn;
    Some(entry::Entry {
        seq: turn.seq,
        kind: turn.kind,
        player: turn.player,
        now_ns: turn.now_ns,
        payload: turn.payload.clone(),
        client_seed: turn.client_seed.clone(),
        calls: turn.calls.iter().map(|(_, status, answer)| (*status, answer.clone())).collect(),
        verdict: match &played.verdict {
            Verdict::Done { reply, .. } => entry::Verdict::Done {
                reply: reply.clone(),
                effects: played.outputs.iter().map(effect).collect(),
            },
            Verdict::Failed { status, text, .. } => {
                entry::Verdict::Failed { status: *status, text: text.clone() }
            }
            Verdict::Poison => entry::Verdict::Poison,
            Verdict::Skipped { ticks } => entry::Verdict::Skipped { ticks: *ticks },
        },
    })
}
