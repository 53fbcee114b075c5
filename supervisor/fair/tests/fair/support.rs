//! Sessions to test with: one that has everything, and random ones.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use croupier_fair::chain::Header;
use croupier_fair::entry::{Effect, Entry, Verdict};
use croupier_fair::keys::ServerKey;
use croupier_fair::seal::AuditorSecret;
use croupier_fair::seed::ServerSeed;
use croupier_fair::transcript::{Reveal, TranscriptWriter};
use croupier_fair::verify::{Verified, VerifyError, VerifyOptions, verify};
use proptest::prelude::*;

pub(crate) const SESSION: u64 = 7;
pub(crate) const OPENED_NS: u64 = 1_700_000_000_000_000_000;
pub(crate) const PERIOD_NS: u64 = 50_000_000;

pub(crate) const OPEN: u16 = 0;
pub(crate) const JOIN: u16 = 1;
pub(crate) const ACTION: u16 = 3;
pub(crate) const TICK: u16 = 4;
pub(crate) const CLOSE: u16 = 5;

pub(crate) fn seed() -> ServerSeed {
    ServerSeed::from_bytes(std::array::from_fn(|i| i as u8))
}

pub(crate) fn server() -> ServerKey {
    ServerKey::from_bytes(&[0x42; 32])
}

pub(crate) fn auditor() -> AuditorSecret {
    AuditorSecret::from_bytes([0x24; 32])
}

pub(crate) fn sealed() -> Reveal {
    let auditor = auditor().public();
    Reveal::Sealed { sealed: auditor.seal(&seed(), [0x99; 32]), auditor }
}

pub(crate) fn header() -> Header {
    Header {
        format: 1,
        session: SESSION,
        plugin: "dice".to_owned(),
        plugin_version: "1.2.3".to_owned(),
        digest: [0xD1; 32],
        state_version: 3,
        commit: seed().commit(SESSION),
        opened_ns: OPENED_NS,
        hidden_information: false,
        tick_period_ns: PERIOD_NS,
        server_key: server().public().0,
    }
}

pub(crate) fn bytes(of: impl AsRef<[u8]>) -> Arc<[u8]> {
    of.as_ref().into()
}

pub(crate) fn done(reply: impl AsRef<[u8]>) -> Verdict {
    Verdict::Done { reply: bytes(reply), effects: Vec::new() }
}

pub(crate) fn turn(seq: u64, kind: u16, player: u64, now_ns: u64, payload: &[u8], verdict: Verdict) -> Entry {
    let (payload, client_seed) = (bytes(payload), bytes([]));
    Entry { seq, kind, player, now_ns, payload, client_seed, calls: Vec::new(), verdict }
}

