//! The supervisor's own life: its death, its planned stop, its next start; and its disk.

use std::collections::BTreeMap;

use croupier_core::Game;
use croupier_core::durable::{Change, Durability};
use croupier_core::event::{Event, Room};
use croupier_core::ids::SessionId;
use croupier_core::lifecycle::State;

use crate::clock::{GameAt, MS, S, US, What};
use crate::on_disk::{known, line};
use crate::people::Verb;
use crate::sim::{Asked, GRACE_NS, Sim, Supervisor};
use crate::weather::Knobs;

/// One commit of a good disk.
const COMMIT_NS: u64 = 800 * US;
/// A failed commit is tried again after so long.
const AGAIN_NS: u64 = S;
/// How long nobody is there.
const DOWN_NS: u64 = 200 * MS;

type Read = BTreeMap<SessionId, Vec<(u64, Change)>>;

impl Sim {
    /// The disk begins to write what waits, if it is not writing.
    pub(crate) fn write(&mut self) {
        if !self.disk.begin() {
            return;
        }
        let slow = !self.is_calm && self.dice.once_in(60);
        let mean_ns = if slow { 300 * MS } else { COMMIT_NS };
        let at = self.now_ns + self.dice.around(mean_ns);
        self.agenda.at(at, What::Committed);
    }

    /// The disk is done with what it was writing, or has failed.
    pub(crate) fn committed(&mut self) {
        let fails = self.disk.is_full || (!self.is_calm && self.dice.once_in(200));
        if fails {
            self.disk.fail();
            self.disk.in_trouble = true;
            if self.disk.begin() {
                self.agenda.at(self.now_ns + AGAIN_NS, What::Committed);
            }
            return;
        }
        self.disk.in_trouble = false;
        self.tally.commits += 1;
        let tables = &mut self.tables;
        let told = self.disk.commit(|game, entry| {
            if let Some(book) = tables[game].books.get_mut(&entry.session) {
                book.on_disk(&entry.change);
            }
        });
        for (game, at) in told {
            let when = self.now_ns + self.dice.around(20 * US);
            self.agenda.at(when, What::Told(game, at));
        }
        self.write();
    }

    /// The disk is full for a while, or has room again.
    pub(crate) fn disk_room(&mut self) {
        self.fill_disk(!self.disk.is_full && !self.is_calm);
        if self.disk.is_full {
            let at = self.now_ns + self.dice.around(S);
            self.agenda.at(at, What::DiskRoom);
        } else {
            self.some_time(self.weather.disk_full_ns, What::DiskRoom);
        }
    }

    /// The disk is full from now on, or has room; the games are told.
    pub(crate) fn fill_disk(&mut self, is_full: bool) {
        let was_full = std::mem::replace(&mut self.disk.is_full, is_full);
        if is_full == was_full || self.supervisor == Supervisor::Down {
            return;
        }
        let room = if is_full { Room::None } else { Room::Enough };
        for game in 0..self.tables.len() {
            self.coverage_of(game, "room");
            self.feed(game, Event::Room { room });
        }
    }

    /// Somebody sets the wall clock.
    pub(crate) fn clock_is_set(&mut self) {
        self.some_time(self.weather.clock_ns, What::Clock);
        if !self.is_calm {
            let jump_ns = self.dice.around(200 * MS);
            self.wall_ns = if self.dice.once_in(2) { self.wall_ns + jump_ns } else { self.wall_ns - jump_ns };
        }
    }

    /// The supervisor is killed.
    pub(crate) fn supervisor_dies(&mut self) {
        if self.is_calm || self.supervisor == Supervisor::Down {
            return self.some_time(self.weather.dies_ns, What::SupervisorDies);
        }
        self.go_down();
    }

    /// Nobody is there any more. What waited for the disk is there in part; everything else is gone.
    fn go_down(&mut self) {
        self.tally.supervisors += 1;
        self.agenda.life += 1;
        self.supervisor = Supervisor::Down;
        let tables = &mut self.tables;
        self.disk.cut(&mut self.dice, |game, entry| {
            if let Some(book) = tables[game].books.get_mut(&entry.session) {
                book.on_disk(&entry.change);
            }
        });
        for table in &mut self.tables {
            table.lose_supervisor();
        }
        self.some_time(DOWN_NS, What::SupervisorRises);
    }

    /// An operator stops the supervisor: it lets turns come to their end, writes down what is in memory alone, and goes.
    pub(crate) fn supervisor_stops(&mut self) {
        self.some_time(self.weather.stops_ns, What::SupervisorStops);
        if self.is_calm || self.supervisor != Supervisor::Up {
            return;
        }
        self.tally.parkings += 1;
        self.supervisor = Supervisor::Stopping;
        if self.dice.once_in(4) {
            // Not even time for that.
            return self.park();
        }
        for game in 0..self.tables.len() {
            self.verb(game, Verb::Suspend);
        }
        self.agenda.at(self.now_ns + GRACE_NS, What::Parks);
    }

    /// A suspend was answered; the supervisor may be waiting for that.
    pub(crate) fn game_is_at_rest(&mut self) {
        if self.supervisor == Supervisor::Stopping
            && !self.tables.iter().any(|table| table.requests.values().any(|asked| *asked == Asked::Suspend))
        {
            self.agenda.at(self.now_ns, What::Parks);
        }
    }

