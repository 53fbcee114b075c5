//! What a game does, case by case, in a made-up world.

use crate::world::{COUNT, FAIL, KILL, MS, TRAP, World};
use croupier_core::Refusal;
use croupier_core::action::{Answered, EndReason, Notice};
use croupier_core::event::{Cause, Event, LiveSessions, Options};
use croupier_core::ids::{PlayerId, RequestId, kind};
use croupier_core::lifecycle::{State, Step};
use croupier_fair::entry::Verdict;

fn seq(world: &World, request: RequestId) -> u64 {
    match &world.answers[&request] {
        Ok(Answered::Done(done)) => done.seq,
        Ok(Answered::Opened { done, .. }) => done.seq,
        other => panic!("no turn: {other:?}"),
    }
}

fn poisons(world: &World) -> usize {
    world.notices.iter().filter(|notice| matches!(notice, Notice::Poison { .. })).count()
}

fn first_worker(world: &World) -> croupier_core::ids::WorkerId {
    *world.workers.keys().next().expect("a worker")
}

#[test]
fn turns_are_numbered_in_order_and_recorded() {
    let mut world = World::new(|_| {});
    let (session, opened) = world.open();
    let requests: Vec<_> = (0..20).map(|_| world.act(session, COUNT)).collect();
    world.settle();
    assert_eq!(seq(&world, opened), 1);
    for (at, request) in requests.iter().enumerate() {
        assert_eq!(seq(&world, *request), at as u64 + 2);
    }
    assert_eq!(world.records[&session].len(), 21);
    world.check_states();
}

#[test]
fn a_death_in_the_middle_loses_nothing_and_doubles_nothing() {
    let mut world = World::new(|_| {});
    let sessions: Vec<_> = (0..10).map(|_| world.open().0).collect();
    world.settle();
    let mut requests = Vec::new();
    for round in 0..30 {
        for session in &sessions {
            requests.push(world.act(*session, COUNT));
        }
        for _ in 0..round {
            let worker = first_worker(&world);
            world.work(worker);
        }
        let worker = first_worker(&world);
        let cause = if round % 2 == 0 { Cause::External { signal: 9 } } else { Cause::Fault { signal: 11 } };
        world.die(worker, cause);
        world.settle();
    }
    for request in requests {
        seq(&world, request);
    }
    assert_eq!(poisons(&world), 0);
    world.check_states();
}

#[test]
fn poison_is_found_among_64_in_flight_and_the_others_succeed() {
    let mut world = World::new(|_| {});
    let sessions: Vec<_> = (0..64).map(|_| world.open().0).collect();
    world.settle();
    let requests: Vec<_> = sessions
        .iter()
        .enumerate()
        .map(|(at, session)| world.act(*session, if at == 40 { KILL } else { COUNT }))
        .collect();
    world.settle();
    for (at, request) in requests.iter().enumerate() {
        if at == 40 {
            assert_eq!(world.answers[request], Err(Refusal::Poison { seq: 2 }));
        } else {
            assert_eq!(seq(&world, *request), 2);
        }
    }
    let entry = &world.records[&sessions[40]][1];
    assert_eq!(entry.verdict, Verdict::Poison);
    let more = world.act(sessions[40], COUNT);
    world.settle();
    assert_eq!(seq(&world, more), 3, "the session goes on behind the poison");
    assert_eq!(poisons(&world), 1);
    world.check_states();
}

#[test]
fn a_session_whose_replay_kills_is_held_and_nobody_else_is_touched() {
    let mut world = World::new(|spec| spec.snapshots.turns = 1_000);
    let (good, _) = world.open();
    let (bad, _) = world.open();
    world.act(bad, TRAP);
    world.settle();
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    world.settle();
    let on_good = world.act(good, COUNT);
    let on_bad = world.act(bad, COUNT);
    world.settle();
    assert_eq!(seq(&world, on_good), 2);
    assert!(matches!(world.answers[&on_bad], Err(Refusal::Held { .. })));
    let export = world.game.export(bad).expect("a held session can be exported");
    assert_eq!(export.records.len(), 2);
    assert_eq!(export.view.state, "held");
    let request = world.request();
    world.step(Event::DropHeld { request, session: bad });
    assert_eq!(world.answers[&request], Ok(Answered::Ok));
    assert_eq!(world.game.view().held, 0);
    world.check_states();
}

