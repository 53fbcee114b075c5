//! What happens in the supervisor, as a stream.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Something that happened. `at_ns` is nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// The plugin concerned; empty when none is.
    pub plugin: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A plugin was loaded.
    PluginLoaded {
        /// Its version.
        version: String,
        /// Its digest, hexadecimal.
        digest: String,
    },
    /// A plugin was unloaded.
    PluginUnloaded,
    /// A plugin was suspended.
    PluginSuspended,
    /// A plugin was resumed.
    PluginResumed,
    /// A plugin's workers do not come up.
    PluginDown {
        /// Why.
        reason: String,
    },
    /// A worker serves.
    WorkerReady {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker died.
    WorkerDied {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// The cause, a few words.
        cause: String,
        /// Turns and restores that it left unanswered.
        unanswered: u32,
    },
    /// A session opened.
    SessionOpened {
        /// Its id.
        session: u64,
        /// Commitment to its server seed, hexadecimal.
        commit: String,
    },
    /// A session ended.
    SessionEnded {
        /// Its id.
        session: u64,
        /// `closed`, `idle`, `unloaded`, `open-refused`, `dropped`.
        reason: String,
        /// Its last turn.
        seq: u64,
    },
    /// A session was set aside.
    SessionHeld {
        /// Its id.
        session: u64,
        /// Why.
        reason: String,
    },
    /// A session was restored and replayed in a worker.
    SessionRestored {
        /// Its id.
        session: u64,
        /// The worker.
        worker: u64,
        /// Turns replayed.
        replayed: u64,
        /// Microseconds between the loss and the restored session.
        pause_us: u64,
    },
    /// A replayed turn answered differently from its first run.
    Diverged {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
    },
    /// A turn was called poison.
    Poison {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// Who sent it; 0 is the house.
        player: u64,
    },
    /// A player joined.
    PlayerJoined {
        /// The session.
        session: u64,
        /// The player.
        player: u64,
    },
    /// A player left.
    PlayerLeft {
        /// The session.
        session: u64,
        /// The player.
        player: u64,
    },
    /// A turn was played. Only sent to followers that ask for turns.
    TurnDone {
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// 0, or the plugin's negative status.
        status: i32,
    },
    /// The plugin emitted an event on a topic.
    Emitted {
        /// The session.
        session: u64,
        /// The topic.
        topic: String,
    },
    /// The plugin's snapshots cannot be relied on; its sessions keep their whole journals from now on.
    SnapshotsDistrusted {
        /// Why.
        reason: String,
    },
    /// The signature that let a plugin in would not do so any more. It runs on until somebody unloads it.
    SignatureDistrusted {
        /// Why.
        reason: String,
    },
    /// A session came back from the disk.
    SessionAdopted {
        /// Which.
        session: u64,
        /// Its last turn.
        seq: u64,
    },
    /// What is on the disk of a session makes no session; it is left as it is.
    SessionUnreadable {
        /// Which.
        session: u64,
        /// Why.
        reason: String,
    },
    /// The durable journal cannot be written, or is full: new turns of durable sessions are refused.
    JournalTrouble {
        /// Why.
        reason: String,
    },
    /// The durable journal takes turns again; nothing was lost.
    JournalRecovered {
        /// For how long it did not, in milliseconds.
        ms: u64,
    },
    /// An operator lifted what kept a plugin down.
    PluginReleased,
    /// Too many of a plugin's turns failed: for a while nobody is let in.
    BreakerOpened {
        /// Failed turns.
        failed: u32,
        /// Of so many.
        turns: u32,
    },
    /// Everybody is let in again.
    BreakerClosed,
    /// A standby is warm: it serves as soon as it is needed, and `worker-ready` says so then.
    StandbyReady {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker uses more than this share of its memory limit.
    MemoryHigh {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// The share.
        percent: u32,
        /// What it uses.
        rss_kib: u64,
        /// The limit.
        limit_kib: u64,
    },
    /// A worker has used more memory in each of ten minutes than in the one before, and there are no more sessions to explain it.
    MemoryGrows {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// By how much in all.
        grown_kib: u64,
        /// What it uses.
        rss_kib: u64,
    },
    /// A worker's cgroup keeps it from the CPU.
    Throttled {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// For how many percent of the time.
        percent: u32,
    },
    /// A worker broke its bounds. Of many in a short time only the first are told.
    Violation {
        /// Its id.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// How, in a few words; some may be the plugin's.
        what: String,
    },
    /// The plugin broke its bounds too often: its turns wait until an operator resumes it.
    SuspendedFor {
        /// Why.
        reason: String,
    },
    /// A session went from one worker to another while both lived.
    SessionMoved {
        /// Its id.
        session: u64,
        /// The worker that had it.
        from: u64,
        /// The worker that has it.
        to: u64,
        /// Turns replayed.
        replayed: u64,
        /// Microseconds in which nothing of it was played.
        pause_us: u64,
    },
    /// An operator changed how many workers serve.
    PluginScaled {
        /// How many shall.
        replicas: u32,
    },
}
