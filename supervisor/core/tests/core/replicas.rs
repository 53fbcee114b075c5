//! Several workers of one game that serve, in a made-up world: who is played where, what moves, and whom a death touches.

use std::collections::BTreeMap;

use croupier_core::Refusal;
use croupier_core::Spec;
use croupier_core::action::{Answered, Notice, Run, ToWorker};
use croupier_core::event::Cause;
use croupier_core::ids::{RequestId, SessionId, WorkerId};
use croupier_core::policy::health::Health;
use croupier_core::policy::restart::{Mode, RestartPolicy};

use crate::world::{COUNT, KILL, World};

const KILLED: Cause = Cause::External { signal: 9 };

/// A world with so many replicas, all of which serve.
fn world(replicas: u32, change: impl FnOnce(&mut Spec)) -> World {
    let world = World::new(|spec| {
        spec.replicas = replicas;
        change(spec);
    });
    assert_eq!(loads(&world).len(), replicas as usize);
    world
}

/// The workers that serve, with their sessions.
fn loads(world: &World) -> BTreeMap<WorkerId, usize> {
    let view = world.game.view();
    let serving = view.workers.iter().filter(|worker| worker.state == "serving");
    serving.map(|worker| (worker.worker, worker.sessions)).collect()
}

fn open(world: &mut World, count: usize) -> Vec<SessionId> {
    let sessions = (0..count).map(|_| world.open().0).collect();
    world.settle();
    sessions
}

/// Lets each of them play a turn, and says who was answered.
fn play(world: &mut World, sessions: &[SessionId]) -> Vec<RequestId> {
    let requests = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
    world.settle();
    requests
}

fn all_ok(world: &World, requests: &[RequestId]) -> bool {
    requests.iter().all(|request| matches!(world.answers.get(request), Some(Ok(_))))
}

fn moves(world: &World) -> Vec<(SessionId, WorkerId, WorkerId)> {
    let moved = |notice: &Notice| match notice {
        Notice::SessionMoved { session, from, to, .. } => Some((*session, *from, *to)),
        _ => None,
    };
    world.notices.iter().filter_map(moved).collect()
}

#[test]
fn sessions_are_spread_as_they_come() {
    let mut world = world(3, |_| {});
    let sessions = open(&mut world, 30);
    assert_eq!(loads(&world).into_values().collect::<Vec<_>>(), [10, 10, 10]);
    let played = play(&mut world, &sessions);
    assert!(all_ok(&world, &played));
    let turns: Vec<u64> = world.game.view().workers.iter().map(|worker| worker.turns).collect();
    assert_eq!(turns, [20, 20, 20], "each of them plays its own");
    assert_eq!(moves(&world), []);
    world.check_states();
}

#[test]
fn the_death_of_one_replica_touches_nobody_in_the_others() {
    let mut world = world(3, |_| {});
    let sessions = open(&mut world, 9);
    play(&mut world, &sessions);
    let epochs = |world: &World| -> BTreeMap<SessionId, u64> {
        world.game.session_views(99).iter().map(|view| (view.session, view.epoch)).collect()
    };
    let before = epochs(&world);
    let first = *loads(&world).keys().next().expect("a worker");
    let flying: Vec<_> = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
    world.die(first, Cause::Fault { signal: 11 });
    // The others play on while those of the dead one are tried alone, in a worker that nobody else has to wait for.
    world.settle();
    assert!(all_ok(&world, &flying));
    let after = epochs(&world);
    let touched = after.iter().filter(|(session, epoch)| before[*session] != **epoch).count();
    assert_eq!(touched, 3, "those that were there");
    assert_eq!(loads(&world).into_values().collect::<Vec<_>>(), [3, 3, 3]);
    world.check_states();
}