#[test]
fn a_failed_turn_is_replayed_to_the_same_error_and_state() {
    let mut world = World::new(|spec| spec.snapshots.turns = 1_000);
    let (session, _) = world.open();
    let failed = world.act(session, FAIL);
    world.settle();
    assert!(matches!(&world.answers[&failed], Err(Refusal::Plugin { seq: 2, status: -1, .. })));
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    let next = world.act(session, COUNT);
    world.settle();
    assert_eq!(seq(&world, next), 3);
    assert!(!world.notices.iter().any(|notice| matches!(notice, Notice::Diverged { .. })));
    world.check_states();
}

#[test]
fn a_poison_open_is_refused_and_a_poison_close_holds() {
    let mut world = World::new(|_| {});
    let (_, request) = world.open_with(KILL, Options::default());
    world.settle();
    assert_eq!(world.answers[&request], Err(Refusal::Poison { seq: 1 }));
    assert_eq!(world.game.view().live, 0);
    let (session, _) = world.open();
    let close = world.turn(session, kind::CLOSE, 0, KILL);
    world.settle();
    assert_eq!(world.answers[&close], Err(Refusal::Poison { seq: 2 }));
    assert_eq!(world.game.view().held, 1);
}

#[test]
fn kills_from_outside_never_count() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let request = world.act(session, COUNT);
    let mut kills = 0;
    while kills < 50 {
        let ids: Vec<_> = world.workers.keys().copied().collect();
        for id in ids {
            // Whatever worker holds the turn dies before it answers.
            if world.workers.get(&id).is_some_and(|worker| worker.holds_turn(session)) {
                world.die(id, Cause::External { signal: 9 });
                kills += 1;
            } else {
                world.work(id);
            }
        }
        world.pass(20);
    }
    world.settle();
    assert_eq!(seq(&world, request), 2);
    assert_eq!(poisons(&world), 0);
    assert_eq!(world.game.view().held, 0);
}

#[test]
fn a_refused_snapshot_falls_back_to_the_one_before() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    let (session, _) = world.open();
    for _ in 0..40 {
        world.act(session, COUNT);
        world.settle();
    }
    let view = world.game.session_view(session).expect("alive");
    assert!(view.snapshot_seq > 30 && view.records <= 12, "journals are pruned: {view:?}");
    world.faults.refuse_restores = 1;
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    let next = world.act(session, COUNT);
    world.settle();
    assert_eq!(seq(&world, next), 42);
    world.check_states();
    // With both snapshots refused, and what lies before them pruned, it is set aside rather than made up.
    world.faults.refuse_restores = 2;
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    world.settle();
    assert_eq!(world.game.view().held, 1);
    // And with the last snapshot, for a person who knows what is wrong with it.
    let export = world.game.export(session).expect("it is held");
    let (seq, _) = export.snapshot.expect("a snapshot");
    assert_eq!(export.records.first().map(|record| record.seq), Some(seq + 1), "nothing is missing");
}

#[test]
fn a_plugin_that_gives_no_snapshots_keeps_its_whole_journal() {
    let mut world = World::new(|spec| spec.snapshots.turns = 4);
    world.faults.no_snapshots = true;
    let (session, _) = world.open();
    for _ in 0..20 {
        world.act(session, COUNT);
        world.settle();
    }
    assert_eq!(world.game.session_view(session).expect("alive").records, 21);
    let told = |notice: &&Notice| matches!(notice, Notice::SnapshotsDistrusted { .. });
    assert_eq!(world.notices.iter().filter(told).count(), 1);
    let worker = first_worker(&world);
    world.die(worker, Cause::External { signal: 9 });
    let next = world.act(session, COUNT);
    world.settle();
    assert_eq!(seq(&world, next), 22);
    world.check_states();
}

