//! Durable sessions: nothing is let out before the disk has it, and what the disk has is there after the supervisor's death.

use croupier_core::action::{Answered, Notice};
use croupier_core::durable::Durability;
use croupier_core::event::{Cause, Event, Options, Room};
use croupier_core::ids::{RequestId, SessionId, kind};
use croupier_core::{Refusal, Spec};
use croupier_fair::entry::Verdict;

use crate::world::{ASK, COUNT, FAIL, KILL, MS, SEND, World, turn};

fn on_disk(spec: &mut Spec) {
    spec.durability = Durability::Disk;
}

/// A world with one durable session that is open.
fn world() -> (World, SessionId) {
    let mut world = World::new(on_disk);
    let (session, request) = world.open();
    world.settle_now();
    assert!(world.answers[&request].is_ok());
    (world, session)
}

fn seq_of(world: &World, request: RequestId) -> u64 {
    match &world.answers[&request] {
        Ok(Answered::Done(done)) => done.seq,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_waits_for_the_disk() {
    let (mut world, session) = world();
    let request = world.act(session, SEND);
    world.settle_now_with(|_, _| true);
    assert!(!world.answers.contains_key(&request) && !world.outputs.contains_key(&session));
    assert_eq!(world.game.outputs(session, 1).unwrap(), [], "nor can anybody fetch what is not out");
    let repeated = world.turn_as(session, 1, kind::ACTION, 0, SEND);
    assert!(!world.answers.contains_key(&repeated), "the same answer waits as well");
    world.sync(1);
    assert_eq!(world.answers[&request], world.answers[&repeated]);
    assert_eq!(world.outputs[&session].len(), 2);
    world.check_states();
}

#[test]
fn a_refusal_does_not_wait_for_the_disk() {
    let (mut world, session) = world();
    world.act(session, COUNT);
    world.settle_now_with(|_, _| true);
    let reused = world.turn_as(session, 1, kind::ACTION, 0, SEND);
    assert!(matches!(world.answers[&reused], Err(Refusal::KeyReused { .. })));
    let unknown = world.act(SessionId(99), COUNT);
    assert_eq!(world.answers[&unknown], Err(Refusal::UnknownSession(SessionId(99))));
}

/// After a death it would be there again, and whoever was told that it is over has left.
#[test]
fn that_a_session_is_over_waits_for_the_disk_as_well() {
    let (mut world, session) = world();
    let close = world.turn(session, kind::CLOSE, 0, COUNT);
    world.settle_now_with(|_, _| true);
    let late = world.act(session, COUNT);
    let dropped = world.drop_held(session);
    for request in [close, late, dropped] {
        assert!(!world.answers.contains_key(&request), "{:?}", world.answers.get(&request));
    }
    let lost = world.crash(0, on_disk);
    assert_eq!(lost, [close, late, dropped]);
    world.settle_now();
    assert_eq!(world.game.session_views(9).len(), 1, "it is not over");
    let close = world.turn_as(session, 1, kind::CLOSE, 0, COUNT);
    world.settle_now();
    let late = world.act(session, COUNT);
    assert!(world.answers[&close].is_ok());
    assert_eq!(world.answers[&late], Err(Refusal::SessionClosed(session)));
}

/// Held and dropped: neither is told before the disk has it.
#[test]
fn that_a_session_is_held_or_dropped_waits_for_the_disk() {
    let mut world = World::new(|spec| {
        on_disk(spec);
        spec.poison_max = 0;
    });
    let (session, _) = world.open();
    world.settle_now();
    let poison = world.act(session, KILL);
    let works = |world: &World, _| !world.game.session_views(9).iter().any(|view| view.state == "held");
    for _ in 0..20 {
        world.settle_now_with(works);
        world.pass(5);
    }
    assert_eq!(world.game.session_state(session), Some("held"));
    let refused = world.act(session, COUNT);
    assert!(!world.answers.contains_key(&poison) && !world.answers.contains_key(&refused));
    world.sync(usize::MAX);
    assert!(matches!(world.answers[&refused], Err(Refusal::Held { .. })));
    let (dropped, again) = (world.drop_held(session), world.drop_held(session));
    assert!(!world.answers.contains_key(&dropped) && !world.answers.contains_key(&again));
    world.sync(usize::MAX);
    assert_eq!(world.answers[&dropped], Ok(Answered::Ok));
    assert_eq!(world.answers[&again], Err(Refusal::UnknownSession(session)));
}

#[test]
fn what_the_disk_has_is_there_after_a_death_and_the_rest_never_was() {
    let (mut world, session) = world();
    world.turn(session, kind::JOIN, 7, COUNT);
    let failed = world.act(session, FAIL);
    world.settle_now();
    let unwritten = world.act(session, COUNT);
    world.settle_now_with(|_, _| true);
    let lost = world.crash(0, on_disk);
    assert_eq!(lost, [unwritten]);
    world.settle_now();
    assert_eq!(world.game.session_views(9)[0].seq, 3);
    // The same key again: it was never played, so it is played now.
    let again = world.turn_as(session, 3, kind::ACTION, 0, COUNT);
    let same = world.turn_as(session, 2, kind::ACTION, 0, FAIL);
    let seated = world.turn_as(session, 4, kind::JOIN, 7, COUNT);
    world.settle_now();
    assert_eq!(seq_of(&world, again), 4);
    assert_eq!(world.answers[&same], world.answers[&failed], "an answer outlives the supervisor");
    assert!(matches!(world.answers[&seated], Err(Refusal::AlreadyJoined { .. })));
    world.check_states();
}

#[test]
fn what_was_written_and_not_told_was_played_once() {
    let (mut world, session) = world();
    world.act(session, SEND);
    world.settle_now_with(|_, _| true);
    let lost = world.crash(1, on_disk);
    assert_eq!(lost.len(), 1);
    assert_eq!(world.outputs[&session].len(), 2, "a follower gets what it missed");
    let again = world.turn_as(session, 1, kind::ACTION, 0, SEND);
    world.settle_now();
    assert_eq!(seq_of(&world, again), 2);
    assert_eq!(world.outputs[&session].len(), 2, "and gets it once");
    world.check_states();
}

#[test]
fn a_session_comes_back_from_its_snapshot_with_all_that_is_beside_it() {
    let (mut world, session) = world();
    world.turn(session, kind::JOIN, 3, COUNT);
    for _ in 0..40 {
        world.act(session, SEND);
        world.settle_now();
    }
    for _ in 0..3 {
        world.crash(0, on_disk);
        world.settle();
        let same = world.turn_as(session, 41, kind::ACTION, 0, SEND);
        world.settle_now();
        assert_eq!(seq_of(&world, same), 42);
        assert!(world.count(|notice| matches!(notice, Notice::Diverged { .. })) == 0);
        let view = world.game.session_views(9).remove(0);
        assert_eq!((view.seq, view.outputs, view.players.len()), (42, 80, 1));
        assert!(view.records < 30, "{} records are kept", view.records);
    }
    world.check_states();
}

#[test]
fn a_host_call_keeps_its_name_over_the_supervisors_death() {
    let (mut world, session) = world();
    world.act(session, ASK);
    world.settle_now_with(|_, _| true);
    assert!(world.performed.is_empty(), "the intent comes first");
    world.sync(1);
    assert_eq!(world.performed.len(), 1);
    world.crash(0, on_disk);
    world.settle_now();
    let again = world.turn_as(session, 1, kind::ACTION, 0, ASK);
    world.settle_now();
    assert_eq!((seq_of(&world, again), world.performed.len()), (2, 2));
    world.check_states();
}

#[test]
fn an_open_that_the_disk_never_had_never_was() {
    let (mut world, _) = world();
    let (second, _) = world.open();
    world.settle_now_with(|_, _| true);
    // Its first entry alone comes to the disk.
    world.crash(1, on_disk);
    world.settle_now();
    assert!(world.game.session_views(9).iter().all(|view| view.session != second));
    world.crash(0, on_disk);
    assert_eq!(world.game.session_views(9).len(), 1);
}

#[test]
fn an_ended_session_still_answers_its_last_turn_after_a_death() {
    let (mut world, session) = world();
    let closed = world.turn(session, kind::CLOSE, 0, COUNT);
    world.settle_now();
    world.crash(0, on_disk);
    world.settle_now();
    let again = world.turn_as(session, 1, kind::CLOSE, 0, COUNT);
    let other = world.turn_as(session, 2, kind::ACTION, 0, COUNT);
    assert_eq!(world.answers[&again], world.answers[&closed]);
    assert_eq!(world.answers[&other], Err(Refusal::SessionClosed(session)));
}

#[test]
fn ticks_wait_for_a_disk_that_is_far_behind() {
    use croupier_core::event::Options;
    let (mut world, _) = world();
    let options = Options { tick_ns: Some(MS), ..Options::default() };
    let (ticking, _) = world.open_with(COUNT, options);
    world.settle_now();
    for _ in 0..2_500 {
        world.pass(10);
        world.settle_now_with(|_, _| true);
    }
    let waiting = world.disk.waiting.len();
    assert!((16_384..17_000).contains(&waiting), "{waiting} entries wait");
    world.sync(usize::MAX);
    world.settle_now();
    world.pass(10);
    world.settle_now();
    let late =
        world.records[&ticking].iter().filter(|entry| matches!(entry.verdict, Verdict::Skipped { .. }));
    assert!(late.count() > 0, "what is too late is left out, on record");
    world.check_states();
}

#[test]
fn a_process_session_beside_it_waits_for_no_disk_and_is_gone() {
    use croupier_core::event::Options;
    let (mut world, _) = world();
    let options = Options { durability: Some(Durability::Process), ..Options::default() };
    let (quick, _) = world.open_with(COUNT, options);
    let request = world.act(quick, COUNT);
    world.settle_now_with(|_, _| true);
    assert_eq!(seq_of(&world, request), 2);
}

#[test]
fn what_comes_at_once_waits_for_what_it_depends_on_itself() {
    let (mut world, kept) = world();
    let options = Options { durability: Some(Durability::Process), ..Options::default() };
    let (quick, _) = world.open_with(COUNT, options);
    world.settle_now();
    // Both turns are one step, and so are both answers.
    world.at_once = 100;
    let [slow, fast] = [kept, quick].map(|session| world.submit(turn(session, 7, (kind::ACTION, 0, COUNT))));
    world.settle_now_with(|_, _| true);
    assert!(!world.answers.contains_key(&slow), "the disk does not have it");
    assert_eq!(seq_of(&world, fast), 2, "it waits for nobody's disk");
    // Both again, with the same keys, the one that waits first.
    let [slow_again, fast_again] =
        [kept, quick].map(|session| world.submit(turn(session, 7, (kind::ACTION, 0, COUNT))));
    world.hear();
    assert!(!world.answers.contains_key(&slow_again), "what the other one depends on is nothing to it");
    assert_eq!(seq_of(&world, fast_again), 2);
    world.sync(usize::MAX);
    assert_eq!((seq_of(&world, slow), seq_of(&world, slow_again)), (2, 2));
}

#[test]
fn what_a_process_session_beside_it_leaves_out_comes_before_its_next_turn() {
    use croupier_core::event::Options;
    let mut world = World::new(|spec| {
        on_disk(spec);
        // One call at a time, and late ticks are left out.
        (spec.window_calls, spec.catch_up_ticks) = (1, 0);
    });
    let (slow, _) = world.open();
    let options =
        Options { tick_ns: Some(10 * MS), durability: Some(Durability::Process), ..Options::default() };
    let (quick, _) = world.open_with(COUNT, options);
    world.settle_now();
    // The worker has a turn of the one when ticks of the other are due: they are left out in the step that writes that turn.
    world.act(slow, COUNT);
    world.pass(100);
    world.act(quick, COUNT);
    // The made-up world sees that nothing is missing before it.
    world.settle_now_with(|_, _| true);
    let records = &world.records[&quick];
    let skipped = records.iter().position(|entry| matches!(entry.verdict, Verdict::Skipped { .. }));
    let played = records.iter().position(|entry| entry.kind == kind::ACTION);
    assert!(skipped.is_some() && skipped < played, "{records:?}");
    assert!(!world.disk.waiting.is_empty(), "the disk has written nothing yet");
}

#[test]
fn whoever_waits_for_a_plugin_that_does_not_start_is_told_and_the_session_stays_on_the_disk() {
    let (mut world, session) = world();
    world.act(session, COUNT);
    world.settle_now();
    world.crash(0, on_disk);
    let waiting = world.turn_as(session, 2, kind::ACTION, 0, COUNT);
    let worker = *world.workers.keys().next().expect("it is being started");
    world.die(worker, Cause::Start("no such file".to_owned()));
    let told = |answer: &Result<Answered, Refusal>| matches!(answer, Err(Refusal::Down { reason }) if reason.contains("no such file"));
    assert!(told(&world.answers[&waiting]), "{:?}", world.answers[&waiting]);
    assert!(world.stopped);
    let late = world.turn_as(session, 3, kind::ACTION, 0, COUNT);
    assert!(told(&world.answers[&late]), "{:?}", world.answers[&late]);
    assert_eq!((world.on_disk(), world.disk.waiting.len()), (vec![session], 0));
    world.crash(0, on_disk);
    world.settle_now();
    let again = world.turn_as(session, 2, kind::ACTION, 0, COUNT);
    world.settle_now();
    assert_eq!(seq_of(&world, again), 3, "it never had a number");
}

#[test]
fn without_room_ticks_wait_but_for_those_that_a_turn_waits_for() {
    let mut world = World::new(on_disk);
    let ticking = Options { tick_ns: Some(10 * MS), ..Options::default() };
    let (session, _) = world.open_with(COUNT, ticking);
    let in_memory = Options { durability: Some(Durability::Process), ..ticking };
    let (other, _) = world.open_with(COUNT, in_memory);
    let live = |world: &mut World| {
        (0..10).for_each(|_| {
            world.settle_now();
            world.pass(10);
        });
        world.settle_now();
    };
    let seq = |world: &World, session| world.game.session_view(session).expect("live").seq;
    live(&mut world);
    assert!(seq(&world, session) > 5 && seq(&world, other) > 5);
    world.step(Event::Room { room: Room::None });
    let (before, others) = (seq(&world, session), seq(&world, other));
    live(&mut world);
    assert_eq!(seq(&world, session), before, "what nobody asked for waits");
    assert!(seq(&world, other) > others + 5, "what is in memory needs no room");
    let turn = world.act(session, COUNT);
    world.settle_now();
    assert!(seq_of(&world, turn) > before + 1, "ticks that are due come before it");
    let before = seq(&world, session);
    live(&mut world);
    assert_eq!(seq(&world, session), before);
    world.step(Event::Room { room: Room::Enough });
    live(&mut world);
    assert!(seq(&world, session) > before + 5, "there is room, and nothing else had to happen");
    world.check_states();
}