#[test]
fn a_session_that_kills_its_replica_makes_nobody_else_wait() {
    let mut world = world(2, |_| {});
    let sessions = open(&mut world, 8);
    let culprit = sessions[0];
    let poison = world.act(culprit, KILL);
    // The one that is to die dies; whoever is elsewhere is answered without the successor having done anything.
    let old: Vec<WorkerId> = loads(&world).into_keys().collect();
    let others: Vec<_> = sessions[1..].iter().map(|session| world.act(*session, COUNT)).collect();
    world.settle_now_with(|_, worker| old.contains(&worker));
    let answered = others.iter().filter(|request| world.answers.contains_key(request)).count();
    assert!(answered >= 4, "{answered} of those in the other replica");
    world.settle();
    assert!(all_ok(&world, &others));
    assert!(matches!(world.answers[&poison], Err(Refusal::Poison { .. })));
    world.check_states();
}

#[test]
fn more_replicas_are_given_their_share_and_fewer_give_theirs_back() {
    let mut world = world(1, |_| {});
    let sessions = open(&mut world, 40);
    play(&mut world, &sessions);
    let scaled = world.scale(4);
    world.settle();
    assert_eq!(world.answers[&scaled], Ok(Answered::Ok));
    let spread: Vec<usize> = loads(&world).into_values().collect();
    assert!(spread.len() == 4 && spread.iter().all(|sessions| (9..=13).contains(sessions)), "{spread:?}");
    assert_eq!(world.game.view().replicas, (4, 4));
    let moved = moves(&world);
    assert!((27..=31).contains(&moved.len()), "nobody moves twice: {}", moved.len());
    assert_eq!(world.game.view().counts.moved as usize, moved.len());
    let played = play(&mut world, &sessions);
    world.scale(2);
    world.settle();
    let spread: Vec<usize> = loads(&world).into_values().collect();
    assert!(spread.len() == 2 && spread.iter().sum::<usize>() == 40, "{spread:?}");
    assert_eq!(world.workers.len(), 2, "the others have gone");
    let more = play(&mut world, &sessions);
    assert!(all_ok(&world, &played) && all_ok(&world, &more));
    assert_eq!(world.game.view().counts.workers_lost, 0);
    world.check_states();
}

#[test]
fn a_session_moves_between_its_turns_and_is_never_in_two_workers() {
    let mut world = world(1, |spec| spec.flights_max = 4);
    let sessions = open(&mut world, 6);
    // All of them have turns in flight and waiting.
    let requests: Vec<_> =
        (0..8).flat_map(|_| sessions.clone()).map(|session| world.act(session, COUNT)).collect();
    world.scale(2);
    let old = *loads(&world).keys().next().expect("a worker");
    // The fresh one comes up and works; the old one answers nothing yet, so nothing leaves it.
    world.settle_now_with(|_, worker| worker != old);
    assert_eq!(moves(&world), []);
    let restores = |world: &World| {
        let inboxes = world.workers.values().flat_map(|worker| worker.inbox.iter());
        inboxes.filter(|(_, message)| matches!(message, ToWorker::Restore { .. })).count()
    };
    assert_eq!(restores(&world), 0, "not before the old worker has dropped it");
    world.settle();
    assert!(all_ok(&world, &requests));
    assert_eq!(moves(&world).len(), 3);
    assert!(moves(&world).iter().all(|(_, from, to)| *from == old && *to != old));
    world.check_states();
}

#[test]
fn a_move_whose_target_dies_costs_nobody_a_turn() {
    for steps in 0..60 {
        let mut world = world(1, |_| {});
        let sessions = open(&mut world, 4);
        play(&mut world, &sessions);
        let old = *loads(&world).keys().next().expect("a worker");
        let requests: Vec<_> = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
        world.scale(2);
        // So far it comes; then it, or the old one, is killed.
        for step in 0..steps {
            let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
            world.work(ids[step % ids.len()]);
        }
        let fresh = world.workers.keys().copied().find(|worker| *worker != old);
        let victim = if steps % 2 == 0 { fresh } else { Some(old) };
        if let Some(victim) = victim {
            world.die(victim, KILLED);
        }
        world.settle();
        assert!(all_ok(&world, &requests), "after {steps} steps");
        let more = play(&mut world, &sessions);
        assert!(all_ok(&world, &more), "after {steps} steps");
        assert_eq!(loads(&world).into_values().sum::<usize>(), 4);
        world.check_states();
    }
}

