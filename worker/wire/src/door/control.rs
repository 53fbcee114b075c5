//! What operators ask, and what they are told.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// An operator's verb.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Verb {
    /// Load a plugin file. [`ControlReply::Plugins`] with the one.
    Load {
        /// Absolute path of the `.so`, as the supervisor sees it.
        path: String,
    },
    /// Unload a plugin; `force` ends its sessions.
    Unload {
        /// The plugin's name.
        plugin: String,
        /// What to do with live sessions.
        sessions: LiveSessions,
    },
    /// Suspend a plugin: its turns wait.
    Suspend {
        /// The plugin's name.
        plugin: String,
    },
    /// Resume it.
    Resume {
        /// The plugin's name.
        plugin: String,
    },
    /// Replace a plugin's workers by fresh ones; sessions go on.
    Restart {
        /// The plugin's name.
        plugin: String,
    },
    /// All plugins, or the one named. [`ControlReply::Plugins`].
    Plugins {
        /// Only this one.
        plugin: Option<String>,
    },
    /// Sessions, live and held. [`ControlReply::Sessions`].
    Sessions {
        /// Only this plugin's.
        plugin: Option<String>,
        /// At most this many, lowest ids first.
        limit: u32,
    },
    /// One session in detail. [`ControlReply::Session`].
    Session {
        /// The session's id.
        session: u64,
    },
    /// A held (or live) session as a JSON document: snapshot, turns since, binary's digest. [`ControlReply::Export`].
    Export {
        /// The session's id.
        session: u64,
    },
    /// Drops a held session for good.
    DropHeld {
        /// The session's id.
        session: u64,
    },
    /// The supervisor at a glance. [`ControlReply::Status`].
    Status,
    /// All workers. [`ControlReply::Workers`].
    Workers,
    /// Follow events from now on. [`ControlReply::Ok`], then [`Push::Event`](super::Push::Event).
    Events {
        /// Whether every turn is wanted too.
        turns: TurnEvents,
    },
    /// Shut the supervisor down gracefully.
    Shutdown,
    /// The newest record of the audit log. [`ControlReply::AuditHead`].
    AuditHead,
    /// What a plugin asks for and what it has. [`ControlReply::Grants`].
    Grants {
        /// The plugin's name.
        plugin: String,
    },
    /// Take a permission away from a plugin, from its next use on, until it is given back with [`Verb::Grant`]; it stays away over loads and restarts.
    Revoke {
        /// The plugin's name.
        plugin: String,
        /// The permission, as in its manifest.
        permission: String,
    },
    /// Give a permission back that was taken away with [`Verb::Revoke`].
    Grant {
        /// The plugin's name; it need not be loaded.
        plugin: String,
        /// The permission, as in its manifest.
        permission: String,
    },
    /// The durable journal at a glance. [`ControlReply::Journal`].
    Journal,
    /// Lift a plugin's quarantine, forgive its deaths, and close its breaker.
    Release {
        /// The plugin's name.
        plugin: String,
    },
    /// Change how many workers serve a plugin, until it is loaded anew; sessions are moved while they are played.
    Scale {
        /// The plugin's name.
        plugin: String,
        /// How many, from 1.
        replicas: u32,
    },
}

/// Whether a follower of events wants to hear of every turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum TurnEvents {
    /// Only what happens to plugins, workers, sessions and players.
    #[default]
    Left,
    /// Every `turn-done` and `emitted` too: as many as there are turns.
    Included,
}

/// What `unload` does with live sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum LiveSessions {
    /// Refuse to unload while there are any.
    Refuse,
    /// Close them: a `close` turn each, then they are gone.
    Close,
}

/// What a verb answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ControlReply {
    /// Done.
    Ok,
    /// Plugins.
    Plugins(Vec<PluginInfo>),
    /// Sessions.
    Sessions(Vec<SessionInfo>),
    /// One session.
    Session(Box<SessionDetail>),
    /// A JSON document.
    Export(String),
    /// The supervisor at a glance.
    Status(StatusInfo),
    /// Workers.
    Workers(Vec<WorkerInfo>),
    /// The newest record of the audit log; none when no log is kept.
    AuditHead(Option<AuditHead>),
    /// A plugin's permissions.
    Grants(Grants),
    /// The durable journal; none when none is kept.
    Journal(Option<JournalInfo>),
}

/// The durable journal at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct JournalInfo {
    /// Entries on the disk.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the file takes of the disk.
    pub disk_bytes: u64,
    /// Bytes that wait for the disk.
    pub waiting_bytes: u64,
    /// Transactions since the start.
    pub commits: u64,
    /// Why no new turn of a durable session is taken, if none is.
    pub trouble: Option<String>,
    /// Sessions on the disk that are not played, each with the reason.
    pub aside: Vec<String>,
}

