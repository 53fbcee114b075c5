//! Callers and operators: everybody is answered once, whatever overtakes what.

use croupier_core::Refusal;
use croupier_core::action::Answered;
use croupier_core::event::{Cause, LiveSessions, Turn, WhenFull};
use croupier_core::ids::{RequestId, WorkerId, kind};
use croupier_core::lifecycle::{State, Step};
use croupier_core::spec::Join;

use crate::world::{ASK, COUNT, FAIL, KILL, MS, World, turn};

fn ok(world: &World, request: RequestId) -> bool {
    matches!(world.answers.get(&request), Some(Ok(_)))
}

fn first_worker(world: &World) -> WorkerId {
    *world.workers.keys().next().expect("a worker")
}

const KILLED: Cause = Cause::External { signal: 9 };

#[test]
fn more_refusals_than_a_burst_are_all_given_at_once() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    let strangers: Vec<_> = (0..100).map(|_| world.turn(session, kind::ACTION, 7, COUNT)).collect();
    world.settle_now();
    for request in strangers {
        assert!(matches!(world.answers.get(&request), Some(Err(Refusal::UnknownPlayer { .. }))));
    }
}

#[test]
fn every_suspend_and_resume_is_answered_however_fast_they_come() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let acts: Vec<_> = (0..10).map(|_| world.act(session, COUNT)).collect();
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(world.suspend());
        requests.push(world.resume());
    }
    world.settle();
    assert!(requests.into_iter().chain(acts).all(|request| ok(&world, request)));
}

#[test]
fn a_suspended_plugin_gets_no_turns_not_even_those_with_a_number() {
    // The made-up worker panics when it is given a turn or a restore between suspend and resume.
    let mut world = World::new(|spec| spec.window_calls = 2);
    let sessions: Vec<_> = (0..4).map(|_| world.open().0).collect();
    world.settle();
    let acts: Vec<_> = sessions.iter().flat_map(|id| [*id; 3]).map(|id| world.act(id, COUNT)).collect();
    // In the midst of replays.
    for _ in 0..5 {
        world.work(first_worker(&world));
    }
    world.die(first_worker(&world), KILLED);
    for _ in 0..4 {
        world.work(first_worker(&world));
    }
    let suspend = world.suspend();
    world.settle();
    assert!(ok(&world, suspend));
    assert!(acts.iter().any(|request| !world.answers.contains_key(request)), "what had no number waits");
    // A fresh worker takes the sessions in first, and is suspended then; a restart too.
    world.die(first_worker(&world), KILLED);
    world.settle();
    let restart = world.restart();
    world.settle();
    assert!(ok(&world, restart));
    assert!(world.game.session_views(9).iter().all(|view| view.state == "live"));
    let resume = world.resume();
    world.settle();
    assert!(ok(&world, resume) && acts.iter().all(|request| ok(&world, *request)));
    world.check_states();
}

#[test]
fn a_suspend_does_not_wait_for_workers_that_are_killed_again_and_again() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let act = world.act(session, COUNT);
    let suspend = world.suspend();
    assert!(!world.answers.contains_key(&suspend), "a turn is in flight");
    world.die(first_worker(&world), KILLED);
    assert!(ok(&world, suspend));
    world.settle();
    assert!(ok(&world, act), "what has a number is finished");
    let resume = world.resume();
    world.settle();
    assert!(ok(&world, resume));
}

#[test]
fn an_unload_answers_the_restart_that_it_overtakes() {
    let mut world = World::new(|_| {});
    let restart = world.restart();
    let unload = world.unload(LiveSessions::Close);
    world.settle();
    let overtaken = Refusal::WrongState { step: Step::Restart, state: State::Unloading };
    assert_eq!(world.answers[&restart], Err(overtaken));
    assert_eq!(world.answers[&unload], Ok(Answered::Ok));
    assert!(world.stopped && world.workers.is_empty());
}

#[test]
fn a_restart_outlives_kills_from_outside() {
    let mut world = World::new(|_| {});
    let old = first_worker(&world);
    let restart = world.restart();
    for _ in 0..5 {
        let fresh = *world.workers.keys().last().expect("a fresh worker");
        assert!(fresh != old);
        world.die(fresh, KILLED);
    }
    world.settle();
    assert!(ok(&world, restart));
    assert!(!world.workers.contains_key(&old));
}

#[test]
fn a_load_that_is_always_killed_fails_in_the_end() {
    let mut world = World::unloaded(|_| {});
    let request = world.start();
    while !world.answers.contains_key(&request) {
        let fresh = *world.workers.keys().last().expect("a fresh worker");
        world.die(fresh, KILLED);
    }
    assert!(matches!(world.answers[&request], Err(Refusal::Start(_))));
    assert!(world.stopped && world.last_request == 1);
}

