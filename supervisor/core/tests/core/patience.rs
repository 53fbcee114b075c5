//! Restarts, quarantine, release, and the breaker, in a made-up world.

use croupier_core::action::{Answered, Notice};
use croupier_core::event::Cause;
use croupier_core::policy::health::Health;
use croupier_core::policy::restart::{Mode, RestartPolicy};
use croupier_core::{Refusal, Spec};
use proptest::prelude::*;

use crate::world::{COUNT, KILL, World};

const FAULT: Cause = Cause::Fault { signal: 11 };

fn impatient(spec: &mut Spec) {
    spec.restart = RestartPolicy { deaths_max: 3, ..RestartPolicy::default() };
}

fn kill_serving(world: &mut World, cause: &Cause) -> bool {
    let Some(worker) = world.workers.keys().next().copied() else { return false };
    world.die(worker, cause.clone());
    true
}

fn is_down(world: &World) -> bool {
    world.game.view().down.is_some()
}

#[test]
fn a_plugin_that_dies_by_itself_is_quarantined_and_released_with_its_sessions() {
    let mut world = World::new(impatient);
    let (session, _) = world.open();
    world.act(session, COUNT);
    world.settle();
    for death in 0..4 {
        assert!(!is_down(&world), "death {death}");
        assert!(kill_serving(&mut world, &FAULT));
        if death < 3 {
            world.settle();
        }
    }
    let (health, why) = world.game.view().health;
    assert_eq!(health, Health::Critical);
    assert!(why.contains("4 deaths by crash signal"), "{why}");
    let refused = world.act(session, COUNT);
    assert!(matches!(world.answers[&refused], Err(Refusal::Down { .. })));
    world.settle();
    assert!(world.workers.is_empty(), "no worker of a plugin in quarantine");
    let request = world.release();
    assert_eq!(world.answers[&request], Ok(Answered::Ok));
    let played = world.act(session, COUNT);
    world.settle();
    assert!(world.answers[&played].is_ok(), "the session goes on");
    assert_eq!(world.game.view().health.0, Health::Healthy);
    world.check_states();
    let again = world.release();
    assert_eq!(world.answers[&again], Err(Refusal::NotDown));
}

#[test]
fn deaths_that_nobody_did_count_even_when_turns_were_in_flight() {
    let mut world = World::new(impatient);
    let (session, _) = world.open();
    world.settle();
    for _ in 0..4 {
        world.act(session, COUNT);
        kill_serving(&mut world, &FAULT);
        // The turn is tried alone, and nothing happens: it was the plugin.
        world.settle();
    }
    assert!(is_down(&world));
}

#[test]
fn a_player_cannot_take_the_game_from_the_others() {
    let mut world = World::new(|spec| {
        impatient(spec);
        spec.poison_max = 1000;
    });
    let (villain, _) = world.open();
    let (victim, _) = world.open();
    world.settle();
    for _ in 0..40 {
        world.act(villain, KILL);
        let played = world.act(victim, COUNT);
        world.settle();
        assert!(world.answers[&played].is_ok());
    }
    assert!(!is_down(&world));
    assert_eq!(world.game.view().counts.poison, 40);
}

#[test]
fn transient_and_temporary_workers_are_not_replaced() {
    for (mode, cause, down) in [
        (Mode::Transient, Cause::Exit { code: 0 }, true),
        (Mode::Transient, FAULT, false),
        (Mode::Temporary, Cause::External { signal: 9 }, true),
        (Mode::Permanent, Cause::Exit { code: 0 }, false),
    ] {
        let mut world = World::new(|spec| spec.restart.mode = mode);
        kill_serving(&mut world, &cause);
        world.settle();
        assert_eq!(is_down(&world), down, "{mode:?} {cause}");
    }
}

#[test]
fn the_breaker_opens_rests_and_closes() {
    let mut world = World::new(|spec| {
        spec.breaker.window_turns = 10;
        spec.breaker.probes = 1;
        spec.poison_max = 1000;
    });
    let (session, _) = world.open();
    world.settle();
    world.faults.internal = true;
    let mut last = None;
    for _ in 0..20 {
        last = Some(world.act(session, COUNT));
        world.settle();
    }
    assert_eq!(world.game.view().breaker, "open");
    assert!(matches!(world.answers[&last.unwrap()], Err(Refusal::Resting { .. })));
    let leave = world.turn(session, croupier_core::ids::kind::CLOSE, 0, COUNT);
    world.settle();
    assert!(!matches!(world.answers[&leave], Err(Refusal::Resting { .. })), "who wants to go may go");
    world.faults.internal = false;
    world.pass(5_000);
    let (_, request) = world.open();
    world.settle();
    assert!(world.answers[&request].is_ok());
    assert_eq!(world.game.view().breaker, "closed");
    let told = |notice: &Notice| matches!(notice, Notice::BreakerOpened { .. } | Notice::BreakerClosed);
    assert_eq!(world.count(told), 2);
}

proptest! {
    /// Kills from outside, however many, are nobody's fault.
    #[test]
    fn kills_from_outside_never_quarantine(kills in prop::collection::vec(0u8..3, 1..60)) {
        let mut world = World::new(impatient);
        let (session, _) = world.open();
        world.settle();
        for kill in kills {
            let request = world.act(session, COUNT);
            if kill > 0 {
                kill_serving(&mut world, &Cause::External { signal: 9 });
            }
            if kill > 1 {
                world.settle();
                prop_assert!(world.answers[&request].is_ok());
            }
        }
        world.settle();
        prop_assert!(!is_down(&world));
        world.check_states();
    }
}
