//! Warm standbys, in a made-up world: what takes whose place, when, and what it costs whom.

use croupier_core::Spec;
use croupier_core::action::{Answered, Notice};
use croupier_core::event::{Cause, LiveSessions};
use croupier_core::ids::{RequestId, WorkerId};
use croupier_core::policy::health::Health;
use croupier_core::policy::restart::{Mode, RestartPolicy};

use crate::world::{COUNT, KILL, MS, World};

const KILLED: Cause = Cause::External { signal: 9 };
const FAULT: Cause = Cause::Fault { signal: 11 };

/// A world with so many standbys, all of them warm.
fn world(standbys: u32, change: impl FnOnce(&mut Spec)) -> World {
    let mut world = World::new(|spec| {
        spec.standbys = standbys;
        change(spec);
    });
    world.settle();
    assert_eq!(in_state(&world, "standby").len(), standbys as usize);
    world
}

fn in_state(world: &World, state: &str) -> Vec<WorkerId> {
    let view = world.game.view();
    view.workers.iter().filter(|worker| worker.state == state).map(|worker| worker.worker).collect()
}

fn serving(world: &World) -> WorkerId {
    let serving = in_state(world, "serving");
    assert_eq!(serving.len(), 1, "one worker serves");
    serving[0]
}

fn ok(world: &World, request: RequestId) -> bool {
    matches!(world.answers.get(&request), Some(Ok(_)))
}

/// Lets one worker work until it has nothing to do.
fn drive(world: &mut World, worker: WorkerId) {
    world.settle_now_with(|_, id| id == worker);
}

#[test]
fn a_standby_takes_the_place_of_a_dead_worker_in_the_same_step() {
    let mut world = world(1, |_| {});
    let (session, _) = world.open();
    world.act(session, COUNT);
    world.settle();
    let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
    let waiting = world.act(session, COUNT);
    world.die(dead, KILLED);
    assert_eq!(serving(&world), next);
    // Nobody but the standby moves, and no time passes.
    drive(&mut world, next);
    assert!(ok(&world, waiting));
    assert_eq!(in_state(&world, "starting"), [], "its successor lets the restores go first");
    world.settle();
    assert_eq!(in_state(&world, "standby").len(), 1);
    assert_eq!(serving(&world), next);
    let ready = |which| world.count(|notice| *notice == Notice::WorkerReady { worker: which });
    assert_eq!((ready(dead), ready(next)), (1, 1), "each was said to serve when it did");
    world.check_states();
}

#[test]
fn nobody_notices_the_death_of_a_standby() {
    let mut world = world(2, |spec| {
        spec.restart = RestartPolicy { mode: Mode::Temporary, deaths_max: 0, ..RestartPolicy::default() };
    });
    let (session, _) = world.open();
    world.settle();
    let serves = serving(&world);
    for round in 0..20 {
        let waiting = world.act(session, COUNT);
        let standby = in_state(&world, "standby")[0];
        world.die(standby, if round % 2 == 0 { FAULT } else { KILLED });
        drive(&mut world, serves);
        assert!(ok(&world, waiting));
        for _ in 0..40 {
            world.pass(1_000);
            world.settle_now();
        }
        assert_eq!(in_state(&world, "standby").len(), 2, "it was replaced");
    }
    assert_eq!(serving(&world), serves);
    assert_eq!(world.game.session_view(session).expect("it lives").epoch, 1);
    assert_eq!(world.game.view().health.0, Health::Healthy);
    assert_eq!(world.game.view().counts.retries, 0);
}

#[test]
fn standbys_that_die_again_and_again_are_replaced_ever_more_slowly() {
    let mut world = world(1, |spec| spec.restart = RestartPolicy::default());
    let mut deaths = 0;
    for _ in 0..1_000 {
        if let Some(standby) = in_state(&world, "standby").first() {
            deaths += 1;
            world.die(*standby, FAULT);
        }
        world.settle_now();
        world.pass(10);
    }
    assert!((5..15).contains(&deaths), "{deaths} in ten seconds");
    assert!(world.game.view().down.is_none());
}

#[test]
fn a_standby_that_does_not_come_up_leaves_the_game_alone_and_is_named() {
    let mut world = world(1, |_| {});
    let serves = serving(&world);
    let (session, _) = world.open();
    let mut tries = 0;
    for _ in 0..1_000 {
        for standby in in_state(&world, "starting").into_iter().chain(in_state(&world, "standby")) {
            tries += 1;
            world.die(standby, Cause::Start("no room".to_owned()));
        }
        drive(&mut world, serves);
        world.pass(10);
    }
    assert!((5..15).contains(&tries), "{tries} in ten seconds");
    assert_eq!(world.game.view().down, None);
    let (health, why) = world.game.view().health;
    assert_eq!(health, Health::Warning);
    assert!(why.contains("standbys do not come up") && why.contains("no room"), "{why}");
    let act = world.act(session, COUNT);
    drive(&mut world, serves);
    assert!(ok(&world, act));
    for _ in 0..20 {
        world.pass(1_000);
        world.settle_now();
    }
    assert_eq!(world.game.view().health.0, Health::Healthy, "one came up after all");
}

