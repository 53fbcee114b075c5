//! Those outside: clients that play, repeat, lose their connection and come back; and operators.

use croupier_core::Refusal;
use croupier_core::action::{Answered, EndReason};
use croupier_core::durable::Durability;
use croupier_core::event::{Event, Input, LiveSessions, Open, Options, Turn, WhenFull};
use croupier_core::ids::{ClientId, Payload, PlayerId, RequestId, SessionId, kind};
use croupier_core::lifecycle::State;
use croupier_core::spec::Grants;
use croupier_fair::seed::ServerSeed;

use crate::book::Book;
use crate::clock::{GameAt, MS, S, What};
use crate::fake::{ASK, ASK_KILL, COUNT, DENIED, ERR, FAIL, KILL, SEND, TRAP};
use crate::sim::{Asked, Sim, Supervisor};

/// So long after its end a session is forgotten.
const FORGOTTEN_NS: u64 = 20 * S;

impl Sim {
    fn is_up(&self) -> bool {
        self.supervisor == Supervisor::Up && !self.is_calm
    }

    /// Some client of some session does something.
    pub(crate) fn client_acts(&mut self, game: GameAt) {
        self.some_time(self.weather.client_ns, What::Client(game));
        if !self.is_up() {
            return;
        }
        let Some(session) = self.a_session(game) else { return };
        let client = self.a_client(game, session);
        match self.dice.below(100) {
            0..=4 => self.repeats(game, session, client),
            5..=6 => self.goes_away(game, session, client),
            7 => self.reuses(game, session, client),
            8 => self.asks_for_what_is_not_there(game, session),
            _ => self.plays(game, session, client),
        }
    }

    /// Mostly one that is open.
    fn a_session(&mut self, game: GameAt) -> Option<SessionId> {
        if self.dice.once_in(40) {
            let all: Vec<SessionId> = self.tables[game].books.keys().copied().collect();
            return self.dice.pick(&all);
        }
        self.dice.pick(&self.tables[game].open)
    }

    fn a_client(&mut self, game: GameAt, session: SessionId) -> usize {
        let id = self.dice.weighted(&[(8, 1), (2, 2), (1, 3), (1, 4)]);
        self.book(game, session).client(id)
    }

    fn plays(&mut self, game: GameAt, session: SessionId, client: usize) {
        let kind = if self.dice.once_in(self.weather.close_in) {
            kind::CLOSE
        } else {
            self.dice.weighted(&[
                (600, kind::ACTION),
                (60, kind::JOIN),
                (50, kind::LEAVE),
                (20, 9),
                (1, kind::TICK),
            ])
        };
        let word = if self.tables[game].errs && !self.dice.once_in(4) {
            ERR
        } else if self.dice.once_in(self.weather.deadly_in) {
            self.dice.weighted(&[(8, KILL), (4, ASK_KILL), (1, TRAP)])
        } else {
            self.dice.weighted(&[(24, COUNT), (4, FAIL), (6, SEND), (5, ASK), (1, DENIED)])
        };
        // Joins and leaves are of players, and seldom fatal: a poison leave sets its session aside.
        let seated = matches!(kind, kind::JOIN | kind::LEAVE);
        let player = if seated || self.dice.once_in(3) { 1 + self.dice.below(4) } else { 0 };
        let word = if seated && word != FAIL && !self.dice.once_in(100) { COUNT } else { word };
        let times = self.dice.weighted(&[(20, 1), (1, 12)]);
        for _ in 0..times {
            let player_of = &mut self.book(game, session).clients[client];
            let id = player_of.id;
            let client_seq = player_of.next(|seq| Input {
                kind,
                player: PlayerId(player),
                payload: [word, format!("#{id}-{seq}").as_bytes()].concat().into(),
                client_seed: Payload::from([]),
            });
            self.submit(game, session, (client, client_seq));
        }
    }

