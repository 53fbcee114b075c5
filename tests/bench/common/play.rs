//! Turns of 64 bytes, played in the ways that are measured.

use std::collections::VecDeque;
use std::time::Duration;

use croupier_client::blocking::Session;
use croupier_client::{Input, Pending, Player};
use tokio::task::JoinSet;

/// The table itself: it needs no seat.
pub(crate) const HOUSE: Player = Player(0);

/// One in flight, round over these sessions, from `from` on.
pub(crate) fn one_by_one(sessions: &[Session], from: usize, turns: usize, payload: &[u8]) {
    for turn in from..from + turns {
        sessions[turn % sessions.len()].act(HOUSE, payload).expect("a turn");
    }
}

/// One caller who has always `in_flight` begun, round over these sessions.
pub(crate) fn many_in_flight(sessions: &[Session], in_flight: usize, turns: usize, payload: &[u8]) {
    let mut waiting: VecDeque<Pending> = VecDeque::new();
    for turn in 0..turns {
        if waiting.len() >= in_flight {
            waiting.pop_front().expect("some wait").wait().expect("a turn");
        }
        let input = Input::Action { player: HOUSE.0, payload: payload.to_vec() };
        waiting.push_back(sessions[turn % sessions.len()].begin(input));
    }
    for pending in waiting {
        pending.wait_for(Duration::from_secs(60)).expect("a turn");
    }
}

/// So many tasks for each session, each of which awaits one turn after the other.
pub(crate) async fn tasks(
    sessions: &[croupier_client::Session],
    each_session: usize,
    turns: usize,
    payload: &'static [u8],
) {
    let mut tasks = JoinSet::new();
    for session in sessions.iter().flat_map(|session| std::iter::repeat_n(session, each_session)) {
        let session = session.clone();
        tasks.spawn(async move {
            for _ in 0..turns {
                session.act(HOUSE, payload).await.expect("a turn");
            }
        });
    }
    tasks.join_all().await;
}

/// A thread for each session, which plays one turn after the other.
pub(crate) fn callers(sessions: &[Session], turns: usize, payload: &[u8]) {
    std::thread::scope(|scope| {
        for session in sessions {
            scope.spawn(move || {
                one_by_one(std::slice::from_ref(session), 0, turns, payload);
            });
        }
    });
}
