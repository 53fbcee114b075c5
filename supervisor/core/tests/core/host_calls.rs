//! Host calls over deaths: performed once, answered from the record, whoever asks.

use croupier_core::Refusal;
use croupier_core::action::{Answered, Notice};
use croupier_core::event::Cause;
use croupier_core::ids::{RequestId, WorkerId};

use crate::world::{ASK, ASK_KILL, COUNT, DENIED, MS, World};

fn first_worker(world: &World) -> WorkerId {
    *world.workers.keys().next().expect("a worker")
}

fn ok(world: &World, request: RequestId) -> bool {
    matches!(world.answers.get(&request), Some(Ok(Answered::Done(_))))
}

const KILLED: Cause = Cause::External { signal: 9 };

/// Lets the workers work, and the platform not.
fn work(world: &mut World) {
    world.settle_now_with(|_, _| true);
}

#[test]
fn a_call_is_performed_once_though_its_worker_dies() {
    // The answer comes while nobody waits; while the retry is on its way; when the retry has asked again.
    for moment in 0..3 {
        let mut world = World::new(|_| {});
        let (session, _) = world.open();
        world.settle();
        let request = world.act(session, ASK);
        work(&mut world);
        assert_eq!(world.questions.len(), 1);
        world.die(first_worker(&world), KILLED);
        if moment == 0 {
            world.answer_host();
        }
        let asks = |world: &World| world.workers.values().any(|slot| slot.asking.is_some());
        for _ in 0..100 {
            world.pass(20);
            let ids: Vec<_> = world.workers.keys().copied().collect();
            for id in ids {
                if moment == 1 && world.workers[&id].holds_turn(session) && !asks(&world) {
                    world.answer_host();
                }
                world.work(id);
            }
        }
        assert!(asks(&world), "moment {moment}");
        world.settle();
        assert!(ok(&world, request));
        assert_eq!(world.performed.len(), 2, "each of its two calls once");
        assert_eq!(world.records[&session][1].calls.len(), 2);
        // And the replay is answered from the record.
        world.die(first_worker(&world), KILLED);
        let more = world.act(session, COUNT);
        world.settle();
        assert!(ok(&world, more));
        assert_eq!(world.performed.len(), 2);
        world.check_states();
    }
}

#[test]
fn a_poison_turn_asks_once() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    let request = world.act(session, ASK_KILL);
    world.settle();
    assert!(matches!(world.answers[&request], Err(Refusal::Poison { .. })));
    assert_eq!(world.performed.len(), 1);
    assert_eq!(world.records[&session][1].calls.len(), 1, "what it asked is on record");
}

#[test]
fn a_slow_platform_sets_nobody_aside() {
    let mut world = World::new(|spec| spec.turn_wall_ns = 10 * MS);
    let (session, _) = world.open();
    world.settle();
    let request = world.act(session, ASK);
    for _ in 0..600 {
        work(&mut world);
        world.pass(10);
    }
    assert!(world.game.view().counts.workers_lost > 10, "workers wait no longer than a turn may take");
    assert_eq!(world.game.view().held, 0);
    world.settle();
    assert!(ok(&world, request));
    assert_eq!(world.performed.len(), 2);
}

#[test]
fn a_retry_that_asks_something_else_is_divergence() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let request = world.act(session, ASK);
    work(&mut world);
    world.die(first_worker(&world), KILLED);
    world.faults.fickle = true;
    for _ in 0..10 {
        work(&mut world);
        world.pass(20);
    }
    world.settle();
    assert!(ok(&world, request));
    assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 1);
    assert_eq!(world.performed.len(), 2);
}

#[test]
fn what_is_not_granted_is_denied_on_record_and_never_performed() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    let request = world.act(session, DENIED);
    world.settle();
    assert!(ok(&world, request));
    assert!(world.performed.is_empty());
    assert_eq!(world.records[&session][1].calls, [(-6, [].into())]);
    world.check_states();
}
