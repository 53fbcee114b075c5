//! Threads: a permission with a limit, which can be taken away while they run.

use croupier::registry::PluginOptions;
use croupier_client::{OpenOptions, Player};

use crate::arena::{Arena, Attacker, Outcome};

/// Turns that the neighbour plays while somebody is at it.
const TURNS_MEANWHILE: usize = 300;
/// An action so long that a few dozen fill a ring: bytes.
const LONG_ACTION_BYTES: usize = 20_000;
/// No memory for another one, or no right to it.
const EAGAIN: i64 = -11;
const EPERM: i64 = -1;

fn with_threads(most: &'static str) -> Arena {
    let attacker = Attacker { permissions: r#""threads""#, threads: Some(most), ..Attacker::default() };
    Arena::with(&attacker, PluginOptions::default()).unwrap_or_else(|(error, _)| panic!("{error}"))
}

/// Threads of the attacker's worker, as the kernel counts them.
fn running(arena: &Arena) -> usize {
    let (pid, _) = arena.isolation();
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// With the permission, threads work, as many as were granted, and are as jailed as the game thread.
pub(crate) fn threads_are_a_permission_with_a_limit() {
    let (one, four) = (with_threads("1"), with_threads("4"));
    assert_eq!(four.attack("one_thread"), Outcome::Result(0));
    assert_eq!(four.denied(), []);
    assert_eq!(four.attack("from_a_thread"), Outcome::Result(0), "the thread itself comes to its end");
    let denied = four.denied();
    assert!(denied.len() == 1 && denied[0].call == "openat", "{denied:?}");
    assert!(!four.isolation().1.contains("user namespace ("), "{}", four.isolation().1);
    assert_eq!(one.attack("one_thread"), Outcome::Result(EAGAIN));
    assert_eq!(four.attack("thread_bomb"), Outcome::Result(EAGAIN));
    assert_eq!(four.attack("fork_once"), Outcome::Result(EPERM));
    one.end();
    four.end();
}

/// What a thread writes to the link beside the worker's own frames ends the worker, and it alone.
pub(crate) fn a_thread_that_writes_to_the_link_during_a_turn_ends_its_worker() {
    let arena = with_threads("4");
    assert!(
        matches!(arena.attack("babble_from_a_thread"), Outcome::Refused(text) if text.contains("Poison"))
    );
    assert!(arena.causes().iter().all(|cause| cause.contains("broke the protocol")), "{:?}", arena.causes());
    arena.end();
}

/// Frames that change while the supervisor takes them, again and again: it has a copy before it looks, and what does not decode ends the worker.
pub(crate) fn a_thread_that_rewrites_the_ring_ends_its_worker_and_no_other() {
    for round in 0..5 {
        let arena = with_threads("4");
        let outcome = arena.attack("rewrites_from_a_thread");
        assert!(
            matches!(&outcome, Outcome::Refused(text) if text.contains("Poison")),
            "{round}: {outcome:?}"
        );
        let causes = arena.causes();
        let expected =
            |cause: &String| ["broke the protocol", "CPU"].iter().any(|words| cause.contains(words));
        assert!(causes.iter().all(expected), "{round}: {causes:?}");
        arena.end();
    }
}

/// Threads that go on at the ring between turns: the neighbour serves, callers come back, and the worker ends for a named reason or serves on.
pub(crate) fn threads_that_stay_at_the_ring_disturb_no_other() {
    for (name, ends) in [
        ("leave_a_ringer", &["link_mib_per_s", "CPU"][..]),
        // Answers that nobody is told of are late.
        ("leave_a_silencer", &["deadline", "CPU", "used up"]),
        ("leave_a_garbler", &["the ring's other side makes no sense", "CPU"]),
    ] {
        let arena = with_threads("4");
        let outcome = arena.attack(name);
        let neighbour = arena.client.open("dice", "{}", OpenOptions::default()).expect("opens");
        for _ in 0..TURNS_MEANWHILE {
            neighbour.act(Player(0), r#"{"roll":true}"#).expect("the neighbour serves on");
        }
        // Each of these comes back: with its answer, or with what became of the worker.
        let session = arena.client.open("hostile", "{}", OpenOptions::default());
        if let Ok(session) = session {
            for _ in 0..TURNS_MEANWHILE / 10 {
                let long = format!("\"{}\"", "x".repeat(LONG_ACTION_BYTES));
                let _ = session.act(Player(1), long);
            }
        }
        let expected = |cause: &String| ends.iter().any(|words| cause.contains(words));
        let causes = arena.causes_so_far();
        assert!(causes.iter().all(expected), "{name}: {outcome:?}, {causes:?}");
        drop(neighbour);
        arena.end();
    }
}

/// Taken away while threads run: when that is answered, none runs, none can be made, and sessions go on.
pub(crate) fn revoked_threads_are_gone_when_it_is_answered_and_come_back_when_they_are_granted() {
    let arena = with_threads("4");
    assert_eq!(arena.attack("leave_a_thread"), Outcome::Result(0));
    assert_eq!(running(&arena), 2, "it runs on between turns");
    let (before, _) = arena.isolation();
    arena.client.revoke("hostile", "threads").expect("it has it");
    let (after, _) = arena.isolation();
    assert_ne!(before, after, "another worker");
    assert!(
        !std::path::Path::new(&format!("/proc/{before}")).exists(),
        "the old one is gone, threads and all"
    );
    assert_eq!(running(&arena), 1);
    let denied = arena.denied().len();
    assert_eq!(arena.attack("one_thread"), Outcome::Result(EPERM), "the filter of one thread");
    assert!(arena.denied()[denied..].iter().any(|denial| denial.call == "clone"), "{:?}", arena.denied());
    arena.client.restart("hostile").expect("restarts");
    assert_eq!(arena.attack("one_thread"), Outcome::Result(EPERM), "in every later worker");
    arena.client.grant("hostile", "threads").expect("it was revoked");
    assert_eq!(arena.attack("one_thread"), Outcome::Result(0));
    let records = arena.records();
    let kinds: Vec<&str> = records
        .iter()
        .filter_map(|record| match record {
            croupier::audit::Happened::PermissionRevoked { permission, .. } if permission == "threads" => {
                Some("revoked")
            }
            croupier::audit::Happened::PermissionGivenBack { permission, .. } if permission == "threads" => {
                Some("given back")
            }
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["revoked", "given back"]);
    arena.end();
}
