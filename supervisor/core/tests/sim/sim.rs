//! A machine with one supervisor and its games, simulated: the core is the real one, everything around it is made up.
//!
//! ```text
//!  agenda ─next─▶ what happens ─▶ Event ─▶ Game::step ─▶ actions ─perform─▶ links, workers, disk, clients ─▶ agenda
//!                                              └─▶ books: what everybody outside saw, checked as it is seen
//! ```
//!
//! All of it follows from one seed.

use std::collections::{BTreeMap, BTreeSet};

use croupier_core::action::{Action, Answered};
use croupier_core::event::Event;
use croupier_core::ids::{Now, RequestId, SessionId, WorkerId};
use croupier_core::lifecycle::State;
use croupier_core::{Game, Refusal};

use crate::book::Book;
use crate::clock::{Agenda, Dice, GameAt, MS, S, What};
use crate::coverage::Coverage;
use crate::disk::{Codec, Disk};
use crate::fake::Faults;
use crate::station::Station;
use crate::story::{brief, brief_action};
use crate::weather::{Knobs, Weather};

/// Bytes of a line of what is told when something is wrong.
const LINE_MAX: usize = 200;

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A client of the session, and its number.
    Turn(SessionId, usize, u64),
    Open(SessionId),
    Start,
    Park,
    Suspend,
    Verb,
}

/// One game and all that is around it.
pub(crate) struct Table {
    pub(crate) game: Game,
    pub(crate) knobs: Knobs,
    pub(crate) faults: Faults,
    /// Its turns fail by its own fault.
    pub(crate) errs: bool,
    pub(crate) stations: BTreeMap<WorkerId, Station>,
    pub(crate) books: BTreeMap<SessionId, Book>,
    /// Sessions that clients play in.
    pub(crate) open: Vec<SessionId>,
    pub(crate) requests: BTreeMap<RequestId, Asked>,
    /// When it is going to be woken.
    armed: Option<u64>,
    /// Until then no worker of it starts.
    pub(crate) no_starts_until_ns: u64,
    /// Things that happened to it that may be a reason to take it down.
    pub(crate) trouble: u32,
    /// It was stopped, and may be started.
    pub(crate) is_stopped: bool,
    /// What it has in memory alone is on the disk: the supervisor is about to go.
    pub(crate) parked: bool,
}

/// Whether there is a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supervisor {
    Up,
    /// It lets the games come to rest; then it parks what is in memory alone.
    Stopping,
    Parking,
    Down,
}

/// The whole machine.
pub(crate) struct Sim {
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    pub(crate) now_ns: u64,
    /// Between the wall clock and the one that only runs forward.
    pub(crate) wall_ns: u64,
    pub(crate) agenda: Agenda,
    /// Events that the core was given.
    pub(crate) events: u64,
    pub(crate) tables: Vec<Table>,
    pub(crate) disk: Disk,
    pub(crate) supervisor: Supervisor,
    pub(crate) coverage: Coverage,
    /// All games were parked before the supervisor went.
    pub(crate) is_parked: bool,
    /// Nothing goes wrong, and nobody asks for anything new.
    pub(crate) is_calm: bool,
    pub(crate) last_request: u64,
    pub(crate) last_session: u64,
    pub(crate) tally: Tally,
    /// From this event on what happens is kept for people.
    pub(crate) story_from: u64,
    story: String,
    actions: Vec<Action>,
    /// What the step that runs answered, and the sessions that it let something out of.
    pub(crate) answers: Vec<(RequestId, Result<Answered, Refusal>)>,
    pub(crate) touched: BTreeSet<SessionId>,
}

/// What happened, in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) turns: u64,
    pub(crate) answers: u64,
    pub(crate) sessions: u64,
    pub(crate) workers: u64,
    pub(crate) deaths: u64,
    pub(crate) supervisors: u64,
    pub(crate) parkings: u64,
    pub(crate) poison: u64,
    pub(crate) held: u64,
    pub(crate) adopted: u64,
    pub(crate) commits: u64,
    pub(crate) quiet: u64,
    pub(crate) downs: u64,
    /// Steps with several events.
    pub(crate) batches: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.turns += other.turns;
        self.answers += other.answers;
        self.sessions += other.sessions;
        self.workers += other.workers;
        self.deaths += other.deaths;
        self.supervisors += other.supervisors;
        self.parkings += other.parkings;
        self.poison += other.poison;
        self.held += other.held;
        self.adopted += other.adopted;
        self.commits += other.commits;
        self.quiet += other.quiet;
        self.downs += other.downs;
        self.batches += other.batches;
    }
}

