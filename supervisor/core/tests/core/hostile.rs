//! Workers that do not keep to the protocol: none of it may do more than end the worker.

use croupier_core::action::{Run, ToWorker};
use croupier_core::event::{Answer, Event, HostKey, TurnAnswer};
use croupier_core::ids::{CallId, Payload, SessionId, WorkerId};
use croupier_fair::entry::Effect;
use proptest::prelude::*;

use crate::world::World;

/// What a worker does that it must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hostility {
    AnswersNoCall,
    AnswersInTheWrongKind,
    SucceedsTwice,
    GivesOutWhatItMayNot,
    FailsAndGivesOut,
    SaysHelloAgain,
    AsksForNoCall,
    AsksOutOfOrder,
    TellsOfNoCall,
    Impersonates,
}

pub(crate) const HOSTILITIES: [Hostility; 10] = [
    Hostility::AnswersNoCall,
    Hostility::AnswersInTheWrongKind,
    Hostility::SucceedsTwice,
    Hostility::GivesOutWhatItMayNot,
    Hostility::FailsAndGivesOut,
    Hostility::SaysHelloAgain,
    Hostility::AsksForNoCall,
    Hostility::AsksOutOfOrder,
    Hostility::TellsOfNoCall,
    Hostility::Impersonates,
];

impl Arbitrary for Hostility {
    type Parameters = ();
    type Strategy = proptest::sample::Select<Hostility>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        proptest::sample::select(&HOSTILITIES[..])
    }
}

fn done(status: i32, effects: Vec<Effect>) -> Answer {
    Answer::Done(TurnAnswer {
        status,
        reply: Payload::from(*b"lie"),
        error: String::new(),
        effects,
        claimed: u64::MAX,
        seen: u64::MAX,
        snapshot: Some(Payload::from(*b"rubbish")),
        diverged: true,
    })
}

fn refusal(worker: WorkerId, call: CallId) -> Event {
    Event::RefusedInside { worker, call, permission: "send".to_owned(), count: u32::MAX }
}

impl World {
    /// The call that the worker has to answer next, and whether it is a turn's first run.
    fn head(&self, worker: WorkerId) -> Option<(CallId, bool)> {
        let slot = self.workers.get(&worker)?;
        if let Some((call, _, _)) = &slot.asking {
            return Some((*call, true));
        }
        let (call, message) = slot.inbox.front()?;
        Some((*call, matches!(message, ToWorker::Turn(turn) if turn.run == Run::First)))
    }

    /// Lets a worker break the protocol. Says whether it must be killed for it.
    pub(crate) fn be_hostile(&mut self, worker: WorkerId, how: Hostility) -> bool {
        let head = self.head(worker);
        let first_run = head.filter(|(_, first)| *first).map(|(call, _)| call);
        let answer = |call, answer| Event::Answer { worker, call, answer };
        let ask = |call, index| Event::HostCall {
            worker,
            call,
            index,
            name: "bank".to_owned(),
            args: Payload::from([]),
            asked: 1,
        };
        let secret = Effect::Emit { topic: "secret".to_owned(), event: Payload::from([]) };
        let send = Effect::Send { to: 1, message: Payload::from([]) };
        let event = match (how, head, first_run) {
            (Hostility::AnswersNoCall, ..) => answer(CallId(u64::MAX), Answer::Ok),
            (Hostility::AnswersInTheWrongKind, Some((call, _)), _) => {
                answer(call, Answer::Snapshot(Payload::from([])))
            }
            (Hostility::SucceedsTwice, _, Some(call)) => answer(call, done(7, vec![])),
            (Hostility::GivesOutWhatItMayNot, _, Some(call)) => answer(call, done(0, vec![secret])),
            (Hostility::FailsAndGivesOut, _, Some(call)) => answer(call, done(-1, vec![send])),
            (Hostility::SaysHelloAgain, ..) if self.workers[&worker].loaded => Event::WorkerLoaded { worker },
            (Hostility::AsksForNoCall, ..) => ask(CallId(u64::MAX), 0),
            (Hostility::AsksOutOfOrder, _, Some(call)) => ask(call, 77),
            (Hostility::TellsOfNoCall, ..) => refusal(worker, CallId(u64::MAX)),
            _ => {
                self.impersonate();
                return false;
            }
        };
        let kind_matters = how == Hostility::AnswersInTheWrongKind;
        self.step(event);
        !kind_matters
    }

