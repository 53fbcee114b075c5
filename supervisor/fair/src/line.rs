//! One line of a transcript, and the one way to write it.
//!
//! The `Raw…` types mirror the JSON; the public types are those of the chain. Nothing here knows what a line may follow: see [`crate::verify`].

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::chain::{Header, Linked, Record, TickRun};
use crate::entry::{Effect, Entry, Verdict};
use crate::keys::ServerPublic;
use crate::seal::AuditorPublic;
use crate::seed::ServerSeed;
use crate::text::{Blob, Hex};
use crate::transcript::{Close, Reveal};

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The first.
    Header {
        /// What is known before the first turn.
        header: Header,
        /// `h_0`.
        hash: [u8; 32],
    },
    /// Any in between.
    Record(Linked),
    /// The last.
    Close {
        /// How it ended.
        close: Close,
        /// ed25519 over [`Close::message`].
        signature: [u8; 64],
    },
}

/// The one way to write this line, line feed included.
pub fn render(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(&RawLine::from(line))
        .expect("a line has only texts, numbers, lists and text keys");
    bytes.push(b'\n');
    bytes
}

/// Reads a line without its line feed. The error is for a person.
pub fn parse(bytes: &[u8]) -> Result<Line, String> {
    let raw: RawLine = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    raw.try_into()
}