impl Sim {
    /// A storm.
    pub(crate) fn storm(seed: u64, codec: Option<Codec>) -> Sim {
        let mut dice = Dice(seed);
        let mut weather = Weather::storm(&mut dice);
        if codec.is_some() {
            // It is about what the disk has after a death.
            weather.dies_ns /= 5;
        }
        Sim::new(seed, dice, weather, codec, Knobs::draw)
    }

    pub(crate) fn new(
        seed: u64,
        mut dice: Dice,
        weather: Weather,
        codec: Option<Codec>,
        knobs: impl Fn(&mut Dice) -> Knobs,
    ) -> Sim {
        let tables = (0..weather.games).map(|at| Table::new(at, knobs(&mut dice))).collect();
        let disk = Disk::new(weather.games, codec);
        let mut sim = Sim {
            seed,
            dice,
            weather,
            now_ns: S,
            wall_ns: 1_700_000_000 * S,
            agenda: Agenda::default(),
            events: 0,
            tables,
            disk,
            supervisor: Supervisor::Up,
            coverage: Coverage::new(),
            is_parked: false,
            is_calm: false,
            last_request: 0,
            last_session: 0,
            tally: Tally::default(),
            story_from: u64::MAX,
            story: String::new(),
            actions: Vec::new(),
            answers: Vec::new(),
            touched: BTreeSet::new(),
        };
        sim.set_out();
        sim
    }

    /// Everything that goes on by itself begins.
    fn set_out(&mut self) {
        let weather = self.weather.clone();
        for game in 0..self.tables.len() {
            self.start(game);
            for (mean_ns, what) in [
                (weather.client_ns, What::Client(game)),
                (weather.open_ns, What::Open(game)),
                (weather.reconnect_ns, What::Reconnect(game)),
                (weather.operator_ns, What::Operator(game)),
                (weather.trouble_ns, What::Trouble(game)),
            ] {
                self.some_time(mean_ns, what);
            }
        }
        self.some_time(weather.clock_ns, What::Clock);
        self.some_time(weather.stops_ns, What::SupervisorStops);
        self.some_time(weather.disk_full_ns, What::DiskRoom);
        self.some_time(weather.dies_ns, What::SupervisorDies);
    }

    /// It happens around so much later; never, for 0.
    pub(crate) fn some_time(&mut self, mean_ns: u64, what: What) {
        if mean_ns > 0 {
            let at = self.now_ns + 1 + self.dice.around(mean_ns);
            self.agenda.at(at, what);
        }
    }

    /// Runs until the core has been given so many events.
    pub(crate) fn run(&mut self, events: u64) {
        let mut quiet_at = self.weather.quiet_every;
        while self.events < events {
            self.next();
            if quiet_at > 0 && self.events >= quiet_at && self.supervisor == Supervisor::Up {
                self.quiet();
                quiet_at = self.events + self.weather.quiet_every;
            }
        }
        if self.weather.quiet_every > 0 {
            while self.supervisor != Supervisor::Up {
                self.next();
            }
            self.quiet();
        }
    }

    /// Runs until this time.
    pub(crate) fn run_until(&mut self, at_ns: u64) {
        while self.now_ns < at_ns {
            self.next();
        }
    }