#[test]
fn when_all_die_at_once_one_is_started_to_serve_and_then_the_others() {
    let mut world = world(2, |_| {});
    let (session, _) = world.open();
    world.settle();
    let waiting = world.act(session, COUNT);
    let all: Vec<_> = world.workers.keys().copied().collect();
    for worker in all {
        world.die(worker, KILLED);
    }
    assert_eq!(in_state(&world, "starting").len(), 1, "nothing is spared while nobody serves");
    world.settle();
    assert!(ok(&world, waiting));
    assert_eq!((in_state(&world, "standby").len(), in_state(&world, "serving").len()), (2, 1));
    world.check_states();
}

#[test]
fn a_standby_that_is_on_its_way_is_the_next_to_serve() {
    let mut world = World::new(|spec| spec.standbys = 1);
    let (dead, coming) = (serving(&world), *world.workers.keys().last().expect("a worker"));
    world.die(coming, KILLED);
    world.pass(20);
    let coming = in_state(&world, "starting");
    assert_eq!(coming.len(), 1);
    world.die(dead, KILLED);
    assert_eq!(in_state(&world, "starting"), coming, "no other one is started");
    drive(&mut world, coming[0]);
    assert_eq!(serving(&world), coming[0]);
}

#[test]
fn the_pause_after_many_deaths_is_for_starts_and_not_for_standbys() {
    let pause_min_ns = 60_000 * MS;
    let mut world = world(2, |spec| {
        spec.restart = RestartPolicy { pause_min_ns, pause_max_ns: pause_min_ns, ..RestartPolicy::default() };
    });
    for _ in 0..2 {
        let next = in_state(&world, "standby")[0];
        let dead = serving(&world);
        world.die(dead, FAULT);
        assert_eq!(serving(&world), next);
    }
    let dead = serving(&world);
    world.die(dead, FAULT);
    assert_eq!(world.workers.len(), 0, "now the pause is waited for");
    world.pass(60_000);
    world.settle_now();
    serving(&world);
}

#[test]
fn a_turn_that_kills_workers_is_still_found_alone_and_nobody_else_suffers() {
    let mut world = world(2, |_| {});
    let sessions: Vec<_> = (0..20).map(|_| world.open().0).collect();
    world.settle();
    let requests: Vec<_> = sessions
        .iter()
        .enumerate()
        .map(|(at, session)| world.act(*session, if at == 7 { KILL } else { COUNT }))
        .collect();
    world.settle();
    let refused: Vec<_> = requests.iter().enumerate().filter(|(_, request)| !ok(&world, **request)).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].0, 7);
    world.check_states();
}

#[test]
fn standbys_are_not_told_of_a_pause_before_they_serve() {
    let mut world = world(1, |_| {});
    let (session, _) = world.open();
    world.settle();
    let suspend = world.suspend();
    world.settle();
    assert_eq!(world.answers[&suspend], Ok(Answered::Ok));
    let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
    // The made-up worker would not bear a restore or a turn between suspend and resume.
    world.die(dead, KILLED);
    world.settle();
    assert_eq!(serving(&world), next);
    let resume = world.resume();
    let act = world.act(session, COUNT);
    world.settle();
    assert!(ok(&world, resume) && ok(&world, act));
    world.check_states();
}

#[test]
fn a_restart_replaces_standbys_too_and_an_unload_sends_them_home() {
    let mut world = world(2, |_| {});
    let before: Vec<_> = world.workers.keys().copied().collect();
    let restart = world.restart();
    world.settle();
    assert!(ok(&world, restart));
    assert!(world.workers.keys().all(|worker| !before.contains(worker)), "{:?}", world.game.view());
    assert_eq!(in_state(&world, "standby").len(), 2);
    let unload = world.unload(LiveSessions::Close);
    world.settle();
    assert!(ok(&world, unload) && world.workers.is_empty() && world.stopped);
}

#[test]
fn a_death_in_the_middle_of_a_restart_is_borne_by_a_standby() {
    let mut world = world(1, |_| {});
    let (session, _) = world.open();
    world.settle();
    let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
    let restart = world.restart();
    let waiting = world.act(session, COUNT);
    world.die(dead, KILLED);
    drive(&mut world, next);
    assert!(ok(&world, waiting), "nobody waits for the fresh one");
    world.settle();
    assert!(ok(&world, restart));
    assert!(!world.workers.contains_key(&next), "it was there before the restart");
    serving(&world);
    world.check_states();
}

