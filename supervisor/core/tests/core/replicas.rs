//! Several workers of one game that serve, in a made-up world: who is played where, what moves, and whom a death touches.

use std::collections::BTreeMap;

use croupier_core::Refusal;
use croupier_core::Spec;
use croupier_core::action::{Answered, Notice, ToWorker};
use croupier_core::event::Cause;
use croupier_core::ids::{RequestId, SessionId, WorkerId};
use croupier_core::policy::health::Health;

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