#[test]
fn an_unload_that_is_called_off_closes_nobody_more() {
    let mut world = World::new(|spec| spec.flights_max = 1);
    let (bad, _) = world.open();
    let (good, _) = world.open();
    world.settle();
    // The close of the bad session kills every worker. That of the good one waits behind a turn that waits for the platform.
    let close = world.turn(bad, kind::CLOSE, 0, KILL);
    let ask = world.act(good, ASK);
    let unload = world.unload(LiveSessions::Close);
    for _ in 0..50 {
        world.settle_now_with(|_, _| true);
        world.pass(20);
    }
    assert!(matches!(world.answers[&close], Err(Refusal::Poison { .. })));
    assert_eq!(world.answers[&unload], Err(Refusal::HasSessions { live: 1, held: 1 }));
    let act = world.act(good, COUNT);
    world.settle();
    assert!(ok(&world, ask) && ok(&world, act), "{:?}", world.answers[&act]);
}

/// A game whose worker died and whose next ones do not come up.
fn down(world: &mut World) {
    world.die(first_worker(world), KILLED);
    for _ in 0..1_000 {
        let ids: Vec<_> = world.workers.keys().copied().collect();
        for id in ids {
            world.die(id, Cause::Start("no such symbol".to_owned()));
        }
        world.pass(100);
    }
    assert!(world.game.view().down.is_some());
}

#[test]
fn a_turn_that_is_repeated_while_the_game_is_down_is_told_so() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let first = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    down(&mut world);
    let again = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    for request in [first, again] {
        assert!(matches!(world.answers.get(&request), Some(Err(Refusal::Down { .. }))));
    }
    world.restart();
    world.settle();
    let last = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    world.settle();
    assert!(ok(&world, last));
    assert_eq!(world.records[&session].len(), 2, "played once");
}

/// Lets workers work, and every worker fail to start while another one serves.
fn spares_fail(world: &mut World) {
    world.settle_now_with(|world, id| {
        let states: Vec<_> = world.game.view().workers.iter().map(|view| (view.worker, view.state)).collect();
        states.contains(&(id, "serving")) || states.iter().all(|(_, state)| *state != "serving")
    });
    let starting = world.game.view().workers.into_iter().filter(|view| view.state == "starting");
    for view in starting {
        world.die(view.worker, Cause::Start("no room".to_owned()));
    }
}

#[test]
fn a_spare_worker_that_does_not_come_up_sets_its_session_aside_and_leaves_the_game_alone() {
    let mut world = World::new(|_| {});
    let (bad, _) = world.open();
    let (good, _) = world.open();
    world.settle();
    let kill = world.act(bad, KILL);
    for _ in 0..200 {
        spares_fail(&mut world);
        world.pass(100);
    }
    assert!(matches!(&world.answers[&kill], Err(Refusal::Held { reason, .. }) if reason.contains("no room")));
    let act = world.act(good, COUNT);
    world.settle();
    assert!(ok(&world, act), "{:?}", world.answers.get(&act));
    assert_eq!(world.game.view().down, None);
}

#[test]
fn a_held_session_still_gives_the_answers_that_it_gave() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    let done = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    world.settle();
    world.turn_as(session, 2, kind::CLOSE, 0, KILL);
    world.settle();
    assert_eq!(world.game.view().held, 1);
    let again = world.turn_as(session, 1, kind::ACTION, 0, COUNT);
    assert_eq!(world.answers[&again], world.answers[&done]);
    let other = world.turn_as(session, 1, kind::ACTION, 0, FAIL);
    assert!(matches!(world.answers[&other], Err(Refusal::Held { .. })));
}

#[test]
fn who_is_told_to_try_again_can() {
    let mut world = World::new(|spec| (spec.queue_max, spec.flights_max) = (8, 1));
    let (session, _) = world.open();
    world.settle();
    let send = |world: &mut World, seq: u64| {
        let turn = turn(session, seq, (kind::ACTION, 0, COUNT));
        world.submit(Turn { when_full: WhenFull::Refuse, ..turn })
    };
    let mut left: Vec<u64> = (1..=300).collect();
    // The queue is far too short for them: nearly all are told that it is busy, and come again.
    for _ in 0..300 {
        let sent: Vec<_> = left.iter().map(|seq| (*seq, send(&mut world, *seq))).collect();
        world.settle();
        left = sent.into_iter().filter(|(_, request)| !ok(&world, *request)).map(|(seq, _)| seq).collect();
    }
    assert!(left.is_empty(), "never played: {left:?}");
    assert_eq!(world.records[&session].len(), 301);
}