/// Calls that may be ahead of a turn for sessions that nobody waits for.
const AHEAD_MAX: usize = 32;

#[test]
fn sessions_come_back_hottest_first() {
    let mut world = world(1, |spec| spec.snapshots.turns = 1);
    let sessions: Vec<_> = (0..20).map(|_| world.open().0).collect();
    for session in sessions.iter().rev() {
        world.pass(1);
        world.act(*session, COUNT);
        world.settle();
    }
    // The first ones are the last that were played; and for one of the others somebody waits.
    let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
    let waiting = world.act(sessions[12], COUNT);
    world.die(dead, KILLED);
    drive(&mut world, next);
    assert!(ok(&world, waiting));
    let order: Vec<_> = world
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::SessionRestored { session, .. } => Some(*session),
            _ => None,
        })
        .collect();
    let mut expected = sessions.clone();
    expected.retain(|session| *session != sessions[12]);
    expected.insert(0, sessions[12]);
    assert_eq!(order, expected);
}

#[test]
fn sessions_are_brought_back_a_few_at_a_time_when_all_are_waited_for() {
    let mut world = world(1, |spec| spec.snapshots.turns = 1_000);
    let sessions: Vec<_> = (0..300).map(|_| world.open().0).collect();
    for session in &sessions {
        for _ in 0..30 {
            world.act(*session, COUNT);
        }
    }
    world.settle();
    let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
    let waiting: Vec<_> = sessions.iter().map(|session| world.act(*session, COUNT)).collect();
    world.die(dead, KILLED);
    let (mut most, mut works) = (0, 0);
    let mut half = None;
    while world.work(next) {
        works += 1;
        let views = world.game.session_views(usize::MAX);
        let live = views.iter().filter(|view| view.state == "live").count();
        let placed = world.game.view().workers.iter().map(|worker| worker.sessions).sum::<usize>();
        most = most.max(placed - live);
        if live >= 150 {
            half.get_or_insert(works);
        }
    }
    assert!(waiting.iter().all(|request| ok(&world, *request)));
    assert!(most < 150, "{most} of 300 are under way at a time");
    let half = half.expect("half of them");
    assert!(half * 3 < works * 2, "half of them were there after {half} of {works} calls");
    world.check_states();
}

#[test]
fn a_turn_waits_behind_a_bounded_number_of_calls_for_sessions_that_nobody_waits_for() {
    // Of 30 turns each all are played again, or some, or none.
    for (snapshot_turns, replayed) in [(1_000, 30..=30), (25, 1..=29), (1, 0..=0)] {
        const SESSIONS: usize = 200;
        let mut world = world(1, |spec| spec.snapshots.turns = snapshot_turns);
        let sessions: Vec<_> = (0..SESSIONS).map(|_| world.open().0).collect();
        for session in &sessions {
            // The opening is on record, too.
            for _ in 1..30 {
                world.act(*session, COUNT);
            }
        }
        world.settle();
        let (dead, next) = (serving(&world), in_state(&world, "standby")[0]);
        world.die(dead, KILLED);
        let ahead = |world: &World| world.workers[&next].inbox.len();
        let mut most = ahead(&world);
        for _ in 0..SESSIONS / 2 {
            assert!(world.work(next));
            most = most.max(ahead(&world));
        }
        assert_eq!(most, AHEAD_MAX, "calls ahead of whoever comes, {replayed:?} turns on record each");
        let live = world.game.session_views(usize::MAX).iter().filter(|view| view.state == "live").count();
        let placed = world.game.view().workers.iter().map(|worker| worker.sessions).sum::<usize>();
        assert!(placed - live <= AHEAD_MAX + 1, "{} sessions at a time", placed - live);

        let last = sessions[SESSIONS - 1];
        let state = world.game.session_view(last).expect("it lives").state;
        assert_ne!(state, "live", "it has not come back yet");
        let waiting = world.act(last, COUNT);
        let mut works = 0;
        while !ok(&world, waiting) {
            assert!(world.work(next));
            works += 1;
        }
        // Behind them with its base, the other turns on record, and its next one.
        let again = world.notices.iter().find_map(|notice| match notice {
            Notice::SessionRestored { session, replayed, .. } if *session == last => Some(*replayed),
            _ => None,
        });
        let again = again.expect("it is back");
        assert!(replayed.contains(&again), "{again} turns were played again");
        assert!(works <= 3 * (AHEAD_MAX + 1) + again as usize, "it was answered after {works} calls");
        while world.work(next) {
            assert!(ahead(&world) <= AHEAD_MAX);
        }
        let back = |notice: &Notice| matches!(notice, Notice::SessionRestored { .. });
        assert_eq!(world.count(back), SESSIONS);
        world.check_states();
    }
}
