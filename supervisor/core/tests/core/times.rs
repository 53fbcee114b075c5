//! Time: ticks keep theirs, absurd periods and time-outs do no harm, hangs are forgiven when they pass.

use croupier_core::Refusal;
use croupier_core::action::{Answered, Notice};
use croupier_core::event::{Cause, Options, Turn};
use croupier_core::ids::kind;
use croupier_fair::entry::Verdict;

use crate::world::{COUNT, MS, World, turn};

fn ticking(ms: u64) -> Options {
    Options { tick_ns: Some(ms * MS), ..Options::default() }
}

#[test]
fn ticks_move_by_whole_periods_over_skips_suspends_deaths_and_a_clock_that_is_set() {
    let mut world = World::new(|spec| spec.catch_up_ticks = 3);
    let (session, _) = world.open_with(COUNT, ticking(10));
    world.settle_now();
    for round in 0..60 {
        match round % 6 {
            0 => world.pass(533),
            1 => {
                world.suspend();
                world.settle_now();
                world.pass(777);
                world.resume();
            }
            2 => world.now.wall_ns -= 205 * MS,
            3 => world.now.wall_ns += 91 * MS,
            4 => {
                let worker = *world.workers.keys().next().expect("a worker");
                world.die(worker, Cause::External { signal: 9 });
            }
            _ => {
                world.act(session, COUNT);
            }
        }
        for _ in 0..5 {
            world.settle_now();
            world.pass(7);
        }
    }
    // That each tick lies on the session's own grid, and no time runs backwards, is checked with the records.
    world.check_states();
    let records = &world.records[&session];
    assert!(records.iter().any(|entry| matches!(entry.verdict, Verdict::Skipped { .. })));
    assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 0);
}

#[test]
fn absurd_times_do_no_harm() {
    for ns in [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 62] {
        let mut world = World::new(|_| {});
        let options =
            Options { tick_ns: Some(ns), idle_ns: Some(ns), queue_max: Some(u32::MAX), ..Options::default() };
        let (session, _) = world.open_with(COUNT, options);
        world.settle_now();
        let turn = turn(session, 1, (kind::ACTION, 0, COUNT));
        let request = world.submit(Turn { deadline_mono_ns: Some(u64::MAX), ..turn });
        for _ in 0..3 {
            world.settle_now();
            world.pass(1_000_000);
        }
        assert!(matches!(world.answers[&request], Ok(Answered::Done(_))));
        assert_eq!(world.game.session_view(session).expect("alive").seq, 2, "no tick, and no idle close");
    }
    let world = World::new(|spec| {
        (spec.turn_wall_ns, spec.load_wall_ns, spec.snapshots.age_ns) = (u64::MAX, u64::MAX, u64::MAX);
        (spec.snapshots.turns, spec.snapshots.bytes) = (u64::MAX, usize::MAX);
        (spec.window_calls, spec.flights_max) = (0, 0);
    });
    plays(world);
}

fn plays(mut world: World) {
    let (session, _) = world.open();
    let request = world.act(session, COUNT);
    world.settle();
    assert!(matches!(world.answers[&request], Ok(Answered::Done(_))));
}

#[test]
fn nobody_is_idle_while_the_plugin_is_suspended() {
    let mut world = World::new(|_| {});
    let options = Options { idle_ns: Some(100 * MS), ..Options::default() };
    let (session, _) = world.open_with(COUNT, options);
    world.settle_now();
    world.suspend();
    for _ in 0..100 {
        world.settle_now();
        world.pass(17);
    }
    world.resume();
    world.settle_now();
    let request = world.act(session, COUNT);
    world.settle_now();
    assert!(matches!(world.answers[&request], Ok(Answered::Done(_))));
    world.settle();
    assert_eq!(world.closed, [session], "but it is closed for being idle later");
}

#[test]
fn hangs_that_passed_are_forgiven() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    for _ in 0..20 {
        let request = world.act(session, COUNT);
        let worker = *world.workers.keys().next().expect("a worker");
        world.die(worker, Cause::Deadline);
        world.settle();
        assert!(matches!(world.answers[&request], Ok(Answered::Done(_))), "{:?}", world.answers[&request]);
    }
    assert_eq!(world.game.view().held, 0);
}

#[test]
fn a_turn_that_always_hangs_sets_its_session_aside() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let request = world.act(session, COUNT);
    for _ in 0..500 {
        let ids: Vec<_> = world.workers.keys().copied().collect();
        for id in ids {
            if world.workers[&id].holds_turn(session) {
                world.die(id, Cause::Deadline);
            } else {
                world.work(id);
            }
        }
        world.pass(20);
    }
    assert!(matches!(&world.answers[&request], Err(Refusal::Held { .. })));
}
