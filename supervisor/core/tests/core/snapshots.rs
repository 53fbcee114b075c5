//! Snapshots that cannot be had, made or restored: nobody else pays for them, and nothing is lost.

use croupier_core::action::{Answered, Notice};
use croupier_core::durable::Durability;
use croupier_core::event::{Cause, Options};
use croupier_core::ids::{RequestId, SessionId, WorkerId};

use crate::world::{COUNT, KILL, MS, SEND, World};

fn first_worker(world: &World) -> WorkerId {
    *world.workers.keys().next().expect("a worker")
}

fn ok(world: &World, request: RequestId) -> bool {
    matches!(world.answers.get(&request), Some(Ok(Answered::Done(_))))
}

fn distrusted(world: &World) -> usize {
    world.count(|notice| matches!(notice, Notice::SnapshotsDistrusted { .. }))
}

fn innocent(world: &World) {
    let bad = |notice: &Notice| matches!(notice, Notice::Poison { .. } | Notice::SessionHeld { .. });
    assert_eq!(world.count(bad), 0);
}

/// Plays so many turns, one after the other.
fn play(world: &mut World, session: SessionId, turns: usize) {
    for _ in 0..turns {
        let request = world.act(session, COUNT);
        world.settle();
        assert!(ok(world, request), "{:?}", world.answers.get(&request));
    }
}

#[test]
fn a_plugin_that_dies_of_making_snapshots_poisons_nobody() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    world.faults.snapshot_kills = u32::MAX;
    let (session, _) = world.open();
    play(&mut world, session, 60);
    innocent(&world);
    assert_eq!(distrusted(&world), 1);
    assert!(world.game.view().counts.workers_lost < 10, "it is asked for them seldom now");
    assert_eq!(world.game.session_view(session).expect("alive").records, 61);
    world.check_states();
}

#[test]
fn kills_from_outside_do_not_discredit_snapshots() {
    let mut world = World::new(|spec| spec.snapshots.turns = 1);
    let (session, mut request) = world.open();
    for _ in 0..20 {
        // The reply brings the snapshot, and the worker is killed before it has tried it.
        while !world.answers.contains_key(&request) {
            world.work(first_worker(&world));
        }
        world.die(first_worker(&world), Cause::External { signal: 9 });
        world.settle();
        request = world.act(session, COUNT);
    }
    world.settle();
    assert_eq!(distrusted(&world), 0);
    play(&mut world, session, 20);
    assert!(world.game.session_view(session).expect("alive").records < 5, "journals are pruned");
}

#[test]
fn poison_among_snapshots_does_not_discredit_them() {
    let mut world = World::new(|spec| (spec.snapshots.turns, spec.poison_max) = (1, 1_000));
    let sessions: Vec<_> = (0..8).map(|_| world.open().0).collect();
    world.settle();
    for _ in 0..20 {
        for session in &sessions {
            world.act(*session, COUNT);
        }
        world.act(sessions[0], KILL);
        world.settle();
    }
    play(&mut world, sessions[1], 3);
    assert!(world.game.session_view(sessions[1]).expect("alive").records < 5, "journals are pruned");
    world.check_states();
}

#[test]
fn a_snapshot_that_kills_when_tried_is_dropped_and_the_session_is_not_blamed() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    world.faults.scratch_kills = 2;
    let (session, _) = world.open();
    play(&mut world, session, 100);
    innocent(&world);
    assert_eq!(distrusted(&world), 1);
    // They are tried again later, and found good.
    play(&mut world, session, 100);
    let view = world.game.session_view(session).expect("alive");
    assert!(view.snapshot_seq > 150 && view.records < 20, "{view:?}");
    world.check_states();
}

#[test]
fn snapshots_that_always_kill_when_tried_are_tried_seldom() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    world.faults.scratch_kills = u32::MAX;
    let (session, _) = world.open();
    play(&mut world, session, 300);
    innocent(&world);
    assert!(world.game.view().counts.workers_lost < 12, "{:?}", world.game.view().counts);
    world.check_states();
}

