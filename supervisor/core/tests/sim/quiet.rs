//! Quiet points: for a while nothing goes wrong, everybody gets an answer, and everything is looked at.

use croupier_core::Refusal;
use croupier_core::action::Answered;
use croupier_core::event::Input;
use croupier_core::ids::{Payload, PlayerId, RequestId, SessionId, kind};

use crate::clock::{GameAt, MS, S};
use crate::fake::{Faults, SCRATCH};
use crate::sim::{Asked, Sim};
use crate::station::Station;

/// After so long everybody must have an answer: hangs are found by deadlines of seconds, several in a row.
const ANSWERED_NS: u64 = 200 * S;
/// So often an operator looks whether something must be mended.
const LOOK_NS: u64 = 100 * MS;
/// The client that asks every session whether it is there.
const PROBE: u64 = 1_000;

impl Sim {
    /// Lets everything come to rest, and looks at it.
    pub(crate) fn quiet(&mut self) {
        self.tally.quiet += 1;
        self.is_calm = true;
        self.fill_disk(false);
        for table in &mut self.tables {
            (table.no_starts_until_ns, table.errs) = (0, false);
            table.stations.values_mut().for_each(Station::hurry);
            table.faults = Faults { no_snapshots: table.faults.no_snapshots, ..Faults::default() };
        }
        for game in 0..self.tables.len() {
            self.resend(game);
        }
        self.everybody_is_answered();
        let probes = self.probe();
        self.everybody_is_answered();
        self.check_probes(probes);
        self.check_workers();
        self.is_calm = false;
    }

    fn everybody_is_answered(&mut self) {
        let until_ns = self.now_ns + ANSWERED_NS;
        let mut look_ns = self.now_ns;
        loop {
            if self.now_ns >= look_ns {
                self.mend();
                look_ns = self.now_ns + LOOK_NS;
            }
            let waits = self.tables.iter().flat_map(|table| &table.requests).next();
            let Some((request, asked)) = waits else { return };
            assert!(self.now_ns < until_ns, "request {request} ({asked:?}) hangs");
            self.next();
        }
    }

    /// Every session is asked whether it is there.
    fn probe(&mut self) -> Vec<(GameAt, SessionId, RequestId)> {
        let mut probes = Vec::new();
        for game in 0..self.tables.len() {
            let sessions: Vec<SessionId> = self.tables[game].books.keys().copied().collect();
            for session in sessions {
                let state = self.tables[game].game.session_state(session);
                if state.is_none_or(|state| state == "held") {
                    continue;
                }
                let book = self.book(game, session);
                let at = book.client(PROBE);
                let client_seq = book.clients[at].next(|seq| Input {
                    kind: kind::ACTION,
                    player: PlayerId(0),
                    payload: Payload::from(format!("count#{PROBE}-{seq}").into_bytes()),
                    client_seed: Payload::from([]),
                });
                probes.extend(
                    self.submit(game, session, (at, client_seq)).map(|request| (game, session, request)),
                );
            }
        }
        probes
    }

    fn check_probes(&mut self, probes: Vec<(GameAt, SessionId, RequestId)>) {
        for (game, session, _) in probes {
            self.ends_if_full(game, session);
            let is_down = self.tables[game].game.down().is_some();
            let Some(book) = self.tables[game].books.get(&session) else { continue };
            let Some(probe) = book.clients.iter().find(|client| client.id == PROBE) else { continue };
            let Some(sent) = probe.sent.get(&probe.last) else { continue };
            let is_excuse = |refusal: &Refusal| {
                // One that is closing has no room for more.
                let is_closed = matches!(refusal, Refusal::SessionClosed(_));
                let is_full = matches!(refusal, Refusal::TooManyClients { .. } | Refusal::Resting { .. });
                is_closed || is_full || matches!(refusal, Refusal::Down { .. })
            };
            let excused =
                book.ended.is_some() || book.held || is_down || sent.refused.as_ref().is_some_and(is_excuse);
            match &sent.answer {
                Some(Ok(Answered::Done(done))) => assert!(done.seq <= book.seq),
                Some(Err(Refusal::Poison { .. } | Refusal::Plugin { .. })) => panic!("{:?}", sent.answer),
                _ => assert!(excused, "session {session} of game {game} does not answer: {:?}", sent.refused),
            }
        }
    }

    /// The supervisor's own close of a session that was idle fills a queue of one while the session is restored. Whoever has no room for that must be on its way out.
    fn ends_if_full(&mut self, game: GameAt, session: SessionId) {
        let is_full = |sim: &Sim| {
            let book = sim.tables[game].books.get(&session)?;
            let probe = book.clients.iter().find(|client| client.id == PROBE)?;
            let sent = probe.sent.get(&probe.last)?;
            let refused = sent.answer.is_none() && matches!(sent.refused, Some(Refusal::Busy { max: 1, .. }));
            (refused && book.ended.is_none() && !book.held).then_some(())
        };
        let (until_ns, mut look_ns) = (self.now_ns + ANSWERED_NS, self.now_ns);
        while is_full(self).is_some() {
            assert!(self.now_ns < until_ns, "session {session} of game {game} has no room, and does not end");
            if self.now_ns >= look_ns {
                self.mend();
                look_ns = self.now_ns + LOOK_NS;
            }
            self.next();
        }
    }

    /// What workers hold is what the records say.
    fn check_workers(&self) {
        for table in &self.tables {
            for (worker, station) in table.stations.iter().filter(|(_, station)| !station.is_dead) {
                for (session, state) in &station.fake.sessions {
                    if session.0 & SCRATCH != 0 {
                        continue;
                    }
                    let Some(book) = table.books.get(session) else { continue };
                    let is_theirs = book.owner.is_some_and(|(owner, calls)| owner == *worker && calls == 0);
                    let is_at_rest = table.game.session_state(*session) == Some("live")
                        && table
                            .game
                            .session_view(*session)
                            .is_some_and(|view| view.pending == 0 && view.seq == book.seq);
                    if is_theirs && is_at_rest {
                        assert_eq!(
                            *state, book.state,
                            "session {session} in worker {worker} is not what it was"
                        );
                    }
                }
            }
            for (request, asked) in &table.requests {
                assert!(matches!(asked, Asked::Verb), "request {request} ({asked:?}) hangs");
            }
        }
    }
}
