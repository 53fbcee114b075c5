//! Watching workers apart from their turns, in a made-up world: pings, what they use, and what they may not do.

use croupier_core::action::{KillReason, Notice, ToWorker};
use croupier_core::event::{Cause, Event, LiveSessions};
use croupier_core::ids::{SessionId, WorkerId};
use croupier_core::lifecycle::State;
use croupier_core::policy::health::Health;
use croupier_core::policy::usage::Look;
use croupier_core::{Refusal, Spec};

use crate::world::{COUNT, KILL, MS, TRAP, World};

const MIB: u64 = 1 << 20;

fn pinged(spec: &mut Spec) {
    (spec.watch.ping_every_ns, spec.watch.ping_wall_ns) = (5_000 * MS, 2_000 * MS);
}

fn first_worker(world: &World) -> WorkerId {
    *world.workers.keys().next().expect("a worker")
}

fn has_ping(world: &World, worker: WorkerId) -> bool {
    world.workers[&worker].inbox.iter().any(|(_, message)| *message == ToWorker::Ping)
}

fn health(world: &World) -> (Health, String) {
    world.game.view().health
}

fn violate(world: &mut World, times: usize) {
    for _ in 0..times {
        let worker = first_worker(world);
        world.step(Event::Violated { worker, what: "refused system call openat".to_owned() });
    }
}

#[test]
fn a_worker_that_has_nothing_to_do_is_pinged_and_goes_on() {
    let mut world = World::new(pinged);
    let (session, _) = world.open();
    world.settle();
    let worker = first_worker(&world);
    for _ in 0..20 {
        world.pass(5_000);
        assert!(has_ping(&world, worker));
        world.settle_now();
    }
    let turn = world.act(session, COUNT);
    world.settle_now();
    assert!(world.answers[&turn].is_ok());
    assert_eq!(world.game.view().counts.workers_lost, 0);
    assert_eq!(first_worker(&world), worker);
}

#[test]
fn a_worker_that_hangs_without_a_turn_is_killed_as_late_and_nobody_is_blamed() {
    let mut world = World::new(pinged);
    let (session, _) = world.open();
    world.act(session, COUNT);
    world.settle();
    let worker = first_worker(&world);
    world.pass(5_000);
    assert!(has_ping(&world, worker));
    world.pass(1_999);
    assert_eq!(world.workers[&worker].killed, None, "not before its time");
    world.pass(1);
    assert_eq!(world.workers[&worker].killed, Some(KillReason::Deadline));
    world.settle();
    assert!(!world.workers.contains_key(&worker));
    assert_eq!(world.count(|notice| matches!(notice, Notice::WorkerDied { cause: Cause::Deadline, .. })), 1);
    let turn = world.act(session, COUNT);
    world.settle();
    assert!(world.answers[&turn].is_ok());
    world.check_states();
}

#[test]
fn a_turn_behind_an_unanswered_ping_is_played_by_the_next_worker() {
    let mut world = World::new(pinged);
    let (session, _) = world.open();
    world.settle();
    world.pass(5_000);
    let turn = world.act(session, COUNT);
    world.pass(2_000);
    world.settle();
    assert!(world.answers[&turn].is_ok());
    assert_eq!(world.count(|notice| matches!(notice, Notice::Poison { .. } | Notice::SessionHeld { .. })), 0);
}

#[test]
fn a_worker_that_is_busy_is_not_pinged_and_a_standby_that_hangs_is_replaced() {
    let mut world = World::new(|spec| {
        pinged(spec);
        spec.standbys = 1;
    });
    world.settle();
    let (session, _) = world.open();
    world.settle();
    let standby = |world: &World| {
        world.game.view().workers.iter().find(|slot| slot.state == "standby").map(|slot| slot.worker)
    };
    let (serving, hangs) = (first_worker(&world), standby(&world).expect("a standby"));
    for _ in 0..80 {
        world.pass(100);
        world.act(session, COUNT);
        assert!(!has_ping(&world, serving), "it has a turn now and then");
        world.settle_now_with(|_, id| id != hangs);
    }
    assert_eq!(world.workers[&hangs].killed, Some(KillReason::Deadline), "it did not answer");
    world.settle();
    assert!(standby(&world).is_some_and(|next| next != hangs));
    assert_eq!(first_worker(&world), serving);
    assert_eq!(health(&world).0, Health::Healthy);
}