#[test]
fn snapshots_come_back_when_the_plugin_gives_them_again() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    world.faults.no_snapshots = true;
    let (session, _) = world.open();
    play(&mut world, session, 40);
    assert_eq!(distrusted(&world), 1);
    world.faults.no_snapshots = false;
    play(&mut world, session, 100);
    assert!(world.game.session_view(session).expect("alive").records < 20);
    world.die(first_worker(&world), Cause::External { signal: 9 });
    play(&mut world, session, 1);
    world.check_states();
}

#[test]
fn a_snapshot_that_nobody_asked_for_is_not_taken() {
    let mut world = World::new(|spec| spec.snapshots.turns = 8);
    world.faults.blurts = true;
    let (session, _) = world.open();
    play(&mut world, session, 3);
    assert_eq!(world.game.session_view(session).expect("alive").snapshot_seq, 0);
    world.die(first_worker(&world), Cause::External { signal: 9 });
    play(&mut world, session, 20);
    world.check_states();
}

#[test]
fn falling_back_into_a_run_of_ticks_replays_it_right() {
    for refused in 1..=2 {
        let mut world = World::new(|spec| (spec.snapshots.turns, spec.catch_up_ticks) = (16, 100));
        let options = Options { tick_ns: Some(10 * MS), ..Options::default() };
        let (session, _) = world.open_with(COUNT, options);
        for _ in 0..100 {
            world.pass(10);
            world.settle_now();
        }
        let view = world.game.session_view(session).expect("alive");
        assert!(view.snapshot_seq > 60 && view.records < 6, "two snapshots lie among the ticks: {view:?}");
        world.faults.refuse_restores = refused;
        world.die(first_worker(&world), Cause::External { signal: 9 });
        for _ in 0..20 {
            world.pass(10);
            world.settle_now();
        }
        let view = world.game.session_view(session).expect("there");
        assert_eq!(view.state, if refused == 1 { "live" } else { "held" });
        assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 0);
        world.check_states();
    }
}

#[test]
fn snapshots_that_are_no_larger_than_what_they_make_superfluous_are_taken_often() {
    let most_replayed = |padding| {
        let mut world = World::new(|spec| (spec.snapshots.turns, spec.snapshots.turns_min) = (60, 4));
        world.faults.snapshot_padding = padding;
        let (session, _) = world.open();
        play(&mut world, session, 70);
        let replayed = (0..70).map(|_| {
            play(&mut world, session, 1);
            let view = world.game.session_view(session).expect("alive");
            view.seq - view.snapshot_seq
        });
        replayed.max().expect("turns")
    };
    // A turn counts for some 160 bytes of journal.
    assert_eq!(most_replayed(0), 3, "they pay after the least number of turns");
    let some = most_replayed(3_000);
    assert!((15..30).contains(&some), "they pay after twenty turns or so, not {some}");
    assert_eq!(most_replayed(1 << 20), 59, "they never do");
}

#[test]
fn what_is_written_beside_a_snapshot_counts_when_it_is_to_pay() {
    let most_replayed = |durability| {
        let mut world = World::new(|spec| {
            (spec.snapshots.turns, spec.snapshots.turns_min) = (60, 4);
            spec.durability = durability;
        });
        let (session, _) = world.open();
        let turn = |world: &mut World| {
            let request = world.act(session, SEND);
            world.settle_now();
            assert!(ok(world, request), "{:?}", world.answers.get(&request));
        };
        (0..200).for_each(|_| turn(&mut world));
        let replayed = (0..70).map(|_| {
            turn(&mut world);
            let view = world.game.session_view(session).expect("alive");
            view.seq - view.snapshot_seq
        });
        replayed.max().expect("turns")
    };
    assert_eq!(most_replayed(Durability::Process), 3);
    // Hundreds of outputs and the answers of the last turns go with each.
    assert_eq!(most_replayed(Durability::Disk), 59);
}