/// Joins with contributions, a refused action, poison, skipped time, effects, host calls, bytes that are no text, runs of ticks.
pub(crate) fn everything() -> Vec<Entry> {
    let at = |step: u64| OPENED_NS + step * PERIOD_NS;
    let mut entries =
        vec![turn(1, OPEN, 0, at(0), br#"{"table":"high\u00e9","limit":0.10}"#, done(r#"{"ok":true}"#))];
    let mut first = turn(2, JOIN, 1, at(0) + 5, br#"{"name":"Ada"}"#, done("{}"));
    first.client_seed = bytes("ada's lucky number");
    let mut second = turn(
        3,
        JOIN,
        2,
        at(0) + 9,
        b"",
        Verdict::Failed { status: -3, text: "the \"table\" is full\n".to_owned() },
    );
    second.client_seed = bytes([0xFF, 0x00, 0x80]);
    entries.extend([first, second]);
    let effects = vec![
        Effect::Send { to: u64::MAX, message: bytes("{\"die\":4}") },
        Effect::Emit { topic: "table".to_owned(), event: bytes([1, 2, 3]) },
    ];
    let mut roll = turn(
        4,
        ACTION,
        1,
        at(0) + 20,
        "{\"roll\":\"größer\"}".as_bytes(),
        Verdict::Done { reply: bytes("{\"sum\":9}"), effects },
    );
    roll.calls = vec![(0, bytes("{\"balance\":12.50}")), (-4, bytes([]))];
    entries.push(roll);
    entries.extend((0..5).map(|i| turn(5 + i, TICK, 0, at(1 + i), b"", done(format!("{{\"tick\":{i}}}")))));
    entries.push(turn(10, ACTION, 2, at(5), b"crash", Verdict::Poison));
    entries.push(turn(11, TICK, 0, at(90), b"", Verdict::Skipped { ticks: 84 }));
    entries.push(turn(12, TICK, 0, at(91), b"", done("")));
    entries.push(turn(13, TICK, 0, at(92), b"", Verdict::Failed { status: -1, text: "no more".to_owned() }));
    entries.push(turn(14, TICK, 0, at(93), b"", done("x")));
    entries.push(turn(15, CLOSE, 0, at(93) + 1, b"", done("{\"bye\":1}")));
    entries
}

pub(crate) fn transcript(header: Header, entries: &[Entry], reveal: Reveal) -> Vec<u8> {
    let (mut writer, mut file) = TranscriptWriter::new(header);
    for entry in entries {
        file.extend(writer.push(entry));
    }
    file.extend(writer.finish("closed", reveal, &server()).expect("it is the header's key"));
    file
}

pub(crate) fn check(file: &[u8]) -> Result<Verified, VerifyError> {
    verify(Cursor::new(file), &VerifyOptions::default())
}

pub(crate) fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/fair").join(name)
}

/// What happens next in a random session.
#[derive(Debug, Clone)]
enum Move {
    Join(u64, Vec<u8>),
    Act(Vec<u8>, Vec<u8>),
    Fail(String),
    Poison,
    Ticks(u8),
    CallingTick,
    Skip(u8),
}

fn any_move() -> impl Strategy<Value = Move> {
    let blob = || {
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..20), "\\PC{0,20}".prop_map(String::into_bytes)]
    };
    prop_oneof![
        (1..9u64, proptest::collection::vec(any::<u8>(), 0..=64))
            .prop_map(|(player, seed)| Move::Join(player, seed)),
        (blob(), blob()).prop_map(|(payload, reply)| Move::Act(payload, reply)),
        ".{0,20}".prop_map(Move::Fail),
        Just(Move::Poison),
        (1..20u8).prop_map(Move::Ticks),
        Just(Move::CallingTick),
        (1..200u8).prop_map(Move::Skip),
    ]
}

/// The turns of a random session that a server could have played.
pub(crate) fn any_session() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec(any_move(), 0..24).prop_map(|moves| {
        let mut entries = vec![turn(1, OPEN, 0, OPENED_NS, b"{}", done("{}"))];
        let mut period = 0;
        for next in moves {
            play(next, &mut period, &mut entries);
        }
        let (seq, now) =
            entries.last().map(|last| (last.seq + 1, last.now_ns)).expect("there is the open turn");
        entries.push(turn(seq, CLOSE, 0, now, b"", done("")));
        entries
    })
}

fn play(next: Move, period: &mut u64, entries: &mut Vec<Entry>) {
    let seq = entries.len() as u64 + 1;
    let now = entries.last().map_or(0, |last| last.now_ns);
    let mut tick = |by: u64| {
        *period += by;
        OPENED_NS + *period * PERIOD_NS
    };
    match next {
        Move::Join(player, client_seed) => {
            let mut entry = turn(seq, JOIN, player, now, b"", done("{}"));
            entry.client_seed = client_seed.into();
            entries.push(entry);
        }
        Move::Act(payload, reply) => entries.push(turn(seq, ACTION, 1, now, &payload, done(reply))),
        Move::Fail(text) => {
            entries.push(turn(seq, ACTION, 2, now, b"", Verdict::Failed { status: -1, text }))
        }
        Move::Poison => entries.push(turn(seq, ACTION, 3, now, b"", Verdict::Poison)),
        Move::Ticks(count) => {
            for i in 0..u64::from(count) {
                entries.push(turn(seq + i, TICK, 0, tick(1), b"", done((seq + i).to_string())));
            }
        }
        Move::CallingTick => {
            let mut entry = turn(seq, TICK, 0, tick(1), b"", done("{}"));
            entry.calls = vec![(0, bytes("answer"))];
            entries.push(entry);
        }
        Move::Skip(ticks) => {
            let ticks = u64::from(ticks);
            entries.push(turn(seq, TICK, 0, tick(ticks), b"", Verdict::Skipped { ticks }));
        }
    }
}
