//! A process of its own that writes, and is killed; and a file system that is really full.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use croupier_core::ids::SessionId;

use super::disk::Dice;
use super::model::{Game, ended, opened, played};
use super::{QUICK, until};
use crate::journal::fold::fold;
use crate::journal::{Journal, NoRoom, offline};

const STATE_DIR: &str = "CROUPIER_TEST_JOURNAL_STATE_DIR";
/// Payload of the child's turns, in bytes.
const BYTES: usize = 100;

/// The child: writes turns of one session for ever, and says what it was told.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(STATE_DIR) else { return };
    let (told, hear) = channel();
    let (journal, contents) = Journal::start(Path::new(&dir), QUICK, Box::new(|_| {})).unwrap();
    let game = journal.game("dice", Box::new(move |at| told.send(at).unwrap()));
    let mut at = contents.games.get("dice").map_or(0, |game| game.at);
    let put = |at: u64, change| {
        game.put(Box::new(croupier_core::durable::Entry { at, session: SessionId(1), change }));
    };
    if at == 0 {
        put(1, opened(SessionId(1)));
        at = 1;
    }
    loop {
        // Entry 1 opens; entry n is turn n - 1.
        at += 1;
        put(at, played(3, at - 1, BYTES));
        while hear.try_iter().last().is_some_and(|at| {
            println!("told {at}");
            true
        }) {}
        if journal.status().waiting_bytes > 100_000 {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

#[test]
fn a_killed_process_has_left_all_that_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(7);
    let mut told = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::child::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(STATE_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 2 + dice.below(30);
        for line in lines {
            // What it still wrote before it died counts as well.
            if let Some(at) = line.unwrap().strip_prefix("told ") {
                told = at.parse::<u64>().unwrap().max(told);
            }
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let look = offline::look(dir.path()).unwrap();
        assert_eq!(look.contents.flaws, [], "round {round}");
        let game = &look.contents.games["dice"];
        assert!(told > 0 && game.at >= told, "round {round}: told {told}, there {}", game.at);
        let folded = fold(&game.sessions[&SessionId(1)]).unwrap();
        assert_eq!(folded.last_seq, game.at - 1, "round {round}");
    }
}

#[test]
fn a_file_system_that_is_full_is_waited_for() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the small file system: only root may mount one");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    // The name space of the thread, and of those that it starts: it ends with them, and the file system with it.
    std::thread::spawn(move || on_a_small_file_system(&path)).join().unwrap();
}

fn on_a_small_file_system(dir: &Path) {
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("size=8m")).unwrap();
    let (journal, _) = Journal::start(dir, QUICK, Box::new(|_| {})).unwrap();
    let mut game = Game::new(&journal, "dice");
    game.put(SessionId(1), opened(SessionId(1)));
    game.put(SessionId(1), played(0, 1, 8));
    game.all_told();
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let mut seq = 1;
    until("full", || {
        journal.room().is_err() || {
            for _ in 0..if journal.status().waiting_bytes < 100_000 { 20 } else { 0 } {
                seq += 1;
                game.put(SessionId(1), played(3, seq, 5000));
            }
            false
        }
    });
    let Err(NoRoom::Trouble { error }) = journal.room() else { panic!("{:?}", journal.room()) };
    assert!(error.contains("journal.redb") && error.contains("No space left"), "{error}");
    assert!(game.told() < game.put.len() as u64);
    std::fs::remove_file(&ballast).unwrap();
    game.all_told();
    assert_eq!(journal.room(), Ok(()));
    game.put(SessionId(1), ended(vec![]));
    game.all_told();
    journal.close();
    let look = offline::look(dir).unwrap();
    assert_eq!(game.check(&look.contents), game.put.len() as u64);
    let mode = |path: &Path| {
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
    };
    assert_eq!((mode(&look.path), mode(look.path.parent().unwrap())), (0o600, 0o700));
}