#[test]
fn deadlines_of_answered_turns_do_not_pile_up() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    for _ in 0..40_000 {
        let request = world.act_by(session, COUNT, 3_600_000);
        world.settle_now();
        seq(&world, request);
    }
    let late = world.act_by(session, COUNT, 50);
    world.pass(60);
    assert_eq!(world.answers[&late], Err(Refusal::Deadline { seq: Some(40_002) }));
}

#[test]
fn the_same_key_is_played_once_even_over_a_death_and_after_the_end() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let first = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    let again = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    let worker = first_worker(&world);
    world.die(worker, Cause::Fault { signal: 11 });
    world.settle();
    assert_eq!(seq(&world, first), seq(&world, again));
    let reused = world.turn_as(session, 1, kind::ACTION, 0, FAIL);
    assert!(matches!(world.answers[&reused], Err(Refusal::KeyReused { .. })));
    let close = world.turn_as(session, 2, kind::CLOSE, 0, b"");
    world.settle();
    let close_again = world.turn_as(session, 2, kind::CLOSE, 0, b"");
    assert_eq!(world.answers[&close], world.answers[&close_again]);
    let late = world.turn_as(session, 3, kind::ACTION, 0, COUNT);
    assert_eq!(world.answers[&late], Err(Refusal::SessionClosed(session)));
}

#[test]
fn players_are_checked() {
    let mut world = World::new(|spec| spec.players_max = 2);
    let (session, _) = world.open();
    let stranger = world.turn(session, kind::ACTION, 7, COUNT);
    let joins: Vec<_> = [1, 1, 2, 3].iter().map(|p| world.turn(session, kind::JOIN, *p, b"{}")).collect();
    let acts = world.turn(session, kind::ACTION, 1, COUNT);
    let house = world.turn(session, kind::JOIN, 0, b"{}");
    let leave = world.turn(session, kind::LEAVE, 1, b"");
    let gone = world.turn(session, kind::ACTION, 1, COUNT);
    world.settle();
    let player = PlayerId;
    assert_eq!(world.answers[&stranger], Err(Refusal::UnknownPlayer { player: player(7), session }));
    seq(&world, joins[0]);
    assert_eq!(world.answers[&joins[1]], Err(Refusal::AlreadyJoined { player: player(1), session }));
    assert_eq!(world.answers[&joins[3]], Err(Refusal::TableFull { session, max: 2 }));
    seq(&world, acts);
    assert_eq!(world.answers[&house], Err(Refusal::NotAPlayer { player: player(0) }));
    seq(&world, leave);
    assert_eq!(world.answers[&gone], Err(Refusal::UnknownPlayer { player: player(1), session }));
}

#[test]
fn suspended_turns_wait_and_illegal_steps_are_named() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let request = world.request();
    world.step(Event::Suspend { request });
    let waiting = world.act(session, COUNT);
    world.settle();
    assert_eq!(world.answers[&request], Ok(Answered::Ok));
    assert!(!world.answers.contains_key(&waiting));
    let twice = world.request();
    world.step(Event::Suspend { request: twice });
    assert_eq!(
        world.answers[&twice],
        Err(Refusal::WrongState { step: Step::Suspend, state: State::Suspended })
    );
    let resume = world.request();
    world.step(Event::Resume { request: resume });
    world.settle();
    seq(&world, waiting);
}

#[test]
fn a_restart_moves_every_session() {
    let mut world = World::new(|_| {});
    let sessions: Vec<_> = (0..5).map(|_| world.open().0).collect();
    world.settle();
    let old = first_worker(&world);
    let flying: Vec<_> = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
    let request = world.request();
    world.step(Event::Restart { request });
    world.settle();
    assert_eq!(world.answers[&request], Ok(Answered::Ok));
    assert!(!world.workers.contains_key(&old));
    for (session, request) in sessions.iter().zip(flying) {
        assert_eq!(seq(&world, request), 2);
        let more = world.act(*session, COUNT);
        world.settle();
        assert_eq!(seq(&world, more), 3);
    }
    assert_eq!(world.game.view().counts.workers_lost, 0);
    world.check_states();
}

