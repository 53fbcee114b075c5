//! What the core wants done, done; and what it says, held against the books.

use croupier_core::Refusal;
use croupier_core::action::{Action, Answered, EndReason, Notice, Run, ToWorker};
use croupier_core::event::Event;
use croupier_core::ids::{CallId, RequestId, SessionId, WorkerId};

use crate::book::Book;
use crate::clock::{GameAt, MS, US, What};
use crate::fake::SCRATCH;
use crate::sim::{Asked, Sim};
use crate::station::{Awaited, Station, Word};
use crate::weather::Reason;
use croupier_core::event::Cause;

/// How long a start takes.
const START_NS: u64 = 2 * MS;

impl Sim {
    pub(crate) fn book(&mut self, game: GameAt, session: SessionId) -> &mut Book {
        let book = self.tables[game].books.get_mut(&session);
        book.unwrap_or_else(|| panic!("session {session} of game {game} is nobody's"))
    }

    pub(crate) fn perform(&mut self, game: GameAt, action: Action) {
        match action {
            Action::Spawn { worker } => self.spawn(game, worker),
            Action::Kill { worker, why } => {
                let reason = Reason::from(&why);
                let station = self.tables[game].stations.get_mut(&worker).expect("kills only what lives");
                station.is_killed = true;
                let at = self.now_ns + self.dice.around(20 * US);
                self.agenda.at(at, What::Kill(game, worker, reason));
            }
            Action::Send { worker, call, message } => self.send(game, worker, call, message),
            Action::Answer { request, result } => self.answers.push((request, result)),
            Action::Record { session, entry } => {
                self.tally.turns += 1;
                self.touched.insert(session);
                self.book(game, session).record(&entry);
            }
            Action::Output(output) => {
                self.touched.insert(output.session);
                self.book(game, output.session).output(output);
            }
            Action::Notice(notice) => self.noticed(game, notice),
            Action::TranscriptOpen { session, opened_ns, tick_ns, .. } => {
                self.book(game, session).begin(opened_ns, tick_ns);
            }
            Action::TranscriptClose { session, reason, .. } => self.closed(game, session, reason),
            Action::HostCall { key, name, .. } => {
                assert_eq!(name, "bank", "only what is granted");
                self.book(game, key.session).perform(key);
                let at = self.now_ns + self.dice.around(200 * US);
                self.agenda.at(at, What::Platform(game, key));
            }
            Action::Journal(entry) => {
                self.disk.take(game, *entry);
                self.write();
            }
            Action::Stopped => {
                assert!(self.tables[game].stations.is_empty(), "stopped, and workers are there");
                self.tables[game].is_stopped = true;
            }
        }
    }

    fn spawn(&mut self, game: GameAt, worker: WorkerId) {
        self.tally.workers += 1;
        let mut station = Station::new(&mut self.dice);
        if self.is_calm {
            station.hurry();
        }
        let start_ns = self.dice.around(START_NS) * station.slowness.min(10);
        let bad = !self.is_calm && self.now_ns < self.tables[game].no_starts_until_ns;
        let cause = match self.dice.below(60) {
            _ if bad => Some(Cause::Start("no such symbol".to_owned())),
            _ if self.is_calm => None,
            0 => Some(Cause::External { signal: 9 }),
            1 if self.dice.once_in(2) => Some(Cause::Start("no such symbol".to_owned())),
            2 if self.weather.dies_in > 0 => Some(Cause::Fault { signal: 11 }),
            _ => None,
        };
        let at = match cause {
            Some(cause) => station.die(self.now_ns, start_ns, cause),
            None => station.say(self.now_ns, start_ns, Word::Loaded),
        };
        self.agenda.at(at, What::Hear(game, worker));
        let before = self.tables[game].stations.insert(worker, station);
        assert!(before.is_none(), "worker {worker} is there twice");
    }

    fn send(&mut self, game: GameAt, worker: WorkerId, call: CallId, message: ToWorker) {
        let delay_ns = self.dice.around(self.weather.link_ns);
        let now_ns = self.now_ns;
        let awaited = awaited(&message);
        if let ToWorker::Turn(turn) = &message {
            self.book(game, turn.session).sent(turn);
        }
        let table = &mut self.tables[game];
        if let Some(session) = awaited.and_then(Awaited::session) {
            let stations = &table.stations;
            let is_over = |worker| stations.get(&worker).is_none_or(|station| station.is_killed);
            table.books.get_mut(&session).expect("a session of ours").goes_to(worker, is_over);
        }
        let station = table.stations.get_mut(&worker).expect("sends only to what lives");
        // An answer of the platform may be too late.
        assert!(
            !station.is_killed || awaited.is_none(),
            "worker {worker} is being killed, and sent something"
        );
        station.awaited.extend(awaited.map(|awaited| (call, awaited)));
        if station.is_dead {
            return;
        }
        let at = station.send(now_ns, delay_ns, call, message);
        if !station.is_scheduled {
            station.is_scheduled = true;
            let at = at.max(station.free_at_ns);
            self.agenda.at(at, What::Work(game, worker));
        }
    }

