//! Disks that are full, and entries that are damaged.

use std::path::Path;

use croupier_client::blocking::Session;
use croupier_client::{ClientError, ClientId, Code, OpenOptions, Player, What};
use croupier_tests::small_disk::{SmallDisk, in_namespace};
use croupier_tests::{Dice, Plugin, Ran, Setup, Watch, skipped, wait_for};
use serde_json::json;

use super::{COUNT, daemon, reply};

/// With [`ENTRY_BYTES`] each: more than fits into pages that are free already.
const SESSIONS: usize = 64;

/// Less than what makes a snapshot due.
const ENTRY_BYTES: usize = 100_000;

#[test]
fn a_full_disk_refuses_turns_and_loses_none() {
    if !rustix::process::geteuid().is_root() {
        return skipped("the full disk", "only root may mount a small file system");
    }
    in_namespace(on_a_small_file_system);
}

fn on_a_small_file_system() {
    // Binaries and transcripts stay on the ordinary disk.
    let setup = Setup::new().plugin(Plugin::Faulty).config("[defaults]\ndurability = \"disk\"");
    let mut daemon = setup.journal_on_small_disk(32).start();
    let watch = Watch::start(&daemon);
    let player = daemon.patient_player(ClientId(1));
    let open = || player.open("faulty", "{}", OpenOptions::default()).expect("a session");
    // None of them is due for a snapshot, which would make room, before its first entry.
    let mut tables: Vec<(Session, u64)> = (0..SESSIONS).map(|_| (open(), 0)).collect();
    let other =
        daemon.patient_player(ClientId(2)).open("faulty", "{}", OpenOptions::default()).expect("a session");
    other.act(Player(1), COUNT).expect("a turn");
    let action = format!("{COUNT}{}", " ".repeat(ENTRY_BYTES));
    // At once, so that what is on its way already finds no room.
    daemon.small_disk().fill(32 << 20);
    // A turn that was accepted when the disk filled up waits for its answer until there is room, so the room is made from elsewhere.
    let refused = std::thread::scope(|scope| {
        let mender = scope.spawn(|| {
            // Whatever comes of this: those who wait are not to wait for ever.
            let _clear = Clear(daemon.small_disk());
            wait_for("trouble", || {
                watch.count(|what| matches!(what, What::JournalTrouble { .. })).gt(&0).then_some(())
            });
            let other = &other;
            let refused = wait_for("a refusal", || other.act(Player(1), action.as_str()).err());
            // What was played before is answered all the same: who asks again must never be told that it was not.
            let again = daemon.patient_player(ClientId(2)).session_from(other.id(), 1).act(Player(1), COUNT);
            assert_eq!(reply(&again.expect("its answer"))["count"], json!(1));
            refused
        });
        while !mender.is_finished() {
            for (session, turns) in &mut tables {
                match session.act(Player(1), action.as_str()) {
                    Ok(done) => {
                        *turns += 1;
                        assert_eq!(reply(&done)["count"], json!(turns));
                    }
                    Err(error) => assert_eq!(error.code(), Some(Code::Busy), "{error}"),
                }
            }
        }
        mender.join().expect("room")
    });
    let ClientError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, Code::Busy);
    // The file, where a write failed; the disk, where the last one found little room behind it.
    let named = ["journal.redb", "disk is almost full"].iter().any(|name| refusal.text.contains(name));
    assert!(named && refusal.text.contains("nothing is lost"), "{refusal}");
    wait_for("recovery", || {
        watch.count(|what| matches!(what, What::JournalRecovered { .. })).gt(&0).then_some(())
    });
    let mut one_more = |when: &str| {
        for (session, turns) in &mut tables {
            *turns += 1;
            assert_eq!(reply(&session.act(Player(1), COUNT).expect(when))["count"], json!(turns));
        }
    };
    one_more("there is room");
    let audit = daemon.cli(["audit", "--json"]).stdout;
    assert!(audit.contains("journal-trouble") && audit.contains("journal-recovered"), "{audit}");
    daemon.die_and_rise();
    one_more("it is back");
}

/// Gives a disk its room back.
struct Clear<'d>(&'d SmallDisk);

impl Drop for Clear<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

