//! Sessions whose plugin keeps no state (`durability = "none"`): nothing is kept for them, and nobody who asks them notices a death.

use croupier_core::action::{Answered, EndReason, Notice};
use croupier_core::durable::Durability;
use croupier_core::event::{Cause, Event, Options};
use croupier_core::ids::kind;
use croupier_core::{Refusal, Spec};

use crate::world::{COUNT, FAIL, KILL, MS, World};

fn stateless(spec: &mut Spec) {
    spec.durability = Durability::None;
    spec.snapshots.turns = 2;
}

#[test]
fn nothing_is_on_record_but_the_opening_and_turns_go_on_after_a_death() {
    let mut world = World::new(stateless);
    let (session, _) = world.open_with(COUNT, Options { tick_ns: Some(10 * MS), ..Options::default() });
    world.settle_now();
    let joined = world.turn(session, kind::JOIN, 7, COUNT);
    for _ in 0..30 {
        world.act(session, COUNT);
        world.act(session, FAIL);
        world.pass(30);
        world.settle_now();
    }
    let view = world.game.session_views(9).remove(0);
    assert_eq!((view.records, view.snapshot_seq, view.is_parkable), (1, 0, false));
    assert!(view.seq > 90 && view.players.len() == 1);
    let unanswered = world.act(session, COUNT);
    let worker = *world.workers.keys().next().expect("a worker");
    world.die(worker, Cause::External { signal: 9 });
    world.pass(50);
    world.settle_now();
    // It is the fake plugin's state that shows that there was none to bring back.
    let Some(Ok(Answered::Done(done))) = world.answers.get(&unanswered) else { panic!("no answer") };
    assert_eq!((done.seq > view.seq, done.retries), (true, 1));
    let after = world.game.session_views(9).remove(0);
    assert_eq!((after.records, after.players.len()), (1, 1));
    assert!(matches!(world.answers[&joined], Ok(Answered::Done(_))));
    assert_eq!(world.count(|notice| matches!(notice, Notice::Diverged { .. })), 0);
}

#[test]
fn poison_is_found_all_the_same_and_leaves_no_record() {
    let mut world = World::new(stateless);
    let (session, _) = world.open();
    world.settle();
    let poison = world.act(session, KILL);
    world.settle();
    assert!(matches!(world.answers[&poison], Err(Refusal::Poison { .. })));
    let next = world.act(session, COUNT);
    world.settle();
    assert!(matches!(world.answers[&next], Ok(Answered::Done(_))));
    assert_eq!(world.game.session_views(9)[0].records, 1);
}

#[test]
fn a_planned_stop_parks_none_of_them_and_a_session_may_choose() {
    let mut world = World::new(stateless);
    world.open();
    let kept = Options { durability: Some(Durability::Process), ..Options::default() };
    let (kept, _) = world.open_with(COUNT, kept);
    world.settle();
    world.act(kept, COUNT);
    world.settle();
    let request = world.request();
    world.step(Event::Park { request });
    world.sync(usize::MAX);
    assert_eq!(world.answers.get(&request), Some(&Ok(Answered::Ok)));
    assert_eq!(world.on_disk(), [kept]);
}

#[test]
fn its_end_is_told_with_its_last_turn() {
    let mut world = World::new(stateless);
    let (session, _) = world.open();
    for _ in 0..7 {
        world.act(session, COUNT);
    }
    world.turn(session, kind::CLOSE, 0, b"");
    world.settle();
    let ended = |notice: &Notice| matches!(notice, Notice::SessionEnded { seq: 9, .. });
    assert_eq!(world.count(ended), 1);
}

#[test]
fn a_planned_stop_closes_them_with_a_turn_and_no_others() {
    let mut world = World::new(stateless);
    let sessions = [world.open().0, world.open().0];
    let kept = Options { durability: Some(Durability::Process), ..Options::default() };
    let (kept, _) = world.open_with(COUNT, kept);
    world.settle();
    let turn = world.act(sessions[0], COUNT);
    world.step(Event::CloseStateless);
    world.settle();
    assert!(world.answers[&turn].is_ok(), "what was accepted is played first");
    for session in sessions {
        assert_eq!(world.opened[&session].ended, Some(EndReason::Unloaded));
        assert_eq!(world.records[&session].last().map(|entry| entry.kind), Some(kind::CLOSE));
    }
    assert_eq!(world.game.session_views(9).len(), 1);
    let (late, _) = world.open();
    world.settle();
    world.suspend();
    world.settle();
    world.step(Event::CloseStateless);
    assert_eq!(world.opened[&late].ended, Some(EndReason::Unloaded), "no turn is played any more");
    assert_eq!(world.opened[&kept].ended, None);
}
