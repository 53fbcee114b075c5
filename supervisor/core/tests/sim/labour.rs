//! What workers do: the next message, an answer, a death in the middle of it; and what the supervisor hears of that.

use croupier_core::action::ToWorker;
use croupier_core::event::{Answer, Cause, Event, HostKey};
use croupier_core::ids::{CallId, Payload, WorkerId};

use crate::clock::{GameAt, MS, S, US, What};
use crate::fake::{Deed, digest};
use crate::sim::Sim;
use crate::station::{Awaited, Station, Word};
use crate::weather::Reason;

/// How long a death takes to be noticed.
const REAP_NS: u64 = 100 * US;

/// So many times more often something goes wrong with what is not a turn.
const SELDOM: u64 = 30;

impl Sim {
    pub(crate) fn station(&mut self, game: GameAt, worker: WorkerId) -> Option<&mut Station> {
        self.tables[game].stations.get_mut(&worker)
    }

    /// A worker looks at what it was sent, and does one thing.
    pub(crate) fn work(&mut self, game: GameAt, worker: WorkerId) {
        let now_ns = self.now_ns;
        let Some(station) = self.station(game, worker) else { return };
        station.is_scheduled = false;
        if station.is_dead || station.is_hung {
            return;
        }
        if station.free_at_ns > now_ns {
            station.is_scheduled = true;
            let at = station.free_at_ns;
            return self.agenda.at(at, What::Work(game, worker));
        }
        station.receive(now_ns);
        let Some((call, message)) = station.fake.next() else { return self.look_again(game, worker) };
        if self.goes_wrong(game, worker, call, &message) {
            return;
        }
        let table = &mut self.tables[game];
        let Some(station) = table.stations.get_mut(&worker) else { return };
        let is_suspend = message == ToWorker::Suspend;
        let word = match station.fake.play(call, message, &mut table.faults) {
            Deed::Ok if is_suspend && self.dice.once_in(8) => {
                Word::Answer(call, Answer::Failed { status: -5, text: "not now".to_owned() })
            }
            Deed::Ok => Word::Answer(call, Answer::Ok),
            Deed::Failed => {
                Word::Answer(call, Answer::Failed { status: -2, text: "I do not know this".to_owned() })
            }
            Deed::Done(done) => Word::Answer(call, Answer::Done(done)),
            Deed::Ask(index, name, asked) => Word::Ask { call, index, name, args: Payload::from([]), asked },
            Deed::Die => {
                let at = station.die(now_ns, REAP_NS, Cause::Fault { signal: 11 });
                return self.agenda.at(at, What::Hear(game, worker));
            }
        };
        let slowness = station.slowness;
        let turn_ns = self.dice.around(self.weather.turn_ns) * slowness;
        let link_ns = self.dice.around(self.weather.link_ns);
        let Some(station) = self.station(game, worker) else { return };
        station.free_at_ns = now_ns + turn_ns;
        let at = station.say(now_ns + turn_ns, link_ns, word);
        self.agenda.at(at, What::Hear(game, worker));
        self.look_again(game, worker);
    }

    /// It goes on when it is free and there is something.
    fn look_again(&mut self, game: GameAt, worker: WorkerId) {
        let now_ns = self.now_ns;
        let Some(station) = self.station(game, worker) else { return };
        let next = if station.fake.inbox.is_empty() || station.fake.asking.is_some() {
            station.next_arrival()
        } else {
            Some(now_ns)
        };
        if let (Some(next), false) = (next, station.is_scheduled) {
            station.is_scheduled = true;
            let at = next.max(station.free_at_ns).max(now_ns);
            self.agenda.at(at, What::Work(game, worker));
        }
    }