#[test]
fn what_a_worker_uses_is_told_and_goes_with_it() {
    let mut world = World::new(|spec| spec.watch.memory_bytes = 100 * MIB);
    world.open();
    world.settle();
    let worker = first_worker(&world);
    let look = |world: &mut World, mib: u64| {
        let look = Look { rss_bytes: mib * MIB, throttled_us: None };
        world.step(Event::LookedAt { worker, look });
    };
    look(&mut world, 79);
    assert_eq!(health(&world).0, Health::Healthy);
    look(&mut world, 85);
    look(&mut world, 86);
    let told = |notice: &Notice| matches!(notice, Notice::MemoryHigh { percent: 80, rss_bytes, .. } if *rss_bytes == 85 * MIB);
    assert_eq!(world.count(told), 1);
    look(&mut world, 97);
    assert_eq!(world.count(|notice| matches!(notice, Notice::MemoryHigh { percent: 95, .. })), 1);
    let (word, why) = health(&world);
    assert_eq!(word, Health::Warning);
    assert!(why.contains(&format!("worker {worker} uses more than 95 % of its memory limit")), "{why}");
    world.die(worker, Cause::External { signal: 9 });
    world.settle();
    assert_eq!(health(&world), (Health::Healthy, String::new()), "the next one is another");
}

#[test]
fn a_plugin_that_breaks_its_bounds_again_and_again_is_suspended_until_it_is_resumed() {
    let mut world = World::new(|spec| spec.watch.conduct.violations_max = 5);
    let (session, _) = world.open();
    world.settle();
    // Nobody's turn runs, so it is the plugin's own doing.
    violate(&mut world, 5);
    assert_eq!(health(&world).0, Health::Healthy);
    violate(&mut world, 1);
    let (word, why) = health(&world);
    assert_eq!(word, Health::Critical);
    assert!(why.contains("openat") && why.contains("croupier resume"), "{why}");
    assert_eq!(world.count(|notice| matches!(notice, Notice::SuspendedFor { .. })), 1);
    let turn = world.act(session, COUNT);
    world.settle();
    assert!(!world.answers.contains_key(&turn), "turns wait");
    violate(&mut world, 9);
    assert_eq!(world.count(|notice| matches!(notice, Notice::SuspendedFor { .. })), 1, "once");
    world.resume();
    world.settle();
    assert!(world.answers[&turn].is_ok());
    assert_eq!(health(&world).0, Health::Healthy);
    violate(&mut world, 5);
    assert_eq!(health(&world).0, Health::Healthy, "it begins anew");
    world.check_states();
}

#[test]
fn one_table_cannot_have_the_plugin_suspended_by_killing_workers_or_by_what_its_turns_are_refused() {
    let mut world = World::new(|spec| {
        spec.watch.conduct.violations_max = 3;
        spec.poison_max = u32::MAX;
    });
    let sessions: Vec<SessionId> = (0..4).map(|_| world.open().0).collect();
    world.settle();
    for _ in 0..10 {
        world.act(sessions[0], COUNT);
        violate(&mut world, 1);
        world.settle();
        // It is tried again in other workers, each of which dies of it.
        world.act(sessions[0], KILL);
        world.settle();
        world.act(sessions[0], COUNT);
        let worker = first_worker(&world);
        world.die(worker, Cause::Memory);
        world.settle();
    }
    assert_ne!(health(&world).0, Health::Critical);
    assert_eq!(world.count(|notice| matches!(notice, Notice::SuspendedFor { .. })), 0);
    assert!(world.count(|notice| matches!(notice, Notice::Violation { .. })) > 3);
    // With two others it is the plugin. What one turn does counts once.
    for session in &sessions[1..=2] {
        world.act(*session, COUNT);
        violate(&mut world, 50);
        world.settle_now();
    }
    assert_eq!(world.count(|notice| matches!(notice, Notice::SuspendedFor { .. })), 1);
}

#[test]
fn a_suspended_plugin_that_stays_because_a_session_is_held_is_not_called_suspended() {
    let mut world = World::new(|spec| spec.watch.conduct.violations_max = 1);
    let (session, _) = world.open();
    world.act(session, TRAP);
    world.settle();
    violate(&mut world, 2);
    assert_eq!(health(&world).0, Health::Critical);
    let unload = world.unload(LiveSessions::Close);
    // It has to be brought back to be closed, and cannot.
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    world.settle();
    assert!(
        matches!(world.answers[&unload], Err(Refusal::HasSessions { held: 1, .. })),
        "{:?}",
        world.answers[&unload]
    );
    assert_eq!(world.game.state(), State::Running);
    assert!(!health(&world).1.contains("croupier resume"), "{:?}", health(&world));
}