/// The newest record of the audit log that the disk has, to be noted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
    /// Why the log cannot be written at the moment, if so.
    pub trouble: Option<String>,
    /// Records that were lost since the start.
    pub lost: u64,
}

/// What a plugin asks for, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Grants {
    /// The plugin.
    pub plugin: String,
    /// Each permission that it asks for, or that the operator names, in order.
    pub permissions: Vec<Grant>,
}

/// One permission of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Grant {
    /// As in a manifest: `send`, `emit:TOPIC`, `call:NAME`, `threads`.
    pub permission: String,
    /// Whether the manifest asks for it.
    pub asked: bool,
    /// `granted`, `denied` (by the config), `not-granted` (the config grants others), `not-asked` (nothing is granted that is not asked for), `revoked`.
    pub state: String,
    /// Uses that were refused or withheld since the load.
    pub refused_uses: u64,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// blake3 of the file, hexadecimal.
    pub digest: String,
    /// Where it was loaded from.
    pub path: String,
    /// `loaded`, `initialized`, `running`, `suspended`.
    pub state: String,
    /// Why it does not run, or should not, if so.
    pub fault: Option<String>,
    /// Game type.
    pub game: String,
    /// One line on what it is.
    pub description: String,
    /// Live sessions.
    pub sessions: u64,
    /// Held sessions.
    pub held: u64,
    /// Process ids of its workers.
    pub workers: Vec<u32>,
    /// Turns played since load.
    pub turns: u64,
    /// Workers lost since load.
    pub workers_lost: u64,
    /// Poison turns since load.
    pub poison: u64,
    /// `healthy`, `warning`, `critical` or `unknown`; `fault` says why.
    pub health: String,
    /// Warm standbys.
    pub standbys: u32,
    /// How many are wanted.
    pub standbys_wanted: u32,
    /// Workers that serve.
    pub replicas: u32,
    /// How many are wanted.
    pub replicas_wanted: u32,
    /// Sessions that went from one worker to another while both lived, since load.
    pub moved: u64,
}

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Id.
    pub session: u64,
    /// Plugin.
    pub plugin: String,
    /// `live`, `restoring`, `closing`, `held`.
    pub state: String,
    /// Players at the table.
    pub players: u32,
    /// Turns so far.
    pub seq: u64,
    /// Turns waiting or in flight.
    pub pending: u32,
    /// When it was opened, nanoseconds since the Unix epoch.
    pub opened_ns: u64,
}

/// One session in detail.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SessionDetail {
    /// As in the list.
    pub info: SessionInfo,
    /// Why it is held, if so.
    pub held_reason: Option<String>,
    /// Ownership epoch: how often the session was moved or restored.
    pub epoch: u64,
    /// Digest of the binary that plays it, hexadecimal.
    pub digest: String,
    /// The server seed's commitment, hexadecimal.
    pub commit: String,
    /// Who sits at the table.
    pub players: Vec<u64>,
    /// The turn of the newest snapshot; 0 when there is none yet.
    pub snapshot_seq: u64,
    /// Bytes of the newest snapshot.
    pub snapshot_bytes: u64,
    /// Records in the journal.
    pub journal_records: u64,
    /// Number of the newest output.
    pub outputs: u64,
    /// Period of ticks in milliseconds; 0 for none.
    pub tick_ms: u32,
    /// Poison turns of this session.
    pub poison: u32,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Id.
    pub worker: u64,
    /// Plugin.
    pub plugin: String,
    /// Process id.
    pub pid: u32,
    /// `starting`, `serving`, `standby`, `probing`, `retiring`.
    pub state: String,
    /// Sessions that it holds.
    pub sessions: u64,
    /// Calls in flight.
    pub in_flight: u32,
    /// Age in milliseconds.
    pub age_ms: u64,
    /// Resident memory in KiB, as sampled last.
    pub rss_kib: u64,
    /// CPU time used, milliseconds.
    pub cpu_ms: u64,
    /// What confines it, by layer.
    pub isolation: String,
    /// Turns that it has answered.
    pub turns: u64,
}

/// The supervisor at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct StatusInfo {
    /// Croupier's version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Loaded plugins.
    pub plugins: u64,
    /// Plugins that do not run.
    pub plugins_down: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Held sessions.
    pub held: u64,
    /// Workers alive.
    pub workers: u64,
    /// Turns played since the start.
    pub turns: u64,
    /// Workers lost since the start.
    pub workers_lost: u64,
    /// Workers lost with a turn in flight since the start.
    pub workers_lost_mid_turn: u64,
    /// Turns sent again since the start.
    pub retries: u64,
    /// Poison turns since the start.
    pub poison: u64,
    /// The traffic socket's path.
    pub traffic_socket: Option<String>,
    /// The directory of state.
    pub state_dir: Option<String>,
}