    /// Somebody speaks for workers, sessions and calls that are not there.
    fn impersonate(&mut self) {
        let worker = WorkerId(u64::MAX);
        let call = CallId(1);
        let key = HostKey { session: SessionId(1), seq: 1, index: 9 };
        self.step(Event::WorkerLoaded { worker });
        self.step(Event::Answer { worker, call, answer: Answer::Ok });
        self.step(Event::HostAnswer { key, status: 0, answer: Payload::from([]) });
        self.step(Event::HostAnswer {
            key: HostKey { session: SessionId(u64::MAX), ..key },
            status: 0,
            answer: Payload::from([]),
        });
        self.step(Event::WorkerDied { worker, cause: croupier_core::event::Cause::Cpu });
    }
}

// Where a bug is planted they might find it.
#[cfg(not(feature = "planted"))]
mod cases {
    use super::*;
    use crate::world::{COUNT, MS};
    use croupier_core::action::{Answered, KillReason, Notice};

    #[test]
    fn whatever_a_worker_says_it_alone_is_ended_for_it() {
        for how in HOSTILITIES {
            let mut world = World::new(|_| {});
            let (session, _) = world.open();
            world.settle();
            let request = world.act(session, COUNT);
            let worker = *world.workers.keys().next().expect("a worker");
            if world.be_hostile(worker, how) {
                let killed = &world.workers[&worker].killed;
                assert!(matches!(killed, Some(KillReason::Protocol(_))), "{how:?}: {killed:?}");
            }
            world.settle();
            let answer = &world.answers[&request];
            assert!(matches!(answer, Ok(Answered::Done(_))), "{how:?}: {answer:?}");
            world.check_states();
        }
    }

    #[test]
    fn a_workers_word_about_refusals_is_told_so_often_and_no_more() {
        let mut world = World::new(|_| {});
        let (session, _) = world.open();
        world.settle();
        let request = world.act(session, COUNT);
        let worker = *world.workers.keys().next().expect("a worker");
        let (call, _) = world.head(worker).expect("a turn");
        let told = |world: &World| {
            let is_it = |notice: &&Notice| matches!(notice, Notice::RefusedInside { session: of, seq: 2, .. } if *of == session);
            world.notices.iter().filter(is_it).count()
        };
        for _ in 0..16 {
            world.step(refusal(worker, call));
        }
        assert_eq!((told(&world), &world.workers[&worker].killed), (16, &None));
        for _ in 0..100 {
            world.step(refusal(worker, call));
        }
        assert_eq!(told(&world), 16);
        assert!(
            matches!(&world.workers[&worker].killed, Some(KillReason::Protocol(why)) if why.contains("more than 16"))
        );
        world.settle();
        assert!(matches!(world.answers[&request], Ok(Answered::Done(_))));
    }

    #[test]
    fn a_worker_that_is_being_ended_is_not_listened_to() {
        let mut world = World::new(|spec| spec.turn_wall_ns = 10 * MS);
        let (session, _) = world.open();
        world.settle();
        world.act(session, COUNT);
        let worker = *world.workers.keys().next().expect("a worker");
        world.pass(10);
        assert!(world.workers[&worker].killed.is_some());
        let (call, _) = world.head(worker).expect("a turn");
        world.step(Event::HostCall {
            worker,
            call,
            index: 0,
            name: "bank".to_owned(),
            args: Payload::from([]),
            asked: 1,
        });
        assert!(world.questions.is_empty(), "nothing is performed for the dead");
        world.step(Event::Answer { worker, call, answer: done(0, vec![]) });
        world.settle();
        world.check_states();
    }
}