    /// What is in memory alone is written down.
    pub(crate) fn park(&mut self) {
        if self.supervisor != Supervisor::Stopping {
            return;
        }
        self.supervisor = Supervisor::Parking;
        for game in 0..self.tables.len() {
            for book in self.tables[game].books.values_mut() {
                book.is_promised =
                    book.durability == Durability::Process && book.seq > 0 && book.ended.is_none();
            }
            let request = self.request(game, Asked::Park);
            self.coverage_of(game, "park");
            self.feed(game, Event::Park { request });
        }
    }

    /// The disk has what was in memory alone of one game.
    pub(crate) fn game_is_parked(&mut self, game: GameAt) {
        self.tables[game].parked = true;
        if self.supervisor == Supervisor::Parking && self.tables.iter().all(|table| table.parked) {
            self.is_parked = true;
            self.agenda.at(self.now_ns, What::SupervisorDies);
        }
    }

    /// The next supervisor takes up what the disk has.
    pub(crate) fn supervisor_rises(&mut self) {
        self.supervisor = Supervisor::Up;
        for book in self.tables.iter_mut().flat_map(|table| table.books.values_mut()) {
            // A supervisor that died over it has lost what was in memory alone.
            book.is_promised &= self.is_parked;
        }
        self.is_parked = false;
        for game in 0..self.tables.len() {
            if self.weather.quiet_every > 0 && self.dice.once_in(3) {
                self.tables[game].knobs = Knobs::draw(&mut self.dice);
            }
            self.rise(game);
        }
        self.some_time(self.weather.dies_ns, What::SupervisorDies);
    }

    fn rise(&mut self, game: GameAt) {
        let spec = self.tables[game].knobs.spec(&format!("game{game}"), self.disk.at(game));
        let read = self.disk.read(game);
        let table = &mut self.tables[game];
        table.game = Game::new(spec);
        let is_lost = |session: &SessionId| !read.contains_key(session);
        table.books.retain(|session, book| {
            // What was in memory alone is lost, as was promised; and what nobody was told of.
            let was_on_disk = book.durability == Durability::Disk && book.seq > 0;
            let promised = (was_on_disk || book.is_promised) && book.ended.is_none();
            assert!(!(is_lost(session) && promised), "session {session} was on the disk and is nowhere");
            !is_lost(session) || book.ended.is_some()
        });
        for (session, changes) in &read {
            let Some(book) = table.books.get_mut(session) else { continue };
            book.may_close_again = has_ended(changes);
            if book.is_refused && !has_ended(changes) {
                // Whoever opened it was told that it is not there; that it is not came to no disk.
                (book.ended, book.is_refused) = (None, false);
            }
            let (last, asking) = known(changes);
            let is_process = book.durability == Durability::Process && !book.is_promised;
            if is_process && last < book.seq && !has_ended(changes) {
                // It was being parked when the supervisor died.
                table.books.remove(session);
            } else if book.ended.is_none() && !has_ended(changes) {
                book.came_back(last, &asking);
            }
        }
        let books = &table.books;
        table.open.retain(|session| books.contains_key(session) && !is_lost(session));
        for book in table.books.values_mut() {
            book.is_promised = false;
            book.owner = None;
            for client in &mut book.clients {
                client.connection_lost();
            }
            book.waiting.clear();
        }
        for (session, changes) in &read {
            self.coverage_of(game, "adopt");
            if !self.tables[game].books.contains_key(session) {
                // Ended so long ago that we have forgotten it.
                let is_over = has_ended(changes) || known(changes).0 <= 1;
                assert!(is_over, "session {session} is nobody's");
            }
            self.feed(game, Event::Adopt { session: *session, changes: changes.clone() });
        }
        self.catch_up(game, &read);
        self.disk.unpark(game, &read);
        self.start(game);
    }

    /// Followers come back for what they missed, and transcripts get the lines that they lack.
    fn catch_up(&mut self, game: GameAt, read: &Read) {
        for (session, changes) in read {
            let table = &mut self.tables[game];
            let Some(book) = table.books.get_mut(session) else { continue };
            let Some(view) = table.game.session_view(*session) else {
                // It ended, and what became of it in between is in no journal any more.
                if book.ended.is_none() && book.seq == 0 && !has_ended(changes) {
                    table.books.remove(session);
                    continue;
                }
                (book.cut_short, book.may_close_again) = (true, true);
                book.ended.get_or_insert((croupier_core::action::EndReason::Closed, self.now_ns));
                table.open.retain(|open| open != session);
                continue;
            };
            if !book.begun {
                panic!("session {session} is there, and its transcript has not begun");
            }
            for entry in changes.iter().filter_map(|(_, change)| line(change)) {
                book.line(&entry);
            }
            assert_eq!(view.seq.min(book.seq), book.seq, "session {session} came back older than it was");
            assert_eq!(
                view.poison as usize,
                book.poison.len(),
                "poison turns of session {session} are forgotten"
            );
            let missed = table.game.outputs(*session, book.outputs + 1);
            missed.expect("within the window").into_iter().for_each(|output| book.output(output));
            book.settle_outputs();
            book.held = view.state == "held";
            if !table.open.contains(session) {
                table.open.push(*session);
            }
        }
    }

    /// Whether every game is as an operator wants it.
    pub(crate) fn mend(&mut self) {
        for game in 0..self.tables.len() {
            let table = &self.tables[game];
            if table.is_stopped {
                self.start(game);
            } else if table.game.down().is_some() {
                self.verb(game, Verb::Release);
            } else if table.game.state() == State::Suspended {
                self.verb(game, Verb::Resume);
            }
        }
    }
}

fn has_ended(changes: &[(u64, Change)]) -> bool {
    matches!(changes, [(_, Change::Ended(_))])
}