/// A line as JSON has it: one of the first four members, then one of the last two.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<RawTurn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticks: Option<TickRun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    close: Option<RawClose>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<Hex<32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Hex<64>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTurn {
    seq: u64,
    kind: u16,
    player: u64,
    now_ns: u64,
    payload: Blob,
    client_seed: Blob,
    calls: Vec<RawCall>,
    outcome: RawOutcome,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCall {
    status: i32,
    answer: Blob,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RawOutcome {
    Done { reply: Blob, effects: Vec<RawEffect> },
    Failed { status: i32, text: String },
    Poison,
    Skipped { ticks: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RawEffect {
    Send { to: u64, message: Blob },
    Emit { topic: String, event: Blob },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClose {
    reason: String,
    records: u64,
    turns: u64,
    final_hash: Hex<32>,
    reveal: RawReveal,
    server_key: Hex<32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum RawReveal {
    Public(Hex<32>),
    Sealed {
        #[serde(rename = "box")]
        sealed: String,
        auditor: Hex<32>,
    },
    Withheld,
}

impl From<&Line> for RawLine {
    fn from(line: &Line) -> RawLine {
        match line {
            Line::Header { header, hash } => {
                RawLine { header: Some(header.clone()), hash: Some(Hex(*hash)), ..RawLine::default() }
            }
            Line::Record(Linked { record: Record::Turn(entry), hash }) => {
                RawLine { turn: Some(entry.into()), hash: Some(Hex(*hash)), ..RawLine::default() }
            }
            Line::Record(Linked { record: Record::Ticks(run), hash }) => {
                RawLine { ticks: Some(run.clone()), hash: Some(Hex(*hash)), ..RawLine::default() }
            }
            Line::Close { close, signature } => {
                RawLine { close: Some(close.into()), signature: Some(Hex(*signature)), ..RawLine::default() }
            }
        }
    }
}

impl TryFrom<RawLine> for Line {
    type Error = String;

    fn try_from(raw: RawLine) -> Result<Line, String> {
        let RawLine { header, turn, ticks, close, hash, signature } = raw;
        match (header, turn, ticks, close, hash, signature) {
            (Some(header), None, None, None, Some(hash), None) => Ok(Line::Header { header, hash: hash.0 }),
            (None, Some(turn), None, None, Some(hash), None) => {
                Ok(Line::Record(Linked { record: Record::Turn(turn.into()), hash: hash.0 }))
            }
            (None, None, Some(run), None, Some(hash), None) => {
                Ok(Line::Record(Linked { record: Record::Ticks(run), hash: hash.0 }))
            }
            (None, None, None, Some(close), None, Some(signature)) => {
                Ok(Line::Close { close: close.try_into()?, signature: signature.0 })
            }
            _ => Err("expected one of header, turn, ticks with a hash, or close with a signature".to_owned()),
        }
    }
}

impl From<&Entry> for RawTurn {
    fn from(entry: &Entry) -> RawTurn {
        RawTurn {
            seq: entry.seq,
            kind: entry.kind,
            player: entry.player,
            now_ns: entry.now_ns,
            payload: Blob(entry.payload.clone()),
            client_seed: Blob(entry.client_seed.clone()),
            calls: entry.calls.iter().map(raw_call).collect(),
            outcome: (&entry.verdict).into(),
        }
    }
}

fn raw_call((status, answer): &(i32, Arc<[u8]>)) -> RawCall {
    RawCall { status: *status, answer: Blob(answer.clone()) }
}

impl From<RawTurn> for Entry {
    fn from(raw: RawTurn) -> Entry {
        Entry {
            seq: raw.seq,
            kind: raw.kind,
            player: raw.player,
            now_ns: raw.now_ns,
            payload: raw.payload.0,
            client_seed: raw.client_seed.0,
            calls: raw.calls.into_iter().map(|call| (call.status, call.answer.0)).collect(),
            verdict: raw.outcome.into(),
        }
    }
}

impl From<&Verdict> for RawOutcome {
    fn from(verdict: &Verdict) -> RawOutcome {
        match verdict {
            Verdict::Done { reply, effects } => RawOutcome::Done {
                reply: Blob(reply.clone()),
                effects: effects.iter().map(RawEffect::from).collect(),
            },
            Verdict::Failed { status, text } => RawOutcome::Failed { status: *status, text: text.clone() },
            Verdict::Poison => RawOutcome::Poison,
            Verdict::Skipped { ticks } => RawOutcome::Skipped { ticks: *ticks },
        }
    }
}

impl From<RawOutcome> for Verdict {
    fn from(raw: RawOutcome) -> Verdict {
        match raw {
            RawOutcome::Done { reply, effects } => {
                Verdict::Done { reply: reply.0, effects: effects.into_iter().map(Effect::from).collect() }
            }
            RawOutcome::Failed { status, text } => Verdict::Failed { status, text },
            RawOutcome::Poison => Verdict::Poison,
            RawOutcome::Skipped { ticks } => Verdict::Skipped { ticks },
        }
    }
}

impl From<&Effect> for RawEffect {
    fn from(effect: &Effect) -> RawEffect {
        match effect {
            Effect::Send { to, message } => RawEffect::Send { to: *to, message: Blob(message.clone()) },
            Effect::Emit { topic, event } => {
                RawEffect::Emit { topic: topic.clone(), event: Blob(event.clone()) }
            }
        }
    }
}

impl From<RawEffect> for Effect {
    fn from(raw: RawEffect) -> Effect {
        match raw {
            RawEffect::Send { to, message } => Effect::Send { to, message: message.0 },
            RawEffect::Emit { topic, event } => Effect::Emit { topic, event: event.0 },
        }
    }
}

impl From<&Close> for RawClose {
    fn from(close: &Close) -> RawClose {
        RawClose {
            reason: close.reason.clone(),
            records: close.records,
            turns: close.turns,
            final_hash: Hex(close.final_hash),
            reveal: match &close.reveal {
                Reveal::Public(seed) => RawReveal::Public(Hex(*seed.expose())),
                Reveal::Sealed { sealed, auditor } => {
                    RawReveal::Sealed { sealed: STANDARD.encode(sealed), auditor: Hex(auditor.0) }
                }
                Reveal::Withheld => RawReveal::Withheld,
            },
            server_key: Hex(close.server_key.0),
        }
    }
}

impl TryFrom<RawClose> for Close {
    type Error = String;

    fn try_from(raw: RawClose) -> Result<Close, String> {
        let reveal = match raw.reveal {
            RawReveal::Public(seed) => Reveal::Public(ServerSeed::from_bytes(seed.0)),
            RawReveal::Sealed { sealed, auditor } => Reveal::Sealed {
                sealed: STANDARD
                    .decode(sealed)
                    .map_err(|error| format!("the sealed seed is not base64: {error}"))?,
                auditor: AuditorPublic(auditor.0),
            },
            RawReveal::Withheld => Reveal::Withheld,
        };
        Ok(Close {
            reason: raw.reason,
            records: raw.records,
            turns: raw.turns,
            final_hash: raw.final_hash.0,
            reveal,
            server_key: ServerPublic(raw.server_key.0),
        })
    }
}