    /// Whether something goes wrong in a worker instead of what it was asked.
    fn goes_wrong(&mut self, game: GameAt, worker: WorkerId, call: CallId, message: &ToWorker) -> bool {
        if self.is_calm {
            return false;
        }
        let now_ns = self.now_ns;
        // Before a worker serves, it is a start that fails.
        let is_init = matches!(message, ToWorker::Init { .. });
        // What is asked seldom goes wrong more often, so that it is seen.
        let share = if matches!(message, ToWorker::Turn(_) | ToWorker::CallAnswer(_)) { 1 } else { SELDOM };
        if self.dice.once_in(self.weather.dies_in / share) || (is_init && self.dice.once_in(60)) {
            let cause = if self.weather.dies_in == 0 {
                Cause::External { signal: 9 }
            } else {
                self.dice.weighted(&[
                    (3, Cause::Fault { signal: 6 }),
                    (1, Cause::Exit { code: 1 }),
                    (1, Cause::Memory),
                    (1, Cause::Cpu),
                ])
            };
            let Some(station) = self.station(game, worker) else { return true };
            let at = station.die(now_ns, REAP_NS, cause);
            self.agenda.at(at, What::Hear(game, worker));
            return true;
        }
        if is_init && self.dice.once_in(80) {
            let link_ns = self.dice.around(self.weather.link_ns);
            let Some(station) = self.station(game, worker) else { return true };
            let refusal = Answer::Failed { status: -3, text: "not with these settings".to_owned() };
            let at = station.say(now_ns, link_ns, Word::Answer(call, refusal));
            self.agenda.at(at, What::Hear(game, worker));
            return true;
        }
        if self.dice.once_in(self.weather.hangs_in) {
            let Some(station) = self.station(game, worker) else { return true };
            station.is_hung = true;
            return true;
        }
        if self.dice.once_in(self.weather.hostile_in / share) {
            if share > 1 {
                self.babble(game, worker);
            } else {
                self.lie(game, worker, (call, message));
            }
        }
        false
    }

    /// A signal that the supervisor sent arrives.
    pub(crate) fn signal(&mut self, game: GameAt, worker: WorkerId, why: Reason) {
        let now_ns = self.now_ns;
        let uses_cpu = self.dice.once_in(3) && self.weather.dies_in > 0;
        let Some(station) = self.station(game, worker) else { return };
        if station.is_dead {
            return;
        }
        let cause = match why {
            Reason::Retired => Cause::Asked,
            Reason::Deadline if uses_cpu => Cause::Cpu,
            Reason::Deadline => Cause::Deadline,
            Reason::Protocol => Cause::Protocol("as it was told".to_owned()),
            Reason::Init => Cause::Start("it refused its settings".to_owned()),
        };
        let at = station.die(now_ns, REAP_NS, cause);
        self.agenda.at(at, What::Hear(game, worker));
    }

    /// The next word of a worker reaches the supervisor.
    pub(crate) fn hear(&mut self, game: GameAt, worker: WorkerId) {
        let Some(station) = self.station(game, worker) else { return };
        let answers = station.answers_at_front();
        if answers > 1 && self.dice.once_in(2) {
            return self.hear_answers(game, worker, answers);
        }
        let Some(station) = self.station(game, worker) else { return };
        let Some(word) = station.out.pop_front() else { return };
        self.cover(game, worker, &word);
        match word {
            Word::Loaded => {
                if let Some(station) = self.station(game, worker) {
                    station.fake.loaded = true;
                }
                self.feed(game, Event::WorkerLoaded { worker });
            }
            Word::Answer(call, answer) => self.hear_answer(game, worker, call, answer),
            Word::Ask { call, index, name, args, asked } => {
                let name = name.to_owned();
                self.feed(game, Event::HostCall { worker, call, index, name, args, asked });
            }
            Word::Refused { call, count } => {
                let permission = "send".to_owned();
                self.feed(game, Event::RefusedInside { worker, call, permission, count });
            }
            Word::Died(cause) => self.hear_death(game, worker, cause),
        }
    }

