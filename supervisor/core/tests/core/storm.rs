//! Random storms: whatever happens in whatever order, nothing acknowledged is lost, nothing is played twice, everybody is answered once.

use crate::world::{COUNT, FAIL, KILL, MS, World};
use croupier_core::Refusal;
use croupier_core::action::{Answered, Notice};
use croupier_core::event::{Cause, Event, LiveSessions, Options};
use croupier_core::ids::{RequestId, kind};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Open,
    OpenTicking,
    Act(usize),
    Fail(usize),
    Kill(usize),
    Join(usize, u64),
    Close(usize),
    Work(usize, usize),
    DieOutside(usize),
    DieFault(usize),
    DieHung(usize),
    Pass(u64),
    Restart,
    Suspend,
    Resume,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Open),
        1 => Just(Op::OpenTicking),
        12 => any::<usize>().prop_map(Op::Act),
        2 => any::<usize>().prop_map(Op::Fail),
        1 => any::<usize>().prop_map(Op::Kill),
        2 => (any::<usize>(), 0u64..4).prop_map(|(at, player)| Op::Join(at, player)),
        1 => any::<usize>().prop_map(Op::Close),
        12 => (any::<usize>(), 1usize..40).prop_map(|(at, n)| Op::Work(at, n)),
        2 => any::<usize>().prop_map(Op::DieOutside),
        1 => any::<usize>().prop_map(Op::DieFault),
        1 => any::<usize>().prop_map(Op::DieHung),
        4 => (1u64..60).prop_map(Op::Pass),
        1 => Just(Op::Restart),
        1 => Just(Op::Suspend),
        1 => Just(Op::Resume),
    ]
}

fn worker_at(world: &World, at: usize) -> Option<croupier_core::ids::WorkerId> {
    let ids: Vec<_> = world.workers.keys().copied().collect();
    (!ids.is_empty()).then(|| ids[at % ids.len()])
}

fn run(ops: Vec<Op>) {
    let mut world = World::new(|_| {});
    let mut sessions = vec![world.open().0];
    let mut asked: Vec<(RequestId, &'static [u8])> = Vec::new();
    let mut faults = 0u64;
    for op in ops {
        let session = |at: usize| sessions[at % sessions.len()];
        match op {
            Op::Open => sessions.push(world.open().0),
            Op::OpenTicking => {
                let options = Options { tick_ns: Some(20 * MS), ..Options::default() };
                sessions.push(world.open_with(COUNT, options).0);
            }
            Op::Act(at) => asked.push((world.act(session(at), COUNT), COUNT)),
            Op::Fail(at) => asked.push((world.act(session(at), FAIL), FAIL)),
            Op::Kill(at) => asked.push((world.act(session(at), KILL), KILL)),
            Op::Join(at, player) => {
                asked.push((world.turn(session(at), kind::JOIN, player, COUNT), b"join"));
            }
            Op::Close(at) => asked.push((world.turn(session(at), kind::CLOSE, 0, b""), b"close")),
            Op::Work(at, n) => {
                for _ in 0..n {
                    if let Some(worker) = worker_at(&world, at) {
                        world.work(worker);
                    }
                }
            }
            Op::DieOutside(at) | Op::DieFault(at) | Op::DieHung(at) => {
                let cause = match op {
                    Op::DieOutside(_) => Cause::External { signal: 9 },
                    Op::DieFault(_) => Cause::Fault { signal: 11 },
                    _ => Cause::Deadline,
                };
                faults += u64::from(cause.counts());
                if let Some(worker) = worker_at(&world, at) {
                    world.die(worker, cause);
                }
            }
            Op::Pass(ms) => world.pass(ms),
            Op::Restart => {
                let request = world.request();
                world.step(Event::Restart { request });
            }
            Op::Suspend => {
                let request = world.request();
                world.step(Event::Suspend { request });
            }
            Op::Resume => {
                let request = world.request();
                world.step(Event::Resume { request });
            }
        }
    }
    finish(&mut world, &asked, faults);
}

/// Lets the storm end, and looks at what is left.
fn finish(world: &mut World, asked: &[(RequestId, &'static [u8])], faults: u64) {
    let request = world.request();
    world.step(Event::Resume { request });
    settle_ticking(world);
    for (request, payload) in asked {
        let answer = world.answers.get(request).unwrap_or_else(|| panic!("request {request} hangs"));
        match answer {
            Ok(Answered::Done(_)) => assert!(*payload != FAIL && *payload != KILL),
            Err(Refusal::Poison { .. }) => assert!(*payload == KILL || faults > 0, "innocent turn is poison"),
            Err(Refusal::Plugin { .. }) => assert_eq!(*payload, FAIL),
            _ => {}
        }
    }
    world.check_states();
    if faults == 0 {
        let innocent = |notice: &Notice| match notice {
            Notice::Poison { session, seq, .. } => {
                let records = &world.records[session];
                let entry = records.iter().find(|entry| entry.seq == *seq);
                assert!(entry.is_some_and(|entry| &*entry.payload == KILL), "innocent poison");
            }
            Notice::SessionHeld { reason, .. } => panic!("held: {reason}"),
            Notice::Diverged { .. } => panic!("diverged"),
            _ => {}
        };
        world.notices.iter().for_each(innocent);
    }
    let unload = world.unload(LiveSessions::Close);
    settle_ticking(world);
    if world.game.view().held == 0 {
        assert_eq!(world.answers[&unload], Ok(Answered::Ok));
        assert!(world.workers.is_empty() && world.stopped);
    }
}

/// Sessions that tick never come to rest: a bounded time is given to everything else.
fn settle_ticking(world: &mut World) {
    for _ in 0..600 {
        for _ in 0..10_000 {
            let ids: Vec<_> = world.workers.keys().copied().collect();
            if !ids.into_iter().fold(false, |busy, id| world.work(id) | busy) {
                break;
            }
        }
        world.pass(10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_in_a_storm(ops in prop::collection::vec(op(), 1..300)) {
        run(ops);
    }
}