    /// A client's turn on its way into the core, for the first time or again.
    pub(crate) fn submit(
        &mut self,
        game: GameAt,
        session: SessionId,
        (client, client_seq): (usize, u64),
    ) -> Option<RequestId> {
        // As the doors do it: while the disk is in trouble, nothing new that needs it is let in.
        let no_room = self.disk.in_trouble && !self.is_calm && self.book(game, session).is_durable();
        let when_full = if self.dice.once_in(4) { WhenFull::Refuse } else { WhenFull::Wait };
        let is_hasty = !self.is_calm && self.dice.once_in(8);
        let deadline_mono_ns = is_hasty.then(|| self.now_ns + self.dice.around(40 * MS));
        let request = self.request(game, Asked::Turn(session, client, client_seq));
        let book = self.book(game, session);
        let id = ClientId(book.clients[client].id);
        let sent = book.clients[client].sent.get_mut(&client_seq)?;
        sent.times += 1;
        sent.unheard = false;
        let input = sent.input.clone();
        sent.waiting.insert(request);
        book.waiting.insert(request, (client, client_seq));
        if let Some(state) = self.session_word(game, session) {
            self.coverage.session(state, "turn");
        }
        let turn =
            Turn { request, session, client: id, client_seq, input, when_full, no_room, deadline_mono_ns };
        self.feed(game, Event::Turn(turn));
        Some(request)
    }

    /// The same turn once more, with the same key.
    fn repeats(&mut self, game: GameAt, session: SessionId, client: usize) {
        let known: Vec<u64> = self.book(game, session).clients[client].sent.keys().copied().collect();
        if let Some(client_seq) = self.dice.pick(&known) {
            self.submit(game, session, (client, client_seq));
        }
    }

    /// A client goes away, and will come back.
    fn goes_away(&mut self, game: GameAt, session: SessionId, client: usize) {
        let book = self.book(game, session);
        let waiting = book.waiting.iter().filter(|(_, (of, _))| *of == client);
        let waiting: Vec<(RequestId, u64)> = waiting.map(|(request, (_, seq))| (*request, *seq)).collect();
        for (request, client_seq) in waiting {
            let book = self.book(game, session);
            book.waiting.remove(&request);
            if let Some(sent) = book.clients[client].sent.get_mut(&client_seq) {
                sent.waiting.remove(&request);
                sent.unheard = true;
            }
            self.tables[game].requests.remove(&request);
            if let Some(state) = self.session_word(game, session) {
                self.coverage.session(state, "cancel");
            }
            self.feed(game, Event::Cancel { request, session });
        }
    }

    /// A key is used for something else: that is refused, whatever happened since.
    fn reuses(&mut self, game: GameAt, session: SessionId, client: usize) {
        let book = self.book(game, session);
        let Some((client_seq, sent)) =
            book.clients[client].sent.iter().find(|(_, sent)| sent.answer.is_some())
        else {
            return;
        };
        let (client_seq, id) = (*client_seq, ClientId(book.clients[client].id));
        let input = Input { payload: Payload::from(*b"count"), ..sent.input.clone() };
        let request = self.request(game, Asked::Verb);
        let turn = Turn {
            request,
            session,
            client: id,
            client_seq,
            input,
            when_full: WhenFull::Wait,
            no_room: false,
            deadline_mono_ns: None,
        };
        self.feed(game, Event::Turn(turn));
    }

    /// A session that never was.
    fn asks_for_what_is_not_there(&mut self, game: GameAt, session: SessionId) {
        let nowhere = SessionId(session.0 + (1 << 40));
        let request = self.request(game, Asked::Verb);
        let input = Input {
            kind: kind::ACTION,
            player: PlayerId(0),
            payload: Payload::from(*b"count"),
            client_seed: Payload::from([]),
        };
        let client = ClientId(1);
        let turn = Turn {
            request,
            session: nowhere,
            client,
            client_seq: 1,
            input,
            when_full: WhenFull::Wait,
            no_room: false,
            deadline_mono_ns: None,
        };
        self.coverage.session("none", "turn");
        self.feed(game, Event::Turn(turn));
        assert!(!self.tables[game].requests.contains_key(&request), "nothing can be waited for there");
    }

