//! A session as a JSON document: enough to restore it elsewhere, and for a person to look at. Never holds the server seed.
//!
//! Bytes that are UTF-8 text stand as `{"text": …}`, others as `{"base64": …}`; hashes and digests in hexadecimal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use croupier_core::views::{Export, ExportRecord, SessionView};
use serde::Serialize;

/// The version of the document.
pub const EXPORT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    export: u32,
    plugin: &'a str,
    digest: String,
    state_version: u32,
    session: Session<'a>,
    snapshot: Option<Snapshot>,
    records: Vec<Record>,
    unanswered: Vec<Record>,
    clients: Vec<Client>,
}

#[derive(Serialize)]
struct Session<'a> {
    id: u64,
    state: &'a str,
    held: Option<&'a str>,
    epoch: u64,
    commit: String,
    players: Vec<u64>,
    seq: u64,
    opened_ns: u64,
    tick_ns: u64,
    poison: u32,
}

#[derive(Serialize)]
struct Snapshot {
    seq: u64,
    bytes: Bytes,
}

#[derive(Serialize)]
struct Record {
    seq: u64,
    count: u64,
    what: &'static str,
    kind: u16,
    player: u64,
    now_ns: u64,
    payload: Bytes,
    calls: Vec<Call>,
    outcome: String,
}

#[derive(Serialize)]
struct Call {
    asked: String,
    status: i32,
    answer: Bytes,
}

#[derive(Serialize)]
struct Client {
    client: String,
    last_key: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Bytes {
    Text(String),
    Base64(String),
}

impl Bytes {
    fn of(bytes: &[u8]) -> Bytes {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Base64(STANDARD.encode(bytes)),
        }
    }
}

fn session(view: &SessionView) -> Session<'_> {
    Session {
        id: view.session.0,
        state: view.state,
        held: view.held.as_deref(),
        epoch: view.epoch,
        commit: hex::encode(view.commit),
        players: view.players.iter().map(|player| player.0).collect(),
        seq: view.seq,
        opened_ns: view.opened_ns,
        tick_ns: view.tick_ns,
        poison: view.poison,
    }
}

fn record(record: &ExportRecord) -> Record {
    Record {
        seq: record.seq,
        count: record.count,
        what: record.what,
        kind: record.kind,
        player: record.player.0,
        now_ns: record.now_ns,
        payload: Bytes::of(&record.payload),
        calls: record
            .calls
            .iter()
            .map(|call| Call {
                asked: format!("{:016x}", call.asked),
                status: call.status,
                answer: Bytes::of(&call.answer),
            })
            .collect(),
        outcome: format!("{:016x}", record.outcome),
    }
}

/// The document.
pub fn to_json(plugin: &str, export: &Export) -> String {
    let document = Document {
        export: EXPORT_VERSION,
        plugin,
        digest: hex::encode(export.digest),
        state_version: export.state_version,
        session: session(&export.view),
        snapshot: export
            .snapshot
            .as_ref()
            .map(|(seq, bytes)| Snapshot { seq: *seq, bytes: Bytes::of(bytes) }),
        records: export.records.iter().map(record).collect(),
        unanswered: export.unanswered.iter().map(record).collect(),
        clients: export
            .clients
            .iter()
            .map(|(client, last)| Client { client: format!("{:016x}", client.0), last_key: *last })
            .collect(),
    };
    serde_json::to_string_pretty(&document).expect("no map with keys other than strings is in it")
}