#[test]
fn a_restart_brings_all_replicas_up_before_the_old_ones_leave() {
    let mut world = world(2, |_| {});
    let sessions = open(&mut world, 10);
    let old: Vec<WorkerId> = loads(&world).into_keys().collect();
    let restart = world.restart();
    let mut turns = Vec::new();
    for _ in 0..400 {
        // Somebody plays all the time.
        turns.extend(sessions.iter().map(|session| world.act(*session, COUNT)));
        let serving = loads(&world).len();
        assert!(serving >= 2, "never fewer than two serve: {serving}");
        let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
        for worker in ids {
            world.work(worker);
        }
        if turns.len() > 200 {
            break;
        }
    }
    world.settle();
    assert_eq!(world.answers[&restart], Ok(Answered::Ok));
    assert!(all_ok(&world, &turns));
    assert!(old.iter().all(|worker| !world.workers.contains_key(worker)));
    assert_eq!(loads(&world).into_values().collect::<Vec<_>>(), [5, 5]);
    assert_eq!(moves(&world).len(), 10, "each of them once");
    world.check_states();
}

#[test]
fn one_that_does_not_come_up_is_told_of_while_the_others_serve() {
    let mut world = world(2, |_| {});
    let sessions = open(&mut world, 6);
    for _ in 0..8 {
        let coming: Vec<WorkerId> =
            world.workers.iter().filter(|(_, worker)| !worker.loaded).map(|(id, _)| *id).collect();
        match coming.first() {
            Some(worker) => world.die(*worker, Cause::Start("no room".to_owned())),
            None => {
                let first = *loads(&world).keys().next_back().expect("a worker");
                if loads(&world).len() == 2 {
                    world.die(first, KILLED);
                }
                world.pass(50);
            }
        }
    }
    let view = world.game.view();
    assert_eq!(view.down, None, "the other one serves");
    assert_eq!((view.health.0, view.replicas), (Health::Warning, (1, 2)));
    assert!(view.health.1.contains("1 of 2 replicas serve: no room"), "{}", view.health.1);
    let played = play(&mut world, &sessions);
    assert!(all_ok(&world, &played));
    world.settle();
    assert_eq!(world.game.view().health.0, Health::Healthy, "it came up in the end");
    world.check_states();
}

#[test]
fn standbys_serve_for_any_replica_that_dies() {
    let mut world = world(2, |spec| spec.standbys = 1);
    let sessions = open(&mut world, 8);
    let first = *loads(&world).keys().next().expect("a worker");
    let standby =
        world.game.view().workers.iter().find(|worker| worker.state == "standby").expect("one").worker;
    let requests: Vec<_> = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
    world.die(first, KILLED);
    assert!(loads(&world).contains_key(&standby), "at once");
    world.settle();
    assert!(all_ok(&world, &requests));
    assert_eq!(world.game.view().replicas, (2, 2));
    assert_eq!(world.game.view().standbys, (1, 1));
    world.check_states();
}

/// What a worker has been sent and has not looked at.
fn inbox(world: &World, worker: WorkerId) -> (usize, usize) {
    let inbox = || world.workers.get(&worker).into_iter().flat_map(|worker| worker.inbox.iter());
    let first = |message: &ToWorker| matches!(message, ToWorker::Turn(turn) if turn.run == Run::First);
    let restores = inbox().filter(|(_, message)| matches!(message, ToWorker::Restore { .. })).count();
    (inbox().filter(|(_, message)| first(message)).count(), restores)
}

