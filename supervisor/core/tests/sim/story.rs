//! Events and actions on one line each, for people who read what came before something that was found.

use croupier_core::action::{Action, ToWorker};
use croupier_core::durable::Change;
use croupier_core::event::{Answer, Event};

/// An event on one line.
pub(crate) fn brief(event: &Event) -> String {
    match event {
        Event::Open(open) => format!("Open {} {:?}", open.session, open.options),
        Event::Turn(turn) => {
            let payload = String::from_utf8_lossy(&turn.input.payload).into_owned();
            format!("Turn {} of {} kind {} {payload}", turn.request, turn.session, turn.input.kind)
        }
        Event::Adopt { session, changes } => format!("Adopt {session} with {} changes", changes.len()),
        Event::Answer { worker, call, answer: Answer::Done(done) } => {
            format!("Answer {worker} to call {call}: Done {} {}", done.status, done.error)
        }
        other => format!("{other:?}"),
    }
}

/// An action on one line.
pub(crate) fn brief_action(action: &Action) -> String {
    match action {
        Action::Send { worker, call, message: ToWorker::Turn(turn) } => {
            let (session, seq, kind, run) = (turn.session, turn.seq, turn.kind, turn.run);
            format!("Send {worker} call {call}: turn {seq} of {session}, kind {kind}, {run:?}")
        }
        Action::Record { session, entry } => {
            let payload = String::from_utf8_lossy(&entry.payload);
            format!("Record {} of {session}, kind {}, {payload}: {:?}", entry.seq, entry.kind, entry.verdict)
        }
        Action::Journal(entry) => {
            format!("Journal {} of {}: {}", entry.at, entry.session, brief_change(&entry.change))
        }
        other => format!("{other:?}"),
    }
}

fn brief_change(change: &Change) -> String {
    match change {
        Change::Played(played) => format!("Played {} {:?}", played.turn.seq, played.verdict),
        Change::Asking(asking) => format!("Asking {}", asking.turn.seq),
        Change::Snapshot(kept) => format!("Snapshot {} as of {}", kept.seq, kept.side.last_seq),
        Change::Parked(parked) => format!("Parked as of {}", parked.side.last_seq),
        Change::Opened(_) => "Opened".to_owned(),
        Change::Ended(ended) => format!("Ended {:?}", ended.reason),
        other => format!("{other:?}"),
    }
}
