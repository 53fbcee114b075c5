//! Workers that do not keep to the protocol: none of it may do more than end the worker.

use croupier_core::action::{Run, ToWorker};
use croupier_core::event::{Answer, TurnAnswer};
use croupier_core::ids::{CallId, Payload, WorkerId};
use croupier_fair::entry::Effect;

use crate::clock::{GameAt, What};
use crate::sim::Sim;
use crate::station::{SECRET, Word};

/// What a worker does that it must not do.
#[derive(Debug, Clone, Copy)]
enum Lie {
    AnswersNoCall,
    WrongKind,
    SucceedsTwice,
    GivesOutWhatItMayNot,
    HelloAgain,
    AsksForNoCall,
    AsksOutOfOrder,
    TellsOfNoCall,
    TellsTooMuch,
}

const LIES: [Lie; 9] = [
    Lie::AnswersNoCall,
    Lie::WrongKind,
    Lie::SucceedsTwice,
    Lie::GivesOutWhatItMayNot,
    Lie::HelloAgain,
    Lie::AsksForNoCall,
    Lie::AsksOutOfOrder,
    Lie::TellsOfNoCall,
    Lie::TellsTooMuch,
];

impl Sim {
    /// A worker breaks the protocol. It goes on as if nothing had been.
    pub(crate) fn lie(&mut self, game: GameAt, worker: WorkerId, (call, message): (CallId, &ToWorker)) {
        let Some(lie) = self.dice.pick(&LIES) else { return };
        let is_turn = matches!(message, ToWorker::Turn(turn) if turn.run == Run::First);
        let nowhere = CallId(u64::MAX);
        let ask = |call, index| Word::Ask { call, index, name: "bank", args: Payload::from([]), asked: 1 };
        let secret = Effect::Emit { topic: SECRET.to_owned(), event: Payload::from([]) };
        let words = match lie {
            Lie::WrongKind => vec![Word::Answer(call, Answer::Snapshot(Payload::from([])))],
            Lie::SucceedsTwice if is_turn => vec![Word::Answer(call, done(7, vec![]))],
            Lie::GivesOutWhatItMayNot if is_turn => vec![Word::Answer(call, done(0, vec![secret]))],
            Lie::HelloAgain => vec![Word::Loaded],
            Lie::AsksForNoCall => vec![ask(nowhere, 0)],
            Lie::AsksOutOfOrder if is_turn => vec![ask(call, 77)],
            Lie::TellsOfNoCall => vec![Word::Refused { call: nowhere, count: u32::MAX }],
            Lie::TellsTooMuch => (0..20).map(|count| Word::Refused { call, count }).collect(),
            _ => vec![Word::Answer(nowhere, Answer::Ok)],
        };
        let now_ns = self.now_ns;
        for word in words {
            let Some(station) = self.station(game, worker) else { return };
            let at = station.say(now_ns, 0, word);
            self.agenda.at(at, What::Hear(game, worker));
        }
    }

    /// A worker says something out of place, whatever it is at.
    pub(crate) fn babble(&mut self, game: GameAt, worker: WorkerId) {
        let call = self.tables[game].stations.get(&worker).and_then(|station| station.awaited.front());
        let call = call.map_or(CallId(1), |(call, _)| *call);
        let args = Payload::from([]);
        let word = match self.dice.below(7) {
            0 => Word::Loaded,
            1 => Word::Answer(CallId(u64::MAX), Answer::Ok),
            2 => Word::Answer(CallId(u64::MAX), Answer::Failed { status: -9, text: String::new() }),
            3 => Word::Answer(CallId(u64::MAX), done(0, vec![])),
            4 => Word::Answer(CallId(u64::MAX), Answer::Snapshot(args)),
            5 => Word::Ask { call, index: 99, name: "bank", args, asked: 1 },
            _ => Word::Refused { call: CallId(u64::MAX), count: 1 },
        };
        let now_ns = self.now_ns;
        // Before it has said hello nobody listens.
        if let Some(station) =
            self.station(game, worker).filter(|station| !station.is_dead && station.fake.loaded)
        {
            let at = station.say(now_ns, 0, word);
            self.agenda.at(at, What::Hear(game, worker));
        }
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