#[test]
fn nobody_is_moved_into_the_worker_that_tries_a_suspect() {
    let mut world = world(2, |_| {});
    let sessions = open(&mut world, 8);
    (0..9).for_each(|_| drop(play(&mut world, &sessions)));
    let old: Vec<WorkerId> = loads(&world).into_keys().collect();
    world.restart();
    let poison = world.act(sessions[0], KILL);
    let others: Vec<_> = sessions[1..].iter().map(|session| world.act(*session, COUNT)).collect();
    // The fresh ones come up, and sessions are marked for them; then an old one dies of the first session.
    world.settle_now_with(|_, worker| !old.contains(&worker));
    let view = world.game.view();
    let of = |session: SessionId| {
        let has = |worker: &WorkerId| world.workers[worker].sessions.contains_key(&session);
        old.iter().copied().find(|worker| has(worker)).expect("at home")
    };
    let (bad, good) = (of(sessions[0]), *old.iter().find(|worker| **worker != of(sessions[0])).expect("two"));
    assert_eq!(view.counts.moved, 0, "nothing of theirs is answered");
    world.die(bad, Cause::Fault { signal: 11 });
    // Until the suspect's turn is alone in front of a worker; then the other old one answers, and its sessions go where they were to go.
    let trying = (0..100).find_map(|_| {
        let ids: Vec<WorkerId> = world.workers.keys().copied().filter(|worker| *worker != good).collect();
        let trying = ids.iter().copied().find(|worker| inbox(&world, *worker).0 == 1);
        if trying.is_none() {
            for worker in ids {
                world.work(worker);
            }
        }
        trying
    });
    let trying = trying.expect("it is tried");
    while world.work(good) {}
    assert_eq!(inbox(&world, trying), (1, 0), "alone");
    world.settle();
    assert!(matches!(world.answers[&poison], Err(Refusal::Poison { .. })));
    assert!(all_ok(&world, &others));
    assert!(world.game.view().counts.workers_lost <= 3, "no more than it takes");
    world.check_states();
}

#[test]
fn idle_sessions_move_while_everybody_else_plays_without_a_pause() {
    let mut world = world(2, |spec| spec.flights_max = 1);
    let idle = open(&mut world, 40);
    let busy = open(&mut world, 200);
    let mut waiting: BTreeMap<RequestId, SessionId> = BTreeMap::new();
    for session in busy.iter().chain(&busy) {
        waiting.insert(world.act(*session, COUNT), *session);
    }
    let old: Vec<WorkerId> = loads(&world).into_keys().collect();
    world.restart();
    for _ in 0..40_000 {
        let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
        for worker in ids {
            if world.workers.contains_key(&worker) {
                world.work(worker);
            }
        }
        let done: Vec<RequestId> =
            waiting.keys().copied().filter(|request| world.answers.contains_key(request)).collect();
        for request in done {
            let session = waiting.remove(&request).expect("it waited");
            waiting.insert(world.act(session, COUNT), session);
        }
        if old.iter().all(|worker| !world.workers.contains_key(worker)) {
            break;
        }
    }
    assert!(old.iter().all(|worker| !world.workers.contains_key(worker)), "the old ones have gone");
    world.settle();
    assert!(idle.iter().all(|session| world.game.session_state(*session) == Some("live")));
    assert_eq!(moves(&world).len(), 240, "each of them once");
}

#[test]
fn sessions_come_back_a_few_at_a_time_in_each_worker() {
    for urgent in [false, true] {
        let mut world = world(2, |spec| {
            (spec.standbys, spec.flights_max) = (1, 1);
        });
        let sessions = open(&mut world, 800);
        let dead = *loads(&world).keys().next().expect("a worker");
        if urgent {
            for session in &sessions {
                world.act(*session, COUNT);
            }
            let other = *loads(&world).keys().nth(1).expect("another");
            while world.work(other) {}
        }
        world.die(dead, KILLED);
        let most = if urgent { 64 } else { 32 };
        for worker in world.game.view().workers {
            assert!(worker.in_flight <= most, "{worker:?}");
        }
        world.settle();
        assert_eq!(loads(&world).into_values().sum::<usize>(), 800);
    }
}

