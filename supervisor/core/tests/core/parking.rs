//! Planned stops: what was in memory alone goes on in the next supervisor.

use croupier_core::action::{Answered, Notice};
use croupier_core::durable::{Change, Durability};
use croupier_core::event::{Cause, Event, Options};
use croupier_core::ids::kind;
use croupier_core::{Refusal, Spec};

use crate::world::{ASK, COUNT, FAIL, KILL, MS, SEND, World};

fn in_memory(spec: &mut Spec) {
    spec.durability = Durability::Process;
}

/// Time passes until all that is not for ever is done: with ticks there is always something to come.
fn settle(world: &mut World) {
    for _ in 0..40 {
        world.settle_now();
        world.pass(25);
    }
    world.settle_now();
}

#[test]
fn a_parked_session_goes_on_as_if_nothing_had_been() {
    let mut world = World::new(in_memory);
    let options = Options { tick_ns: Some(10 * MS), ..Options::default() };
    let (session, _) = world.open_with(COUNT, options);
    world.settle_now();
    world.turn(session, kind::JOIN, 7, COUNT);
    let failed = world.act(session, FAIL);
    let poison = world.act(session, KILL);
    settle(&mut world);
    assert!(matches!(world.answers[&poison], Err(Refusal::Poison { .. })));
    for _ in 0..40 {
        world.act(session, SEND);
        world.act(session, ASK);
        world.pass(30);
        world.settle_now();
    }
    for _ in 0..3 {
        let before = world.game.session_views(9).remove(0);
        assert_eq!(world.park_and_rise(in_memory), []);
        let after = world.game.session_views(9).remove(0);
        assert_eq!((after.seq, after.outputs, after.poison), (before.seq, before.outputs, before.poison));
        assert_eq!((after.players.len(), after.records), (before.players.len(), before.records));
        settle(&mut world);
        let same = world.turn_as(session, 2, kind::ACTION, 0, FAIL);
        let seated = world.turn(session, kind::JOIN, 7, COUNT);
        settle(&mut world);
        assert!(
            matches!(world.answers[&same], Err(Refusal::KeyExpired { .. }))
                || world.answers[&same] == world.answers[&failed]
        );
        assert!(matches!(world.answers[&seated], Err(Refusal::AlreadyJoined { .. })));
        world.act(session, COUNT);
        world.pass(35);
        settle(&mut world);
        world.check_states();
    }
    assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 0);
}

#[test]
fn only_what_is_open_and_in_memory_alone_is_parked() {
    let mut world = World::new(in_memory);
    let parkable =
        |world: &World| world.game.session_views(9).iter().map(|view| view.is_parkable).collect::<Vec<_>>();
    world.open();
    world.open_with(COUNT, Options { durability: Some(Durability::Disk), ..Options::default() });
    assert_eq!(parkable(&world), [false, false], "neither is open yet");
    world.settle_now();
    assert_eq!(parkable(&world), [true, false]);
}

#[test]
fn what_has_no_outcome_when_it_is_parked_never_was() {
    let mut world = World::new(in_memory);
    let (session, _) = world.open();
    world.settle_now();
    world.turn(session, kind::JOIN, 7, COUNT);
    let unanswered = world.act(session, COUNT);
    let lost = world.park_and_rise(in_memory);
    assert!(lost.contains(&unanswered));
    settle(&mut world);
    assert_eq!(world.game.session_views(9)[0].players.len(), 0, "the seat was not given either");
    let again = world.turn_as(session, 2, kind::ACTION, 0, COUNT);
    settle(&mut world);
    assert!(matches!(&world.answers[&again], Ok(Answered::Done(done)) if done.seq == 2));
    world.check_states();
}

#[test]
fn what_asked_the_platform_is_written_before_the_rest() {
    let mut world = World::new(in_memory);
    let (session, _) = world.open();
    world.settle_now();
    let asks = world.act(session, ASK);
    world.settle_now_with(|_, _| true);
    assert_eq!(world.questions.len(), 1, "it is being performed");
    let request = world.request();
    world.step(Event::Park { request });
    let words: Vec<_> =
        world.disk.waiting.iter().map(|entry| matches!(entry.change, Change::Parked(_))).collect();
    assert_eq!(words, [false, false, true], "opened, asking, and then the rest");
    // And it keeps its number and its key.
    world.sync(usize::MAX);
    let lost = world.crash(0, in_memory);
    assert!(lost.contains(&asks));
    let again = world.turn_as(session, 1, kind::ACTION, 0, ASK);
    settle(&mut world);
    assert!(matches!(&world.answers[&again], Ok(Answered::Done(done)) if done.seq == 2));
    world.check_states();
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

#[test]
fn whenever_it_is_parked_nothing_is_lost_and_nothing_is_played_twice() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let mut world = World::new(in_memory);
        let sessions: Vec<_> = (0..3)
            .map(|n| {
                let tick_ns = (n == 0).then_some(10 * MS);
                world.open_with(COUNT, Options { tick_ns, ..Options::default() }).0
            })
            .collect();
        world.settle_now();
        let mut parked = 0;
        for mark in 0..120 {
            let session = sessions[dice.below(3) as usize];
            let marked = |deed: &[u8]| [deed, format!("#{mark}").as_bytes()].concat();
            match dice.below(16) {
                0..=3 => drop(world.act(session, &marked(COUNT))),
                4..=5 => drop(world.act(session, &marked(SEND))),
                6 => drop(world.act(session, &marked(FAIL))),
                7 => drop(world.act(session, &marked(ASK))),
                8 => drop(world.turn(session, kind::JOIN, dice.below(4), COUNT)),
                9 => drop(world.turn(session, kind::LEAVE, dice.below(4), COUNT)),
                10 => world.pass(dice.below(40)),
                11 => {
                    let worker = world.workers.keys().next().copied();
                    worker.into_iter().for_each(|worker| world.die(worker, Cause::External { signal: 9 }));
                }
                12..=13 => world.settle_now_with(|_, _| true),
                14 => settle(&mut world),
                _ => {
                    world.park_and_rise(in_memory);
                    parked += 1;
                }
            }
        }
        settle(&mut world);
        world.park_and_rise(in_memory);
        settle(&mut world);
        world.check_states();
        assert_eq!(world.game.session_views(9).len(), 3, "after {parked} stops");
        assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 0);
    }
}