    /// The next thing happens.
    pub(crate) fn next(&mut self) {
        let (at, what) = self.agenda.next().expect("something always goes on");
        self.wall_ns += at - self.now_ns;
        self.now_ns = at;
        self.happen(what);
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono_ns: self.now_ns, wall_ns: self.wall_ns }
    }

    fn happen(&mut self, what: What) {
        match what {
            // What was asked for earlier and is not wanted any more is nothing.
            What::Wake(game) if self.tables[game].armed != Some(self.now_ns) => {}
            What::Wake(game) => {
                self.tables[game].armed = None;
                self.coverage_of(game, "wake");
                self.feed(game, Event::Wake);
            }
            What::Work(game, worker) => self.work(game, worker),
            What::Hear(game, worker) => self.hear(game, worker),
            What::Kill(game, worker, why) => self.signal(game, worker, why),
            What::Platform(game, key) => self.platform_answers(game, key),
            What::Committed => self.committed(),
            What::Told(game, at) => {
                self.coverage_of(game, "durable");
                self.feed(game, Event::Durable { at });
            }
            What::Client(game) => self.client_acts(game),
            What::Open(game) => self.somebody_opens(game),
            What::Reconnect(game) => self.clients_come_back(game),
            What::Operator(game) => self.operator_acts(game),
            What::Impatient(game) => self.somebody_is_impatient(game),
            What::Trouble(game) => self.trouble(game),
            What::Clock => self.clock_is_set(),
            What::SupervisorDies => self.supervisor_dies(),
            What::SupervisorStops => self.supervisor_stops(),
            What::Parks => self.park(),
            What::SupervisorRises => self.supervisor_rises(),
            What::DiskRoom => self.disk_room(),
        }
    }

    /// Gives the core an event, and does what it says.
    pub(crate) fn feed(&mut self, game: GameAt, event: Event) {
        self.feed_all(game, vec![event]);
    }

    /// Gives the core events that came at once, and does what it says.
    pub(crate) fn feed_all(&mut self, game: GameAt, events: Vec<Event>) {
        self.tally.batches += u64::from(events.len() > 1);
        for event in &events {
            self.events += 1;
            if self.events >= self.story_from {
                self.note(game, &brief(event));
            }
        }
        let mut actions = std::mem::take(&mut self.actions);
        let now = self.now();
        self.tables[game].game.step_all(now, events, &mut actions);
        for action in actions.drain(..) {
            if self.events >= self.story_from {
                self.note(game, &format!("    {}", brief_action(&action)));
            }
            self.perform(game, action);
        }
        self.actions = actions;
        self.settle(game);
        self.arm(game);
    }

    fn note(&mut self, game: GameAt, what: &str) {
        let seconds = self.now_ns as f64 / S as f64;
        let what = &what[..what.floor_char_boundary(LINE_MAX)];
        self.story.push_str(&format!("{:>9} {seconds:>13.6} s  game {game}  {what}\n", self.events));
    }

    fn arm(&mut self, game: GameAt) {
        let Some(at) = self.tables[game].game.next_wake() else { return };
        let at = at.max(self.now_ns);
        if self.tables[game].armed.is_none_or(|armed| at < armed) {
            self.tables[game].armed = Some(at);
            self.agenda.at(at, What::Wake(game));
        }
    }

    /// The row of the table of plugins, and the event.
    pub(crate) fn coverage_of(&mut self, game: GameAt, event: &str) {
        let table = &self.tables[game];
        let state = table.game.state();
        let is_down = table.game.down().is_some() && state != State::Unloaded;
        let row = if is_down { "down".to_owned() } else { state.to_string() };
        self.coverage.plugin(&row, event);
    }

    /// What happened last, for people.
    pub(crate) fn story(&mut self) -> String {
        std::mem::take(&mut self.story)
    }
}

impl Table {
    fn new(at: GameAt, knobs: Knobs) -> Table {
        Table {
            game: Game::new(knobs.spec(&format!("game{at}"), 0)),
            knobs,
            faults: Faults::default(),
            errs: false,
            stations: BTreeMap::new(),
            books: BTreeMap::new(),
            open: Vec::new(),
            requests: BTreeMap::new(),
            armed: None,
            no_starts_until_ns: 0,
            trouble: 0,
            is_stopped: false,
            parked: false,
        }
    }

    /// The supervisor is gone, and with it everything but the books.
    pub(crate) fn lose_supervisor(&mut self) {
        self.stations.clear();
        self.requests.clear();
        self.armed = None;
        self.is_stopped = false;
        self.parked = false;
    }
}

/// So long after it was asked to stop the supervisor parks what is in memory alone.
pub(crate) const GRACE_NS: u64 = 300 * MS;