    /// Answers that came at once are heard in one step.
    fn hear_answers(&mut self, game: GameAt, worker: WorkerId, most: usize) {
        let count = 1 + self.dice.below(most as u64) as usize;
        let (mut events, mut awaited) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let Some(word) = self.station(game, worker).and_then(|station| station.out.pop_front()) else {
                break;
            };
            self.cover(game, worker, &word);
            let Word::Answer(call, answer) = word else { unreachable!("they are answers") };
            awaited.extend(self.tick_off(game, worker, call, &answer));
            events.push(Event::Answer { worker, call, answer });
        }
        self.feed_all(game, events);
        self.await_again(game, worker, awaited);
    }

    fn hear_answer(&mut self, game: GameAt, worker: WorkerId, call: CallId, answer: Answer) {
        let awaited = self.tick_off(game, worker, call, &answer);
        self.feed(game, Event::Answer { worker, call, answer });
        self.await_again(game, worker, awaited);
    }

    /// An answer is awaited no more, if it is one.
    fn tick_off(
        &mut self,
        game: GameAt,
        worker: WorkerId,
        call: CallId,
        answer: &Answer,
    ) -> Option<(CallId, Awaited)> {
        let table = &mut self.tables[game];
        let station = table.stations.get_mut(&worker)?;
        let is_heard = !station.is_killed && station.awaited.front().is_some_and(|(head, _)| *head == call);
        let awaited = if is_heard { station.awaited.pop_front() } else { None };
        if let Some((_, awaited)) = awaited
            && let Some(book) = awaited.session().and_then(|session| table.books.get_mut(&session))
        {
            book.came_from(worker);
            book.trouble +=
                u32::from(matches!((awaited, answer), (Awaited::Restore(_), Answer::Failed { .. })));
        }
        awaited
    }

    /// When the worker is ended for them they were no answers, and are still awaited.
    fn await_again(
        &mut self,
        game: GameAt,
        worker: WorkerId,
        awaited: impl IntoIterator<Item = (CallId, Awaited), IntoIter: DoubleEndedIterator>,
    ) {
        if let Some(station) = self.station(game, worker)
            && station.is_killed
        {
            awaited.into_iter().rev().for_each(|awaited| station.awaited.push_front(awaited));
        }
    }

    fn hear_death(&mut self, game: GameAt, worker: WorkerId, cause: Cause) {
        self.tally.deaths += 1;
        let table = &mut self.tables[game];
        let Some(station) = table.stations.remove(&worker) else { return };
        let blames = cause.counts() || cause == Cause::Deadline;
        let is_start = matches!(cause, Cause::Start(_));
        table.trouble += u32::from(blames || is_start);
        let alone = station.awaited.len() == 1;
        for (_, awaited) in &station.awaited {
            let Some(book) = awaited.session().and_then(|session| table.books.get_mut(&session)) else {
                continue;
            };
            book.trouble += u32::from(blames);
            book.losses += 1;
            if let (Awaited::Turn(_, seq), true, true) = (awaited, alone, cause.counts()) {
                *book.kills.entry(*seq).or_default() += 1;
            }
        }
        for book in table.books.values_mut() {
            book.lost(worker);
        }
        self.feed(game, Event::WorkerDied { worker, cause });
    }

    fn cover(&mut self, game: GameAt, worker: WorkerId, word: &Word) {
        let table = &self.tables[game];
        let Some(role) = table.game.worker_state(worker) else { return };
        let awaited =
            table.stations.get(&worker).and_then(|station| station.awaited.front()).map(|(_, what)| *what);
        let (event, of_session) = match word {
            Word::Loaded => ("loaded", None),
            Word::Answer(_, Answer::Ok) => ("ok", Some("restored")),
            Word::Answer(_, Answer::Failed { .. }) => ("failed", None),
            Word::Answer(_, Answer::Done(_)) => (
                "done",
                Some(if matches!(awaited, Some(Awaited::Replay(_))) { "replayed" } else { "played" }),
            ),
            Word::Answer(_, Answer::Snapshot(_)) => ("snapshot", None),
            Word::Ask { .. } => ("host-call", Some("asks")),
            Word::Refused { .. } => ("refused", None),
            Word::Died(Cause::Asked) => ("asked", None),
            Word::Died(Cause::Start(_)) => ("no-start", None),
            Word::Died(cause) => (if cause.counts() { "crash" } else { "killed" }, Some("worker-died")),
        };
        let session = awaited.and_then(Awaited::session);
        let state = session.and_then(|session| self.session_word(game, session));
        self.coverage.worker(role, awaited, event);
        if let (Some(state), Some(event)) = (state, of_session) {
            self.coverage.session(state, event);
        }
    }

    /// The platform answers, the same thing each time.
    pub(crate) fn platform_answers(&mut self, game: GameAt, key: HostKey) {
        let answer = Payload::from(digest((key.session, key.seq, key.index)).to_le_bytes());
        if let Some(state) = self.session_word(game, key.session) {
            self.coverage.session(state, "told");
        }
        self.feed(game, Event::HostAnswer { key, status: 0, answer });
    }

    /// The row of a session in the table of sessions.
    pub(crate) fn session_word(
        &self,
        game: GameAt,
        session: croupier_core::ids::SessionId,
    ) -> Option<&'static str> {
        let game = &self.tables[game].game;
        Some(match game.session_state(session) {
            Some(state) => state,
            None if game.remembers(session) => "over",
            None => "none",
        })
    }

    /// Something breaks in some worker of a game.
    pub(crate) fn trouble(&mut self, game: GameAt) {
        self.some_time(self.weather.trouble_ns, What::Trouble(game));
        if self.is_calm {
            return;
        }
        let now_ns = self.now_ns;
        let workers: Vec<WorkerId> = self.tables[game].stations.keys().copied().collect();
        let Some(worker) = self.dice.pick(&workers) else { return };
        let kind = self.dice.below(24);
        let many = kind == 0;
        let stop_ns = self.dice.around(200 * MS);
        match kind {
            0..=7 => {
                // From outside, one or all of them at once.
                for worker in if many { workers } else { vec![worker] } {
                    let Some(station) = self.station(game, worker) else { continue };
                    if !station.is_dead {
                        let at = station.die(now_ns, REAP_NS, Cause::External { signal: 9 });
                        self.agenda.at(at, What::Hear(game, worker));
                    }
                }
            }
            10..=12 => self.station(game, worker).into_iter().for_each(|station| {
                station.free_at_ns = station.free_at_ns.max(now_ns) + stop_ns;
            }),
            13 => self.station(game, worker).into_iter().for_each(|station| station.stall(now_ns + stop_ns)),
            14 if self.weather.hostile_in > 0 => self.babble(game, worker),
            8..=9 if self.weather.dies_in > 0 => {
                // By itself, whatever it is at.
                if let Some(station) = self.station(game, worker).filter(|station| !station.is_dead) {
                    let at = station.die(now_ns, REAP_NS, Cause::Fault { signal: 6 });
                    self.agenda.at(at, What::Hear(game, worker));
                }
            }
            15 if self.dice.once_in(8) => {
                self.tables[game].no_starts_until_ns = now_ns + self.dice.around(2 * S);
            }
            15 if self.weather.hostile_in > 0 => self.babble(game, worker),
            _ => self.plugin_errs(game, kind),
        }
    }

    /// The plugin of a game does something wrong, once or for a while.
    fn plugin_errs(&mut self, game: GameAt, kind: u64) {
        let crashes = self.weather.dies_in > 0;
        let once = self.dice.below(3) as u32;
        let toggle = self.dice.once_in(2);
        let internal = self.dice.once_in(4);
        let faults = &mut self.tables[game].faults;
        match kind {
            16 => faults.refuse_restores += once,
            17 => faults.no_snapshots = toggle,
            18 => faults.blurts = toggle,
            19 if crashes => faults.snapshot_kills += once,
            20 if crashes => faults.scratch_kills += once,
            21 => faults.lies += once,
            22 => faults.fickle = true,
            _ => {}
        }
        if kind == 23 {
            self.tables[game].errs = internal;
        }
    }
}