    fn closed(&mut self, game: GameAt, session: SessionId, reason: EndReason) {
        let now_ns = self.now_ns;
        self.tables[game].open.retain(|open| *open != session);
        // Repeated after the supervisor's death; by then we may have forgotten it.
        let Some(book) = self.tables[game].books.get_mut(&session) else { return };
        let before = book.ended.replace((reason, now_ns));
        let again = std::mem::take(&mut book.may_close_again) || book.is_refused;
        assert!(before.is_none() || again, "session {session} ended twice");
    }

    fn noticed(&mut self, game: GameAt, notice: Notice) {
        match notice {
            Notice::Denied { session, seq, permission, .. } => {
                self.book(game, session).denied.insert((seq, permission));
            }
            Notice::SessionHeld { session, reason } => {
                self.tally.held += 1;
                let book = self.book(game, session);
                // What was lost too often may only be tried alone, and then it is lost when that cannot be.
                let is_untried = book.losses > 0 && reason.starts_with("it must be tried in a spare worker");
                assert!(
                    book.trouble > 0 || is_untried,
                    "session {session} is held, and nothing had happened to it: {reason}"
                );
                book.held = true;
            }
            Notice::Poison { session, seq, .. } => {
                self.tally.poison += 1;
                let kills = self.book(game, session).kills.get(&seq).copied();
                let is_known = self.book(game, session).poison.contains(&seq);
                assert!(
                    is_known || kills.is_some_and(|kills| kills >= 2),
                    "turn {seq} of {session} is innocent"
                );
            }
            Notice::Down { reason } => {
                self.tally.downs += 1;
                let trouble = self.tables[game].trouble;
                assert!(trouble > 0, "game {game} is down, and nothing had happened to it: {reason}");
                (0..3).for_each(|_| self.some_time(20 * MS, What::Impatient(game)));
            }
            Notice::SessionAdopted { .. } => self.tally.adopted += 1,
            Notice::SessionUnreadable { session, reason } => {
                panic!("session {session} came to the disk whole, and cannot be read: {reason}")
            }
            _ => {}
        }
    }

    /// A step is over.
    pub(crate) fn settle(&mut self, game: GameAt) {
        for session in std::mem::take(&mut self.touched) {
            self.book(game, session).settle_outputs();
        }
        for (request, result) in std::mem::take(&mut self.answers) {
            self.answer(game, request, &result);
        }
    }

    fn answer(&mut self, game: GameAt, request: RequestId, result: &Result<Answered, Refusal>) {
        self.tally.answers += 1;
        let asked = self.tables[game].requests.remove(&request);
        let asked = asked
            .unwrap_or_else(|| panic!("request {request} was answered, went away, or never was: {result:?}"));
        match asked {
            Asked::Turn(session, client, client_seq) => {
                let book = self.book(game, session);
                book.waiting.remove(&request);
                book.answered(client, client_seq, result);
                if let Some(sent) = book.clients[client].sent.get_mut(&client_seq) {
                    sent.waiting.remove(&request);
                    sent.refused = result.as_ref().err().cloned();
                    // Which it may repeat.
                    sent.unheard |= matches!(result, Err(Refusal::NoRoom));
                }
            }
            Asked::Open(session) => self.open_answered(game, session, result),
            Asked::Start => {
                let down = matches!(result, Err(Refusal::Start(_)));
                assert!(
                    *result == Ok(Answered::Ok) || down || matches!(result, Err(Refusal::WrongState { .. }))
                );
            }
            Asked::Park => {
                assert_eq!(*result, Ok(Answered::Ok), "whatever it is doing, it can be parked");
                self.game_is_parked(game);
            }
            Asked::Suspend => self.game_is_at_rest(),
            Asked::Verb => {}
        }
    }

    /// Gives the core a request of somebody's.
    pub(crate) fn request(&mut self, game: GameAt, asked: Asked) -> RequestId {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.tables[game].requests.insert(request, asked);
        request
    }

    pub(crate) fn start(&mut self, game: GameAt) {
        self.tables[game].is_stopped = false;
        let request = self.request(game, Asked::Start);
        self.coverage_of(game, "start");
        if self.dice.once_in(3) {
            (0..2).for_each(|_| self.some_time(3 * MS, What::Impatient(game)));
        }
        self.feed(game, Event::Start { request });
    }
}

/// What an answer to this message will be about; none for one that has no answer of its own.
fn awaited(message: &ToWorker) -> Option<Awaited> {
    Some(match message {
        ToWorker::Init { .. } => Awaited::Init,
        ToWorker::Turn(turn) if turn.run == Run::Replay => Awaited::Replay(turn.session),
        ToWorker::Turn(turn) => Awaited::Turn(turn.session, turn.seq),
        ToWorker::Restore { session, .. } if session.0 & SCRATCH != 0 => Awaited::Try,
        ToWorker::Restore { session, .. } => Awaited::Restore(*session),
        ToWorker::Drop { .. } => Awaited::Drop,
        ToWorker::Ping => Awaited::Ping,
        ToWorker::Suspend => Awaited::Suspend,
        ToWorker::Resume => Awaited::Resume,
        ToWorker::Shutdown => Awaited::Shutdown,
        ToWorker::CallAnswer(_) => return None,
    })
}