#[test]
fn turns_that_come_at_once_are_refused_for_what_is_in_flight_alone() {
    let mut world = World::new(|spec| (spec.queue_max, spec.lobby_max) = (1, 0));
    let (session, _) = world.open();
    world.settle();
    world.at_once = 100;
    let send = |world: &mut World, seq: u64, when_full| {
        world.submit(Turn { when_full, ..turn(session, seq, (kind::ACTION, 0, COUNT)) })
    };
    let hasty: Vec<_> = (1..=10).map(|seq| send(&mut world, seq, WhenFull::Refuse)).collect();
    let patient: Vec<_> = (11..=20).map(|seq| send(&mut world, seq, WhenFull::Wait)).collect();
    world.settle();
    assert!(hasty.iter().chain(&patient).all(|request| ok(&world, *request)), "{:?}", world.answers);
}

#[test]
fn without_room_to_write_only_what_was_accepted_before_is_answered() {
    let mut world = World::new(|_| {});
    let (session, _) = world.open();
    world.settle();
    let send = |world: &mut World, seq: u64, no_room: bool| {
        let turn = turn(session, seq, (kind::ACTION, 0, COUNT));
        world.submit(Turn { no_room, ..turn })
    };
    let played = send(&mut world, 1, false);
    world.settle();
    let waiting = send(&mut world, 2, false);
    // In turn: played, being played, fresh.
    let sent: Vec<_> = (1..=3).map(|seq| send(&mut world, seq, true)).collect();
    assert_eq!(world.answers[&sent[2]], Err(Refusal::NoRoom));
    world.settle();
    assert!(ok(&world, played) && ok(&world, waiting));
    assert_eq!(world.answers[&sent[0]], world.answers[&played]);
    assert_eq!(world.answers[&sent[1]], world.answers[&waiting]);
    let fresh = send(&mut world, 3, false);
    world.settle();
    assert!(ok(&world, fresh), "who was refused may come again with the same key");
    assert_eq!(world.records[&session].len(), 4);
}

#[test]
fn a_lobby_that_loses_its_patience_is_quickly_forgotten() {
    let mut world = World::new(|spec| spec.turn_wall_ns = 60_000 * MS);
    let (session, _) = world.open();
    world.settle();
    let requests: Vec<_> = (0..20_000).map(|_| world.act_by(session, COUNT, 10)).collect();
    let gone: Vec<_> = (0..20_000).map(|_| world.act(session, COUNT)).collect();
    world.pass(20);
    for request in &gone[..19_999] {
        world.cancel(*request, session);
    }
    world.settle();
    let late = |request: &&RequestId| matches!(world.answers[request], Err(Refusal::Deadline { seq: None }));
    assert_eq!(requests.iter().filter(late).count(), 20_000 - 64);
    assert!(ok(&world, gone[19_999]), "a turn that was accepted is played, whoever waits for it");
    assert_eq!(world.records[&session].len(), 1 + 64 + 20_000);
}

#[test]
fn a_player_who_left_before_the_join_was_answered_is_gone() {
    let mut world = World::new(|spec| spec.players_max = 1);
    let (session, _) = world.open();
    world.settle();
    let requests = [
        world.turn(session, kind::JOIN, 1, COUNT),
        world.turn(session, kind::LEAVE, 1, b""),
        world.turn(session, kind::JOIN, 2, FAIL),
        world.turn(session, kind::LEAVE, 2, b""),
        world.turn(session, kind::JOIN, 2, COUNT),
    ];
    world.settle();
    assert!(ok(&world, requests[0]) && ok(&world, requests[1]) && ok(&world, requests[4]));
    let players = world.game.session_view(session).expect("alive").players;
    assert_eq!(players, [croupier_core::ids::PlayerId(2)]);
}

#[test]
fn where_the_game_seats_players_itself_they_may_leave_too() {
    let mut world = World::new(|spec| spec.join = Join::Optional);
    let (session, _) = world.open();
    let leave = world.turn(session, kind::LEAVE, 4, b"");
    let house = world.turn(session, kind::LEAVE, 0, b"");
    world.settle();
    assert!(ok(&world, leave));
    assert!(matches!(world.answers[&house], Err(Refusal::UnknownPlayer { .. })));
}

#[test]
fn a_game_whose_worker_is_on_its_way_is_not_down_for_its_spare_ones() {
    let mut world = World::new(|_| {});
    let (bad, _) = world.open();
    let (good, _) = world.open();
    world.settle();
    world.act(bad, KILL);
    world.work(first_worker(&world));
    // The next serving worker takes its time, and the spare ones fail meanwhile.
    let slow = first_worker(&world);
    for _ in 0..100 {
        let spares: Vec<_> = world.workers.keys().copied().filter(|id| *id != slow).collect();
        for id in spares {
            world.die(id, Cause::Start("no room".to_owned()));
        }
        world.pass(100);
    }
    assert_eq!(world.game.view().down, None);
    world.settle();
    assert_eq!(world.game.view().down, None);
    let act = world.act(good, COUNT);
    world.settle();
    assert!(ok(&world, act));
}