    /// Clients that were not heard, or hear nothing, send again what they sent, with the same keys.
    pub(crate) fn clients_come_back(&mut self, game: GameAt) {
        self.some_time(self.weather.reconnect_ns, What::Reconnect(game));
        if self.supervisor == Supervisor::Up {
            self.resend(game);
            self.forget_sessions(game);
        }
    }

    /// Everything that a client does not know the end of, in the order in which it was sent.
    pub(crate) fn resend(&mut self, game: GameAt) {
        let mut again = Vec::new();
        for (session, book) in &mut self.tables[game].books {
            for (at, client) in book.clients.iter_mut().enumerate() {
                for (client_seq, sent) in client.sent.iter_mut().filter(|(_, sent)| sent.unheard) {
                    sent.unheard = false;
                    again.push((*session, (at, *client_seq)));
                }
            }
        }
        for (session, turn) in again {
            self.submit(game, session, turn);
        }
    }

    fn forget_sessions(&mut self, game: GameAt) {
        let now_ns = self.now_ns;
        let is_old = |book: &Book| book.ended.is_some_and(|(_, at)| now_ns - at > FORGOTTEN_NS);
        self.tables[game].books.retain(|_, book| !(is_old(book) && book.waiting.is_empty()));
    }

    /// Somebody opens a session, if there are too few.
    pub(crate) fn somebody_opens(&mut self, game: GameAt) {
        self.some_time(self.weather.open_ns, What::Open(game));
        let enough = self.tables[game].open.len() >= self.weather.sessions;
        if !self.is_up() || (enough && !self.dice.once_in(50)) {
            return;
        }
        self.last_session += 1;
        let session = SessionId(self.last_session);
        let config = self.dice.weighted(&[(60, COUNT), (2, FAIL), (1, KILL), (2, ASK), (1, SEND)]);
        let ticks = self.dice.once_in(4).then_some(self.weather.tick_ns);
        let options = Options {
            tick_ns: ticks,
            idle_ns: self.dice.once_in(6).then_some(self.weather.client_ns * 200),
            queue_max: self.dice.once_in(6).then_some(3),
            durability: self.dice.weighted(&[
                (9, None),
                (2, Some(Durability::Process)),
                (1, Some(Durability::None)),
            ]),
        };
        let durability = options.durability.unwrap_or(self.tables[game].knobs.durability());
        self.tables[game].books.insert(session, Book::new(session, durability));
        let request = self.request(game, Asked::Open(session));
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.dice.roll().to_le_bytes());
        let seed = ServerSeed::from_bytes(seed);
        self.coverage_of(game, "open");
        self.feed(game, Event::Open(Open { request, session, config: Payload::from(config), seed, options }));
    }

    pub(crate) fn open_answered(
        &mut self,
        game: GameAt,
        session: SessionId,
        result: &Result<Answered, Refusal>,
    ) {
        match result {
            Ok(Answered::Opened { session: of, done, .. }) => {
                assert_eq!((*of, done.seq), (session, 1));
                self.tally.sessions += 1;
                let table = &mut self.tables[game];
                let book = &table.books[&session];
                assert!(book.seq > 0, "session {session} is open, and it is not on record");
                if book.ended.is_none() {
                    table.open.push(session);
                }
            }
            Ok(other) => panic!("{other:?} is no answer to an open"),
            Err(_) => {
                let now_ns = self.now_ns;
                let book = self.book(game, session);
                assert!(book.seq <= 1, "refused, and played");
                book.is_refused = true;
                book.ended.get_or_insert((EndReason::OpenRefused, now_ns));
            }
        }
    }

    /// An operator does something, sensible or not.
    pub(crate) fn operator_acts(&mut self, game: GameAt) {
        self.some_time(self.weather.operator_ns, What::Operator(game));
        if self.supervisor != Supervisor::Up {
            return;
        }
        if self.tables[game].is_stopped {
            if !self.is_calm && self.dice.once_in(3) {
                self.some_verb(game);
            }
            return self.start(game);
        }
        let state = self.tables[game].game.state();
        let is_down = self.tables[game].game.down().is_some();
        if !self.is_calm && self.dice.once_in(3) {
            return self.some_verb(game);
        }
        if is_down {
            let verb = self.dice.weighted(&[(1, Verb::Release), (1, Verb::Restart)]);
            return self.verb(game, verb);
        }
        match state {
            State::Suspended => self.verb(game, Verb::Resume),
            State::Running => self.drop_held(game),
            _ => {}
        }
    }

    /// Whatever is under way, somebody asks for something else.
    pub(crate) fn somebody_is_impatient(&mut self, game: GameAt) {
        if !self.is_up() || self.tables[game].is_stopped {
            return;
        }
        match self.tables[game].game.state() {
            State::Suspended if self.dice.once_in(2) => self.verb(game, Verb::Resume),
            _ => self.some_verb(game),
        }
    }

    fn some_verb(&mut self, game: GameAt) {
        let verb = self.dice.weighted(&[
            (3, Verb::Suspend),
            (3, Verb::Resume),
            (4, Verb::Restart),
            (3, Verb::Scale),
            (2, Verb::Release),
            (1, Verb::Unload(LiveSessions::Refuse)),
            (1, Verb::Unload(LiveSessions::Close)),
            (2, Verb::Permit),
            (1, Verb::Start),
        ]);
        self.verb(game, verb);
    }

    pub(crate) fn verb(&mut self, game: GameAt, verb: Verb) {
        if verb == Verb::Start && self.tables[game].game.state() == State::Unloaded {
            // Only a driver starts what is unloaded, when it has heard that it has stopped.
            return;
        }
        let request = self.request(game, if verb == Verb::Suspend { Asked::Suspend } else { Asked::Verb });
        let (word, event) = match verb {
            Verb::Suspend => ("suspend", Event::Suspend { request }),
            Verb::Resume => ("resume", Event::Resume { request }),
            Verb::Restart => ("restart", Event::Restart { request }),
            Verb::Scale => ("scale", Event::Scale { request, replicas: 1 + self.dice.below(3) as u32 }),
            Verb::Release => ("release", Event::Release { request }),
            Verb::Unload(sessions) => ("unload", Event::Unload { request, sessions }),
            Verb::Start => ("start", Event::Start { request }),
            Verb::Permit => {
                self.tables[game].requests.remove(&request);
                let mut grants = Grants { send: self.dice.once_in(2), ..Grants::default() };
                grants.emit.extend(self.dice.once_in(2).then(|| "table".to_owned()));
                grants.call.extend(self.dice.once_in(2).then(|| "bank".to_owned()));
                ("permit", Event::Permit { grants })
            }
        };
        self.coverage_of(game, word);
        self.feed(game, event);
        if verb == Verb::Suspend {
            // Nobody suspends a game for long.
            (0..3).for_each(|_| self.some_time(self.weather.operator_ns / 10, What::Impatient(game)));
        } else if self.dice.once_in(6) {
            self.some_time(MS, What::Impatient(game));
        }
    }

    /// Sessions that are set aside are looked at and dropped; and sometimes one that is not.
    pub(crate) fn drop_held(&mut self, game: GameAt) {
        let sensible = !self.dice.once_in(4);
        let books = self.tables[game].books.values();
        let some: Vec<SessionId> = books.filter(|book| book.held == sensible).map(|book| book.id).collect();
        let Some(session) = self.dice.pick(&some) else { return };
        if let Some(state) = self.session_word(game, session) {
            self.coverage.session(state, "drop");
        }
        let request = self.request(game, Asked::Verb);
        self.feed(game, Event::DropHeld { request, session });
    }
}

/// What operators do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Suspend,
    Resume,
    Restart,
    Scale,
    Release,
    Unload(LiveSessions),
    Start,
    Permit,
}
