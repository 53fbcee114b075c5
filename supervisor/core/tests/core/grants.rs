//! Permissions that are taken away while a plugin runs, and the scene of a death.

use croupier_core::Refusal;
use croupier_core::action::{Answered, Notice};
use croupier_core::event::{Cause, Event};
use croupier_core::ids::{RequestId, SessionId, WorkerId};
use croupier_core::spec::Grants;

use crate::world::{ASK, COUNT, KILL, SEND, World};

fn grants(send: bool, emit: &[&str], call: &[&str]) -> Grants {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Grants { send, emit: set(emit), call: set(call) }
}

fn first_worker(world: &World) -> WorkerId {
    *world.workers.keys().next().expect("a worker")
}

fn seq(world: &World, request: RequestId) -> u64 {
    match &world.answers[&request] {
        Ok(Answered::Done(done)) => done.seq,
        other => panic!("no turn: {other:?}"),
    }
}

/// Session, permission and count of every denied use.
fn denials(world: &World) -> Vec<(SessionId, String, u64)> {
    let denied = |notice: &Notice| match notice {
        Notice::Denied { session, permission, count, .. } => Some((*session, permission.clone(), *count)),
        _ => None,
    };
    world.notices.iter().filter_map(denied).collect()
}

#[test]
fn what_is_taken_away_is_withheld_from_the_next_use_on_and_nobody_dies_of_it() {
    // Everything is replayed from the open turn on.
    let mut world = World::new(|spec| spec.snapshots.turns = u64::MAX);
    let (session, _) = world.open();
    world.settle();
    let speak = |world: &mut World| {
        let request = world.act(session, SEND);
        world.settle();
        seq(world, request)
    };
    let outputs = |world: &World| world.outputs.get(&session).map_or(0, Vec::len);
    speak(&mut world);
    assert_eq!((outputs(&world), denials(&world)), (2, vec![]));

    world.step(Event::Permit { grants: grants(false, &["table"], &["bank"]) });
    assert_eq!(speak(&mut world), 3);
    // The world checks that numbers have no gap.
    assert_eq!((outputs(&world), denials(&world)), (3, vec![(session, "send".to_owned(), 1)]));

    world.step(Event::Permit { grants: grants(false, &[], &[]) });
    speak(&mut world);
    assert_eq!(outputs(&world), 3);
    assert!(denials(&world).contains(&(session, "emit:table".to_owned(), 1)));

    // Its worker was never blamed, and the turns replay as they were.
    assert_eq!(world.game.view().counts.workers_lost, 0);
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    world.act(session, COUNT);
    world.settle();
    assert!(!world.notices.iter().any(|notice| matches!(notice, Notice::Diverged { .. })));

    // Given back, but never more than the workers were told.
    world.step(Event::Permit { grants: grants(true, &["table", "other"], &["x"]) });
    speak(&mut world);
    assert_eq!(outputs(&world), 5);
}

#[test]
fn what_was_never_granted_still_ends_the_worker() {
    let mut world = World::new(|spec| spec.grants = grants(true, &[], &[]));
    // Never more than the spec: this changes nothing.
    world.step(Event::Permit { grants: grants(true, &["table"], &[]) });
    let (session, _) = world.open();
    world.settle();
    let spoke = world.act(session, SEND);
    world.settle();
    assert_eq!(world.answers[&spoke], Err(Refusal::Poison { seq: 2 }));
    assert!(world.outputs.is_empty());
}

#[test]
fn a_host_call_that_is_not_allowed_any_more_is_answered_denied_and_told() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let asked = world.act(session, ASK);
    world.settle();
    assert_eq!((seq(&world, asked), world.performed.len()), (2, 2));
    world.step(Event::Permit { grants: Grants::default() });
    let refused = world.act(session, ASK);
    world.settle();
    assert_eq!((seq(&world, refused), world.performed.len()), (3, 2), "it is not performed");
    let statuses = |turn: usize| -> Vec<i32> {
        world.records[&session][turn].calls.iter().map(|(status, _)| *status).collect()
    };
    assert!(statuses(1).iter().all(|status| *status >= 0), "as the platform answered");
    assert_eq!(statuses(2), [-6, -6]);
    assert_eq!(denials(&world), [(session, "call:bank".to_owned(), 1), (session, "call:bank".to_owned(), 1)]);
    assert_eq!(world.game.view().counts.workers_lost, 0);
}

#[test]
fn the_scene_of_a_death_is_what_it_takes_to_run_into_it_again() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    let (session, _) = world.open();
    for _ in 0..6 {
        world.act(session, COUNT);
    }
    world.settle();
    world.act(session, KILL);
    world.act(session, COUNT);
    let worker = first_worker(&world);
    let scene = world.game.scene(worker).expect("it lives");
    let calls: Vec<_> = scene.calls.iter().map(|call| (call.what, call.session, call.seq)).collect();
    assert_eq!(calls, [("turn", Some(session), Some(8)), ("turn", Some(session), Some(9))]);
    let case = scene.case.expect("about a session");
    let (snapshot, _) = case.snapshot.expect("one was taken");
    let seqs: Vec<u64> = case.turns.iter().map(|turn| turn.seq).collect();
    assert_eq!(seqs, (snapshot + 1..=8).collect::<Vec<_>>(), "from the snapshot to the turn that it is at");
    let last = case.turns.last().expect("turns");
    assert_eq!((&*last.payload, last.outcome), (KILL, None));
    assert!(case.turns.iter().rev().skip(1).all(|turn| turn.outcome.is_some()));
    assert!(world.game.scene(WorkerId(99)).is_none());
}
