//! What a run is like: how often what goes wrong, and how the games are set up. Drawn from the seed.

use croupier_core::Spec;
use croupier_core::action::KillReason;
use croupier_core::durable::Durability;
use croupier_core::policy::restart::RestartPolicy;

use crate::clock::{Dice, MS, S, US};

/// Why a worker is killed, as far as it matters for its cause of death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Retired,
    Deadline,
    Protocol,
    Init,
}

impl From<&KillReason> for Reason {
    fn from(why: &KillReason) -> Reason {
        match why {
            KillReason::Retired => Reason::Retired,
            KillReason::Deadline => Reason::Deadline,
            KillReason::Protocol(_) => Reason::Protocol,
            KillReason::Init(_) => Reason::Init,
        }
    }
}

/// How often what happens. Times are means in nanoseconds; 0 for never.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) games: usize,
    /// Sessions of each game.
    pub(crate) sessions: usize,
    /// Turns of clients, of each game.
    pub(crate) client_ns: u64,
    pub(crate) open_ns: u64,
    pub(crate) reconnect_ns: u64,
    pub(crate) operator_ns: u64,
    pub(crate) trouble_ns: u64,
    pub(crate) clock_ns: u64,
    pub(crate) dies_ns: u64,
    pub(crate) stops_ns: u64,
    pub(crate) disk_full_ns: u64,
    /// Of so many calls one kills its worker by itself; 0 for none.
    pub(crate) dies_in: u64,
    /// Of so many calls one hangs.
    pub(crate) hangs_in: u64,
    /// Of so many calls one is answered with something hostile.
    pub(crate) hostile_in: u64,
    /// Of so many turns one is deadly.
    pub(crate) deadly_in: u64,
    /// Of so many clients' turns one ends its session.
    pub(crate) close_in: u64,
    /// One way over a link, and the work of a turn.
    pub(crate) link_ns: u64,
    pub(crate) turn_ns: u64,
    /// Period of ticks, if any.
    pub(crate) tick_ns: u64,
    /// Core events between two quiet points.
    pub(crate) quiet_every: u64,
}

impl Weather {
    /// A storm: everything, all the time.
    pub(crate) fn storm(dice: &mut Dice) -> Weather {
        // One run in three is without deaths that can be laid at a turn's door, apart from turns that are deadly.
        let innocent = dice.once_in(3);
        Weather {
            games: 2 + dice.below(2) as usize,
            sessions: 3 + dice.below(8) as usize,
            client_ns: 300 * US + dice.below(2 * MS),
            open_ns: 20 * MS,
            reconnect_ns: 300 * MS,
            operator_ns: 400 * MS,
            trouble_ns: 30 * MS + dice.below(300 * MS),
            clock_ns: 2 * S,
            dies_ns: 1_500 * MS,
            stops_ns: 3 * S,
            disk_full_ns: 4 * S,
            dies_in: if innocent { 0 } else { 2_000 },
            hangs_in: 8_000,
            hostile_in: if innocent { 0 } else { 3_000 },
            deadly_in: 150,
            close_in: 300,
            link_ns: 10 * US + dice.below(300 * US),
            turn_ns: 5 * US + dice.below(100 * US),
            tick_ns: 5 * MS + dice.below(60 * MS),
            quiet_every: 20_000,
        }
    }

    /// Days with little in them: players come and go, and now and then something dies.
    pub(crate) fn calm(games: usize) -> Weather {
        Weather {
            games,
            sessions: 3,
            client_ns: 3 * S,
            open_ns: 60 * S,
            reconnect_ns: 300 * S,
            operator_ns: 7_200 * S,
            trouble_ns: 600 * S,
            clock_ns: 3_600 * S,
            dies_ns: 14_400 * S,
            stops_ns: 86_400 * S,
            disk_full_ns: 43_200 * S,
            dies_in: 20_000,
            hangs_in: 50_000,
            hostile_in: 50_000,
            deadly_in: 3_000,
            close_in: 150,
            link_ns: 50 * US,
            turn_ns: 50 * US,
            tick_ns: 30 * S,
            quiet_every: 0,
        }
    }
}

/// How one game is set up, until the supervisor starts again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knobs {
    snapshot_turns: u64,
    window_calls: usize,
    flights_max: usize,
    queue_max: u32,
    catch_up: u64,
    turn_wall_ns: u64,
    /// After so long without work a worker is pinged.
    ping_ns: u64,
    deaths_max: u32,
    standbys: u32,
    replicas: u32,
    breaker: bool,
    sessions_max: usize,
    durability: Durability,
}

impl Knobs {
    /// Anything that an operator may write into a config.
    pub(crate) fn draw(dice: &mut Dice) -> Knobs {
        Knobs {
            snapshot_turns: dice.weighted(&[(1, 1), (2, 3), (3, 8), (1, 1_000)]),
            window_calls: dice.weighted(&[(1, 1), (2, 4), (4, 256)]),
            flights_max: dice.weighted(&[(1, 1), (2, 3), (4, 64)]),
            queue_max: dice.weighted(&[(1, 1), (1, 4), (3, 1024)]),
            catch_up: dice.below(5),
            turn_wall_ns: dice.weighted(&[(4, 5 * S), (1, 40 * MS)]),
            ping_ns: 20 * MS,
            deaths_max: dice.weighted(&[(3, u32::MAX), (1, 20), (1, 3)]),
            standbys: dice.below(3) as u32,
            replicas: dice.weighted(&[(2, 1), (1, 2), (1, 3)]),
            breaker: dice.once_in(2),
            sessions_max: dice.weighted(&[(5, 1_000), (1, 6)]),
            durability: dice.weighted(&[(3, Durability::Disk), (1, Durability::Process)]),
        }
    }

    /// What most operators have.
    pub(crate) fn usual(durability: Durability) -> Knobs {
        Knobs {
            snapshot_turns: 64,
            window_calls: 256,
            flights_max: 64,
            queue_max: 1024,
            catch_up: 100,
            turn_wall_ns: 5 * S,
            ping_ns: 60 * S,
            deaths_max: 20,
            standbys: 1,
            replicas: 2,
            breaker: true,
            sessions_max: 1_000,
            durability,
        }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn spec(&self, name: &str, journal_at: u64) -> Spec {
        let mut spec = Spec::new(name, [1; 32]);
        spec.grants.send = true;
        spec.grants.emit.insert("table".to_owned());
        spec.grants.call.insert("bank".to_owned());
        spec.snapshots.turns = self.snapshot_turns;
        spec.window_calls = self.window_calls;
        spec.flights_max = self.flights_max;
        // As few, or as many: so that the limit is met by few sessions, too.
        spec.background_calls = self.flights_max.min(32);
        spec.queue_max = self.queue_max;
        spec.lobby_max = 40;
        spec.catch_up_ticks = self.catch_up;
        spec.turn_wall_ns = self.turn_wall_ns;
        spec.clients_max = 6;
        spec.players_max = 3;
        spec.poison_max = 4;
        spec.sessions_max = self.sessions_max;
        spec.restart =
            RestartPolicy { deaths_max: self.deaths_max, pause_max_ns: 200 * MS, ..RestartPolicy::default() };
        spec.standbys = self.standbys;
        spec.replicas = self.replicas;
        (spec.watch.ping_every_ns, spec.watch.ping_wall_ns) = (self.ping_ns, self.turn_wall_ns);
        if !self.breaker {
            spec.breaker.failures_percent = 0;
        }
        spec.durability = self.durability;
        spec.journal_at = journal_at;
        spec
    }
}
