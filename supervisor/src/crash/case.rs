//! What it takes to run into a crash again, as a file: `replay.json`. As secret as the table itself: it holds its state and its turns' seeds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use croupier_core::views::{Case, CaseTurn};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::registry::Plugin;

/// The version of the document.
pub const CASE_VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFile {
    /// [`CASE_VERSION`].
    pub case: u32,
    /// blake3 of the plugin's file.
    pub digest: String,
    /// The operator's settings for the plugin: the text of a JSON object.
    pub settings: String,
    /// What it was granted.
    pub permissions: Vec<String>,
    /// The session, unless it died before there was one.
    pub session: Option<SessionFile>,
}

/// A session up to where its worker died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFile {
    /// Its id.
    pub id: u64,
    /// Its snapshot, base64; none when it begins with its open turn.
    pub snapshot: Option<String>,
    /// Turns since.
    pub turns: Vec<TurnFile>,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnFile {
    /// Its number.
    pub seq: u64,
    /// `CROUPIER_TURN_*`.
    pub kind: u16,
    /// Who acted.
    pub player: u64,
    /// Its time.
    pub now_ns: u64,
    /// Its seed, hexadecimal.
    pub seed: String,
    /// What it was given, base64.
    pub payload: String,
    /// Host calls' answers: hash of what was asked (hexadecimal), status, answer (base64).
    pub calls: Vec<(String, i32, String)>,
    /// Its outcome hash, hexadecimal; none where there is none.
    pub outcome: Option<String>,
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("replay.json is damaged: {0} is not what it should be")]
pub struct BadCase(pub &'static str);

impl CaseFile {
    /// The document for a worker of this plugin.
    pub fn new(plugin: &Plugin, case: Option<&Case>) -> CaseFile {
        CaseFile {
            case: CASE_VERSION,
            digest: plugin.digest_hex(),
            settings: String::from_utf8_lossy(&plugin.spec.settings).into_owned(),
            permissions: plugin.permissions.clone(),
            session: case.map(|case| SessionFile {
                id: case.session.0,
                snapshot: case.snapshot.as_ref().map(|(_, bytes)| STANDARD.encode(bytes)),
                turns: case.turns.iter().map(turn).collect(),
            }),
        }
    }
}

fn turn(turn: &CaseTurn) -> TurnFile {
    let call = |call: &croupier_core::action::CallRecord| {
        (format!("{:016x}", call.asked), call.status, STANDARD.encode(&call.answer))
    };
    TurnFile {
        seq: turn.seq,
        kind: turn.kind,
        player: turn.player.0,
        now_ns: turn.now_ns,
        seed: hex::encode(turn.seed),
        payload: STANDARD.encode(&turn.payload),
        calls: turn.calls.iter().map(call).collect(),
        outcome: turn.outcome.map(|outcome| format!("{outcome:016x}")),
    }
}

/// Base64 back.
///
/// # Errors
/// [`BadCase`].
pub fn bytes(what: &'static str, text: &str) -> Result<Vec<u8>, BadCase> {
    STANDARD.decode(text).map_err(|_| BadCase(what))
}