#[test]
fn a_damaged_entry_is_named_and_the_other_sessions_go_on() {
    let daemon = daemon(&[Plugin::Faulty]);
    let healthy = daemon.open(Plugin::Faulty, "{}");
    let damaged = daemon.open(Plugin::Faulty, "{}");
    healthy.act(Player(1), COUNT).expect("a turn");
    damaged.act(Player(1), format!("{COUNT}{MARK}")).expect("a turn");
    let (healthy, damaged) = (healthy.id(), damaged.id());
    let stopped = daemon.crash();
    damage(&stopped.daemon.state_dir().join("journal/journal.redb"), MARK.as_bytes());
    let state = stopped.daemon.state_dir();
    let verify = || {
        Ran::croupier(None, ["journal", "verify", "--state-dir", state.to_str().expect("UTF-8"), "--json"])
    };
    let named = verify();
    assert_eq!(named.code, 1, "{named}");
    let place = format!("game faulty, session {damaged}, entry");
    assert!(named.stdout.contains(&place) && named.stdout.contains("checksum"), "{named}");
    let daemon = stopped.start_again();
    let again = daemon.player().session_from(healthy, 2);
    assert_eq!(reply(&again.act(Player(1), COUNT).expect("a turn"))["count"], json!(2));
    let error = daemon.player().session_from(damaged, 2).act(Player(1), COUNT).expect_err("it is damaged");
    assert_eq!(error.code(), Some(Code::SessionHeld), "{error}");
    assert!(error.to_string().contains(&place), "{error}");
    assert!(daemon.log().contains(&place));
    let stopped = daemon.stop();
    assert!(verify().stdout.contains(&place), "it is left as it was");
    drop(stopped);
}

/// White space that is nowhere else.
const MARK: &str = " \t\t \t   \t\t\t  \t \t    \t\t";

/// Changes one bit of the only place with this text that counts.
fn damage(file: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).expect("the journal");
    let places: Vec<usize> =
        (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    assert!(!places.is_empty(), "the text is in the journal");
    // Pages are copied when they are written: older ones may still hold it.
    for at in places {
        bytes[at + 3] ^= 64;
    }
    std::fs::write(file, bytes).expect("room");
}

/// Files damaged in a place that the seed chooses.
const DAMAGES: u64 = 150;
/// Places in one file, and bytes in one place, at most.
const PLACES: u64 = 4;
const PLACE_BYTES: u64 = 64;

#[test]
fn damage_anywhere_is_named_and_never_a_crash_or_a_session_with_less_turns() {
    let daemon = daemon(&[Plugin::Faulty]);
    for _ in 0..12 {
        let session = daemon.open(Plugin::Faulty, "{}");
        (0..30).for_each(|_| drop(session.act(Player(1), COUNT).expect("a turn")));
    }
    let stopped = daemon.crash();
    let state = stopped.daemon.state_dir();
    let file = state.join("journal/journal.redb");
    let offline = |verb| {
        Ran::croupier(None, ["journal", verb, "--state-dir", state.to_str().expect("UTF-8"), "--json"])
    };
    let (whole, export) = (std::fs::read(&file).expect("the journal"), offline("export").exits(0).stdout);
    let (mut unharmed, mut named, mut unreadable) = (0, 0, Vec::new());
    for seed in 0..DAMAGES {
        std::fs::write(&file, damaged(&whole, seed)).expect("room");
        let verified = offline("verify");
        match verified.code {
            0 => {
                assert_eq!(offline("export").exits(0).stdout, export, "seed {seed}: silently less");
                unharmed += 1;
            }
            1 if verified.stderr.contains("is damaged in a way") => {
                assert!(verified.stderr.contains("move it away"), "seed {seed}: {verified}");
                unreadable.push(seed);
            }
            1 => named += 1,
            _ => panic!("seed {seed}: {verified}"),
        }
    }
    println!("{unharmed} unharmed, {named} named, {} unreadable", unreadable.len());
    assert!(unharmed > 0 && named > 0, "{named} of {DAMAGES}");
    // A supervisor says the same, and does not start without what it should have.
    for seed in unreadable.into_iter().take(3) {
        std::fs::write(&file, damaged(&whole, seed)).expect("room");
        let config = stopped.daemon.config_file().to_str().expect("UTF-8");
        let served = Ran::croupier(None, ["serve", "--config", config]);
        assert_eq!(served.code, 1, "seed {seed}: {served}");
        assert!(served.stderr.contains("journal.redb is damaged"), "seed {seed}: {served}");
    }
    std::fs::write(&file, &whole).expect("room");
    assert_eq!(stopped.start_again().status().sessions, 12);
}

fn damaged(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = whole.to_vec();
    for _ in 0..1 + dice.below(PLACES) {
        let at = dice.below(bytes.len() as u64) as usize;
        let end = (at + 1 + dice.below(PLACE_BYTES) as usize).min(bytes.len());
        bytes[at..end].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
    }
    bytes
}