#[test]
fn while_the_successor_has_to_wait_the_other_replica_tries_nobody() {
    let mut world = world(2, |spec| spec.restart = RestartPolicy::default());
    let sessions = open(&mut world, 8);
    // Two deaths of late: the next start has to wait.
    for _ in 0..2 {
        let first = *loads(&world).keys().next().expect("a worker");
        world.die(first, Cause::Exit { code: 1 });
        world.settle();
    }
    let home = |world: &World, session: SessionId| {
        world.workers.iter().find(|(_, worker)| worker.sessions.contains_key(&session)).map(|(id, _)| *id)
    };
    let old = home(&world, sessions[0]).expect("at home");
    let elsewhere: Vec<SessionId> =
        sessions.iter().copied().filter(|session| home(&world, *session) != Some(old)).collect();
    let epoch = |world: &World, session: &SessionId| world.game.session_view(*session).expect("lives").epoch;
    let before: Vec<u64> = elsewhere.iter().map(|session| epoch(&world, session)).collect();
    let poison = world.act(sessions[0], KILL);
    let others: Vec<_> = sessions[1..].iter().map(|session| world.act(*session, COUNT)).collect();
    world.settle();
    assert!(matches!(world.answers[&poison], Err(Refusal::Poison { .. })));
    assert!(all_ok(&world, &others));
    let after: Vec<u64> = elsewhere.iter().map(|session| epoch(&world, session)).collect();
    assert_eq!(before, after, "nothing happened to those in the other replica");
    world.check_states();
}

#[test]
fn suspects_get_a_worker_of_their_own_also_when_there_is_one_too_many() {
    for standbys in [0, 1] {
        let mut world = world(3, |spec| spec.standbys = standbys);
        open(&mut world, 9);
        let bad = *loads(&world).keys().next().expect("a worker");
        let theirs: Vec<SessionId> = world.workers[&bad].sessions.keys().copied().collect();
        let requests: Vec<_> = theirs.iter().map(|session| world.act(*session, COUNT)).collect();
        // Two are left, and one is wanted: nobody comes in the dead one's place, and both have sessions.
        world.scale(1);
        world.die(bad, Cause::Fault { signal: 11 });
        world.settle();
        assert!(all_ok(&world, &requests));
        assert_eq!(loads(&world).into_values().collect::<Vec<_>>(), [9], "and then there is one");
        world.check_states();
    }
}

#[test]
fn replicas_that_fail_together_fail_once_and_those_that_serve_keep_the_game_up() {
    let mut world = world(6, |_| {});
    let sessions = open(&mut world, 6);
    loads(&world).into_keys().for_each(|worker| world.die(worker, KILLED));
    let coming: Vec<WorkerId> =
        world.workers.iter().filter(|(_, worker)| !worker.loaded).map(|(id, _)| *id).collect();
    for worker in &coming[..5] {
        world.die(*worker, Cause::Start("no room".to_owned()));
    }
    assert_eq!(world.game.view().down, None, "one of them may still come");
    let played = play(&mut world, &sessions);
    assert!(all_ok(&world, &played));
    world.check_states();
}

#[test]
fn a_worker_that_is_not_to_be_replaced_is_one_less() {
    let mut world = world(3, |spec| spec.restart.mode = Mode::Temporary);
    let sessions = open(&mut world, 9);
    let first = *loads(&world).keys().next().expect("a worker");
    world.die(first, KILLED);
    world.settle();
    assert_eq!((world.game.view().down, world.game.view().replicas), (None, (2, 2)));
    let played = play(&mut world, &sessions);
    assert!(all_ok(&world, &played));
    loads(&world).into_keys().for_each(|worker| world.die(worker, KILLED));
    assert!(world.game.view().down.is_some(), "nobody is left");
}

#[test]
fn nothing_is_moved_between_suspend_and_resume() {
    let mut world = world(1, |_| {});
    let sessions = open(&mut world, 8);
    let suspend = world.suspend();
    world.settle();
    world.scale(2);
    world.settle();
    assert_eq!(world.answers[&suspend], Ok(Answered::Ok));
    assert_eq!((moves(&world), loads(&world).len()), (vec![], 2));
    let resume = world.resume();
    world.settle();
    assert_eq!(world.answers[&resume], Ok(Answered::Ok));
    assert_eq!(loads(&world).into_values().collect::<Vec<_>>(), [4, 4]);
    let played = play(&mut world, &sessions);
    assert!(all_ok(&world, &played));
    world.check_states();
}