#[test]
fn ticks_keep_their_time_and_late_ones_are_skipped_on_record() {
    let mut world = World::new(|spec| spec.catch_up_ticks = 3);
    let options = Options { tick_ns: Some(10 * MS), ..Options::default() };
    let (session, _) = world.open_with(COUNT, options);
    for _ in 0..100 {
        let ids: Vec<_> = world.workers.keys().copied().collect();
        for id in ids {
            while world.work(id) {}
        }
        world.pass(5);
    }
    let ticks = world.records[&session].iter().filter(|entry| entry.kind == kind::TICK).count();
    assert!((45..=50).contains(&ticks), "{ticks}");
    let times: Vec<_> = world.records[&session].iter().map(|entry| entry.now_ns).collect();
    assert!(times[1..].windows(2).all(|pair| pair[1] - pair[0] == 10 * MS));
    world.pass(1_000);
    let ids: Vec<_> = world.workers.keys().copied().collect();
    for id in ids {
        while world.work(id) {}
    }
    let skipped = world.records[&session]
        .iter()
        .find_map(|entry| match entry.verdict {
            Verdict::Skipped { ticks } => Some(ticks),
            _ => None,
        })
        .expect("time was skipped");
    assert!(skipped >= 90, "{skipped}");
    assert!(world.game.session_view(session).expect("alive").records < 20, "runs of ticks are one record");
}

#[test]
fn an_idle_session_is_closed_and_says_why() {
    let mut world = World::new(|_| {});
    let options = Options { idle_ns: Some(100 * MS), ..Options::default() };
    let (session, _) = world.open_with(COUNT, options);
    world.settle();
    assert!(world.notices.iter().any(|notice| matches!(
        notice,
        Notice::SessionEnded { session: ended, reason: EndReason::Idle, .. } if *ended == session
    )));
    assert_eq!(world.closed, vec![session]);
}

#[test]
fn unload_refuses_or_closes_and_leaves_no_worker() {
    let mut world = World::new(|_| {});
    world.open();
    world.settle();
    let refused = world.unload(LiveSessions::Refuse);
    assert_eq!(world.answers[&refused], Err(Refusal::HasSessions { live: 1, held: 0 }));
    let done = world.unload(LiveSessions::Close);
    world.settle();
    assert_eq!(world.answers[&done], Ok(Answered::Ok));
    assert!(world.stopped && world.workers.is_empty());
}

#[test]
fn workers_that_do_not_come_up_take_the_game_down_and_a_restart_brings_it_back() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let worker = first_worker(&world);
    world.die(worker, Cause::Fault { signal: 11 });
    let stuck = world.act(session, COUNT);
    for _ in 0..1_000 {
        let ids: Vec<_> = world.workers.keys().copied().collect();
        for id in ids {
            world.die(id, Cause::Start("no such symbol".to_owned()));
        }
        world.pass(100);
    }
    assert!(matches!(&world.answers[&stuck], Err(Refusal::Down { reason }) if reason == "no such symbol"));
    let request = world.request();
    world.step(Event::Restart { request });
    world.settle();
    assert_eq!(world.answers[&request], Ok(Answered::Ok));
    let works = world.turn(session, kind::ACTION, 0, COUNT);
    world.settle();
    seq(&world, works);
    world.check_states();
}

#[test]
fn a_turn_right_after_loading_is_late_at_its_own_deadline_and_not_at_the_one_for_loading() {
    let mut world = World::new(|spec| (spec.turn_wall_ns, spec.load_wall_ns) = (300 * MS, 10_000 * MS));
    let (session, _) = world.open();
    world.settle_now();
    let worker = first_worker(&world);
    let killed = |world: &World| world.workers[&worker].killed.is_some();
    world.act(session, COUNT);
    world.pass(299);
    assert!(!killed(&world));
    world.pass(1);
    assert!(killed(&world), "300 ms are over");
}
