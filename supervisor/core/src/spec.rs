//! What a game is told about its plugin and its limits. Filled in by the driver from the manifest and the operator's config.

use std::collections::BTreeSet;

use crate::durable::Durability;
use crate::ids::Payload;
use crate::policy::breaker::BreakerPolicy;
use crate::policy::conduct::ConductPolicy;
use crate::policy::restart::RestartPolicy;

/// Everything that one game goes by. Counts are inclusive maxima; times are nanoseconds.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The plugin's name.
    pub name: String,
    /// blake3 of the plugin file.
    pub digest: [u8; 32],
    /// The version of the snapshots that it writes.
    pub state_version: u32,
    /// The operator's settings for the plugin, a JSON object.
    pub settings: Payload,
    /// Most players at a table.
    pub players_max: u32,
    /// Whether only players who joined may act.
    pub join: Join,
    /// What the plugin's turns may give out, as its workers are told. Less may be allowed later: [`crate::Event::Permit`].
    pub grants: Grants,
    /// Most accepted turns that wait in one session, unless the session's options say otherwise.
    pub queue_max: u32,
    /// Most callers that wait for room in one session's queue.
    pub lobby_max: u32,
    /// Most calls in flight on one worker.
    pub window_calls: usize,
    /// Calls in flight on a worker at which it gets no more for sessions that nobody waits for: one that somebody waits for would be behind all of them three times, with its snapshot,
    /// its turns on record and its next one.
    pub background_calls: usize,
    /// Most turns of one session in flight.
    pub flights_max: usize,
    /// Longest that one turn may take by the wall clock.
    pub turn_wall_ns: u64,
    /// Longest that loading, `init`, or one restore may take by the wall clock.
    pub load_wall_ns: u64,
    /// When snapshots are taken.
    pub snapshots: SnapshotPolicy,
    /// Outputs that each session keeps for followers that reconnect.
    pub outputs_kept: usize,
    /// Clients whose answers one session remembers.
    pub clients_max: usize,
    /// Live and held sessions of this game.
    pub sessions_max: usize,
    /// Late ticks that are caught up; beyond, time is skipped.
    pub catch_up_ticks: u64,
    /// Poison turns after which a session is held.
    pub poison_max: u32,
    /// When dead workers are replaced.
    pub restart: RestartPolicy,
    /// Workers that serve, each with its share of the sessions; 1 to [`crate::game::REPLICAS_MAX`].
    pub replicas: u32,
    /// Spare workers that take the place of dead ones at once, up to [`crate::game::STANDBYS_MAX`].
    pub standbys: u32,
    /// When a plugin that answers with faults is given a rest.
    pub breaker: BreakerPolicy,
    /// How its workers are watched apart from their turns.
    pub watch: WatchPolicy,
    /// What a session survives unless its options say otherwise.
    pub durability: Durability,
    /// Whether somebody keeps transcripts; without, no [`Action::Record`](crate::action::Action::Record) is made.
    pub transcripts: bool,
    /// The first entry of the durable journal that this game writes, minus one: what is on the disk already.
    pub journal_at: u64,
    /// Period of ticks unless the session's options say otherwise; 0 for none.
    pub tick_ns: u64,
    /// Idle time-out unless the session's options say otherwise; 0 for never.
    pub idle_ns: u64,
}

/// Who may act at a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Only players who joined.
    Required,
    /// The game seats players itself and checks them.
    Optional,
}

/// What a plugin's turns may give out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `send` to players.
    pub send: bool,
    /// Topics that it may `emit` on.
    pub emit: BTreeSet<String>,
    /// Host calls that it may make.
    pub call: BTreeSet<String>,
}

impl Grants {
    /// Whether a turn may give this out.
    pub fn allows(&self, effect: &croupier_fair::entry::Effect) -> bool {
        use croupier_fair::entry::Effect;
        match effect {
            Effect::Send { .. } => self.send,
            Effect::Emit { topic, .. } => self.emit.contains(topic),
        }
    }

    /// What both allow.
    #[must_use]
    pub fn and(&self, other: &Grants) -> Grants {
        Grants {
            send: self.send && other.send,
            emit: self.emit.intersection(&other.emit).cloned().collect(),
            call: self.call.intersection(&other.call).cloned().collect(),
        }
    }
}

/// A snapshot is taken with the next turn when any of these is reached since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Turns.
    pub turns: u64,
    /// Turns, when there is as much journal since the last snapshot as that one has bytes: then it costs no more than what it makes superfluous.
    pub turns_min: u64,
    /// Bytes of journal.
    pub bytes: usize,
    /// Time.
    pub age_ns: u64,
}

/// How workers are watched apart from their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchPolicy {
    /// A worker that had nothing to do for so long is pinged; 0 for never.
    pub ping_every_ns: u64,
    /// Longest that it may take to answer.
    pub ping_wall_ns: u64,
    /// Its memory limit; 0 when it has none.
    pub memory_bytes: u64,
    /// When a plugin that breaks its bounds is suspended.
    pub conduct: ConductPolicy,
}

const MS: u64 = 1_000_000;

impl Spec {
    /// A spec with the default limits; the caller sets what the manifest and config say.
    pub fn new(name: &str, digest: [u8; 32]) -> Spec {
        Spec {
            name: name.to_owned(),
            digest,
            state_version: 1,
            settings: Payload::from(*b"{}"),
            players_max: 10_000,
            join: Join::Required,
            grants: Grants::default(),
            queue_max: 1024,
            lobby_max: 100_000,
            window_calls: 256,
            background_calls: 32,
            flights_max: 64,
            turn_wall_ns: 5_000 * MS,
            load_wall_ns: 10_000 * MS,
            snapshots: SnapshotPolicy { turns: 128, turns_min: 16, bytes: 256 << 10, age_ns: 30_000 * MS },
            outputs_kept: 1024,
            clients_max: 256,
            sessions_max: 100_000,
            catch_up_ticks: 100,
            poison_max: 8,
            restart: RestartPolicy::default(),
            replicas: 1,
            standbys: 0,
            breaker: BreakerPolicy::default(),
            watch: WatchPolicy {
                ping_every_ns: 5_000 * MS,
                ping_wall_ns: 5_000 * MS,
                memory_bytes: 0,
                conduct: ConductPolicy::default(),
            },
            durability: Durability::Process,
            transcripts: true,
            journal_at: 0,
            tick_ns: 0,
            idle_ns: 0,
        }
    }
}
