//! What a record of the audit log can say. A closed list: whoever adds something names it here.
//!
//! Records hold facts about what happened, never payloads, seeds, settings or keys.

use serde::{Deserialize, Serialize};

/// Longest text in a record, in characters; longer ones are cut. Some come from plugins.
pub const TEXT_CHARS_MAX: usize = 500;

/// Something that is written down. Kinds are only ever added, and so are members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A supervisor started to write.
    Started {
        /// Croupier's version.
        version: String,
        /// The supervisor's process id.
        pid: u32,
        /// Its user.
        uid: u32,
        /// Bytes of a record that an earlier supervisor had not written whole when it died, and that were cut off.
        torn_bytes: u64,
    },
    /// The supervisor ended in order.
    Stopped {
        /// Games that had to be given up.
        given_up: u64,
    },
    /// The config that counts from now on.
    ConfigRead {
        /// Its file; empty for the defaults.
        path: String,
        /// SHA-256 of its text, hexadecimal.
        sha256: String,
    },
    /// The trusted keys, when they are others than at the last load.
    TrustRead {
        /// SHA-256 over all of them and the revocations, hexadecimal.
        sha256: String,
        /// Root keys.
        roots: u64,
        /// Author keys.
        authors: u64,
        /// Revocations.
        revoked: u64,
    },
    /// A plugin's signature was looked at.
    SignatureChecked {
        /// The plugin, as its manifest says.
        plugin: String,
        /// blake3 of the file, hexadecimal.
        digest: String,
        /// `good`, or a word for what is wrong: `none`, `unknown-key`, `revoked`, `expired`, `name-not-allowed`, `bad-signature`, `malformed`.
        verdict: String,
        /// The signing key's id; empty when there is none.
        key: String,
        /// The policy: `required`, `if-present`, `off`.
        policy: String,
    },
    /// A plugin was loaded.
    PluginLoaded {
        /// Its name.
        plugin: String,
        /// Its version.
        version: String,
        /// blake3 of the file, hexadecimal.
        digest: String,
        /// The file.
        path: String,
    },
    /// A plugin was not loaded.
    PluginRefused {
        /// Its name, as far as it came to be known.
        plugin: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A plugin was unloaded.
    PluginUnloaded {
        /// Its name.
        plugin: String,
    },
    /// A plugin is down: its workers do not come up, or died too often.
    PluginDown {
        /// Its name.
        plugin: String,
        /// Why.
        reason: String,
    },
    /// Too many of a plugin's turns failed; for a while it is given none.
    BreakerOpened {
        /// Its name.
        plugin: String,
        /// Failed turns.
        failed: u32,
        /// Of so many.
        turns: u32,
    },
    /// A plugin broke its bounds too often, and was suspended without anybody asking.
    SuspendedFor {
        /// Its name.
        plugin: String,
        /// Why; may hold words of a worker's own.
        reason: String,
    },
    /// At load: the plugin asks for a permission and has it.
    PermissionGranted {
        /// The plugin.
        plugin: String,
        /// As in its manifest.
        permission: String,
    },
    /// At load: the plugin asks for a permission and does not get it.
    PermissionRefused {
        /// The plugin.
        plugin: String,
        /// As in its manifest.
        permission: String,
    },
    /// A permission was taken away while the plugin runs.
    PermissionRevoked {
        /// The plugin.
        plugin: String,
        /// As in its manifest.
        permission: String,
        /// The operator's user; none when it was done from within the supervisor's process.
        uid: Option<u32>,
    },
    /// A permission that was taken away was given back.
    PermissionGivenBack {
        /// The plugin.
        plugin: String,
        /// As in its manifest.
        permission: String,
        /// The operator's user; none when it was done from within the supervisor's process.
        uid: Option<u32>,
    },
    /// At load: the plugin asks for a permission that it lost, and does not get it back.
    PermissionStillRevoked {
        /// The plugin.
        plugin: String,
        /// As in its manifest.
        permission: String,
    },
    /// The keys changed, and the signature that let this plugin in would not do so any more. It runs on until it is unloaded.
    SignatureDistrusted {
        /// The plugin.
        plugin: String,
        /// blake3 of the file, hexadecimal.
        digest: String,
        /// A word for what is wrong, as in [`Happened::SignatureChecked`].
        verdict: String,
        /// The same for people.
        reason: String,
    },
    /// The trusted keys changed, and what they are now cannot be read: nothing is loaded until they can.
    TrustUnreadable {
        /// Why.
        reason: String,
    },
    /// A turn used a permission that its plugin does not have.
    PermissionDenied {
        /// The plugin.
        plugin: String,
        /// What it would have needed, as in a manifest.
        permission: String,
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// How often in this turn.
        count: u64,
        /// Who says so: `supervisor`, which refused it; or `worker`, which did, in a process that the plugin may have in its hands: such a record can be
        /// made up or left out, but only about the plugin's own turns.
        #[serde(default = "by_supervisor")]
        says: String,
    },
    /// The kernel refused a worker's system call.
    DeniedSyscall(DeniedSyscall),
    /// A worker died, not by our wish.
    WorkerDied {
        /// The plugin.
        plugin: String,
        /// Its number.
        worker: u64,
        /// Its process id.
        pid: u32,
        /// The cause in words; may hold words of the worker's own.
        cause: String,
        /// Turns that it left unanswered.
        turns: u32,
        /// Restores and replays that it left unanswered.
        restores: u32,
    },
    /// A session was set aside.
    SessionHeld {
        /// The plugin.
        plugin: String,
        /// The session.
        session: u64,
        /// Why.
        reason: String,
    },
    /// A held session was given up for good.
    SessionDropped {
        /// The plugin.
        plugin: String,
        /// The session.
        session: u64,
        /// Its last turn.
        seq: u64,
    },
    /// A session was handed out whole, hidden cards included.
    SessionExported {
        /// The plugin.
        plugin: String,
        /// The session.
        session: u64,
        /// To this user.
        uid: Option<u32>,
    },
    /// A turn was skipped as poison.
    Poison {
        /// The plugin.
        plugin: String,
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
        /// Who sent it; 0 is the house.
        player: u64,
    },
    /// A replayed turn answered differently.
    Diverged {
        /// The plugin.
        plugin: String,
        /// The session.
        session: u64,
        /// The turn.
        seq: u64,
    },
    /// A plugin's snapshots are not relied on any more.
    SnapshotsDistrusted {
        /// The plugin.
        plugin: String,
        /// Why.
        reason: String,
    },
    /// An operator's verb that changes something or hands something out.
    Verb {
        /// The peer's user as the kernel says; none when it came from within the supervisor's process.
        uid: Option<u32>,
        /// The verb: `load`, `unload`, `restart` …
        verb: String,
        /// The plugin that it is about; empty when none is named.
        plugin: String,
        /// The session that it is about; 0 when none is.
        session: u64,
        /// The file or permission that it names; empty when none is.
        about: String,
        /// `done`, or the refusal's code.
        outcome: String,
    },
    /// What is on the disk of a session makes no session; it is left as it is.
    SessionUnreadable {
        /// The plugin.
        plugin: String,
        /// The session.
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
    /// A report of a crash was written.
    CrashReported {
        /// The plugin.
        plugin: String,
        /// The report's id.
        crash: String,
    },
    /// Denials came faster than they are written down.
    Flood {
        /// The plugin.
        plugin: String,
        /// Records that were left out.
        left_out: u64,
        /// The limit, in records per second.
        limit_per_s: u64,
    },
    /// Records were lost, because the disk did not keep up or was full.
    RecordsLost {
        /// How many.
        count: u64,
    },
    /// The log could not be written for a while. Nothing is missing before this record but what a [`Happened::RecordsLost`] says.
    DiskTrouble {
        /// What the system said.
        error: String,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The oldest files were deleted, as the config says. The chain now begins after this record's `through_seq`.
    Pruned {
        /// The last record that was deleted.
        through_seq: u64,
        /// Its hash, hexadecimal.
        through_hash: String,
    },
}

/// A system call that a worker was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeniedSyscall {
    /// The plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// The worker's number.
    pub worker: u64,
    /// The session whose turn ran; 0 when none did, or it is not known.
    pub session: u64,
    /// The turn; 0 likewise.
    pub seq: u64,
    /// The call's name, or its number as text.
    pub syscall: String,
    /// Its six arguments as numbers; what they point to was not looked at.
    pub args: Vec<u64>,
    /// The file that the call was made from, as far as it can be had.
    pub module: String,
    /// The offset in that file.
    pub offset: u64,
    /// How often, since the last record of the same call.
    pub count: u64,
    /// What became of it: `refused`, `killed`.
    pub verdict: String,
}

/// Records of older versions are the supervisor's own.
fn by_supervisor() -> String {
    SAYS_SUPERVISOR.to_owned()
}

/// It was seen by the supervisor.
pub const SAYS_SUPERVISOR: &str = "supervisor";
/// It is a worker's word.
pub const SAYS_WORKER: &str = "worker";

impl Happened {
    /// The plugin that it is about, if it is about one.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Happened::SignatureChecked { plugin, .. }
            | Happened::PluginLoaded { plugin, .. }
            | Happened::PluginRefused { plugin, .. }
            | Happened::PluginUnloaded { plugin }
            | Happened::PluginDown { plugin, .. }
            | Happened::BreakerOpened { plugin, .. }
            | Happened::SuspendedFor { plugin, .. }
            | Happened::PermissionGranted { plugin, .. }
            | Happened::PermissionRefused { plugin, .. }
            | Happened::PermissionRevoked { plugin, .. }
            | Happened::PermissionGivenBack { plugin, .. }
            | Happened::PermissionStillRevoked { plugin, .. }
            | Happened::SignatureDistrusted { plugin, .. }
            | Happened::PermissionDenied { plugin, .. }
            | Happened::DeniedSyscall(DeniedSyscall { plugin, .. })
            | Happened::WorkerDied { plugin, .. }
            | Happened::SessionHeld { plugin, .. }
            | Happened::SessionDropped { plugin, .. }
            | Happened::SessionUnreadable { plugin, .. }
            | Happened::SessionExported { plugin, .. }
            | Happened::Poison { plugin, .. }
            | Happened::Diverged { plugin, .. }
            | Happened::SnapshotsDistrusted { plugin, .. }
            | Happened::Verb { plugin, .. }
            | Happened::CrashReported { plugin, .. }
            | Happened::Flood { plugin, .. } => Some(plugin),
            Happened::Started { .. }
            | Happened::Stopped { .. }
            | Happened::ConfigRead { .. }
            | Happened::TrustRead { .. }
            | Happened::TrustUnreadable { .. }
            | Happened::JournalTrouble { .. }
            | Happened::JournalRecovered { .. }
            | Happened::RecordsLost { .. }
            | Happened::DiskTrouble { .. }
            | Happened::Pruned { .. } => None,
        }
    }

    /// Whether somebody was refused something: what `croupier audit --denied` shows.
    pub fn is_denial(&self) -> bool {
        match self {
            Happened::PluginRefused { .. }
            | Happened::PermissionRefused { .. }
            | Happened::PermissionStillRevoked { .. }
            | Happened::PermissionDenied { .. }
            | Happened::DeniedSyscall(_)
            | Happened::Flood { .. } => true,
            Happened::SignatureChecked { verdict, .. } => verdict != "good" && verdict != "none",
            Happened::Verb { outcome, .. } => outcome != "done",
            _ => false,
        }
    }

    /// Whether a plugin can cause it as often as it likes: such records are limited in number per second.
    pub fn is_cheap_to_cause(&self) -> bool {
        matches!(self, Happened::PermissionDenied { .. } | Happened::DeniedSyscall(_))
    }
}

/// A text for a record: cut to [`TEXT_CHARS_MAX`].
pub fn text(long: impl std::fmt::Display) -> String {
    let long = long.to_string();
    match long.char_indices().nth(TEXT_CHARS_MAX) {
        None => long,
        Some((end, _)) => format!("{}…", &long[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_long_texts_are_cut() {
        let all = [
            Happened::Stopped { given_up: 3 },
            Happened::DeniedSyscall(DeniedSyscall { args: vec![u64::MAX, 0], ..DeniedSyscall::default() }),
            Happened::PermissionRevoked { plugin: "p".into(), permission: "send".into(), uid: None },
        ];
        for happened in all {
            let json = serde_json::to_string(&happened).unwrap();
            assert_eq!(serde_json::from_str::<Happened>(&json).unwrap(), happened, "{json}");
        }
        assert_eq!(text("é".repeat(TEXT_CHARS_MAX + 7)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
