//! The thread that writes crash reports. Never holds up a game: what does not fit into its queue is counted and left out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use croupier_core::event::Cause;
use croupier_core::views::Scene;
use serde::Deserialize;

use super::case::CaseFile;
use super::queue::Queue;
use super::report::{Call, REPORT_VERSION, Report, Untrusted};
use super::{folder, kernel, said};
use crate::audit::{Audit, Happened};
use crate::dates::rfc3339;
use crate::jail::maps;
use crate::jail::wreck::Wreck;
use crate::registry::Plugin;

/// Deaths that wait for the thread.
const QUEUE_MAX: usize = 32;
/// Longest that the end of a supervisor waits for reports. One takes milliseconds; a disk that hangs must not hang its end.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// Longest `replay.json`, in bytes.
const REPLAY_BYTES_MAX: usize = 32 << 20;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashOptions {
    /// Most folders.
    pub keep: usize,
    /// Most bytes in all.
    pub keep_bytes: u64,
    /// Whether sessions are kept with them.
    pub replay: KeepReplay,
}

impl Default for CrashOptions {
    fn default() -> CrashOptions {
        CrashOptions { keep: 100, keep_bytes: 256 << 20, replay: KeepReplay::Always }
    }
}

/// Whether a report comes with the session that it takes to run into the crash again: its state, and its turns' seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepReplay {
    /// Of every game.
    #[default]
    Always,
    /// Only of games that hide nothing from their players.
    Public,
    /// Of none.
    Never,
}

/// A death.
#[derive(Debug)]
pub struct Death {
    /// When, nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// The worker.
    pub worker: u64,
    /// Its process; 0 when there was none.
    pub pid: u32,
    /// Why.
    pub cause: Cause,
    /// What it was at.
    pub scene: Option<Scene>,
    /// Its mappings and what confined it, when it had loaded its plugin.
    pub sample: Option<Sample>,
    /// The thread that faulted, when it could be looked at.
    pub wreck: Option<Wreck>,
    /// What it said itself.
    pub last_words: Option<String>,
}

/// Looked at from outside, after a worker had loaded its plugin.
#[derive(Debug, Clone)]
pub struct Sample {
    /// `/proc/PID/maps`, or why it could not be read.
    pub maps: Result<String, String>,
    /// What confines it.
    pub isolation: String,
}

impl Sample {
    /// Looks at a process that lives, and of which this is known.
    pub fn of(pid: u32, isolation: String) -> Sample {
        let maps = maps::read(pid).map_err(|error| format!("/proc/{pid}/maps cannot be read: {error}"));
        Sample { maps, isolation }
    }
}

/// Takes deaths. Cheap to clone; without a directory it forgets them.
#[derive(Debug, Clone, Default)]
pub struct Crashes(Option<Arc<Queue<Box<Death>>>>);

impl Crashes {
    /// Starts the thread. Reports go to `dir`, and a record of each to the audit log.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(dir: PathBuf, options: CrashOptions, audit: Audit) -> std::io::Result<Crashes> {
        let write = move |death: Box<Death>| {
            let id = id_of(&death);
            match write(&dir, &id, &death, options.replay) {
                Ok(()) => {
                    tracing::info!(plugin = death.plugin.name, crash = id, "crash report written");
                    audit.tell(Happened::CrashReported { plugin: death.plugin.name.clone(), crash: id });
                }
                Err(error) => {
                    tracing::error!(plugin = death.plugin.name, crash = id, %error, "cannot write a crash report");
                }
            }
            if let Err(error) = folder::prune(&dir, options.keep, options.keep_bytes) {
                tracing::error!(dir = %dir.display(), %error, "cannot delete old crash reports");
            }
        };
        Ok(Crashes(Some(Arc::new(Queue::start("crashes", QUEUE_MAX, write)?))))
    }

    /// Whether anybody takes deaths.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A worker died.
    pub fn tell(&self, death: Death) {
        let Some(queue) = &self.0 else { return };
        if let Err(death) = queue.give(Box::new(death)) {
            tracing::warn!(
                plugin = death.plugin.name,
                "workers die faster than reports are written; one is left out"
            );
        }
    }

    /// Writes what waits, and ends the thread. Blocks, for 5 seconds at most; what is left out then is said.
    pub fn close(&self) {
        let Some(queue) = &self.0 else { return };
        let left_out = queue.close(CLOSE_MAX);
        if left_out > 0 {
            tracing::error!(
                left_out,
                "crash reports could not be written within {} s, and are left out: does the disk under the state directory hang?",
                CLOSE_MAX.as_secs()
            );
        }
    }
}

/// `20261121T010349.123Z-PLUGIN-WORKER`, without what does not belong into names of folders.
fn id_of(death: &Death) -> String {
    let at: String = rfc3339(death.at_ns).chars().filter(char::is_ascii_alphanumeric).take(18).collect();
    format!("{at}-{}-{}", death.plugin.name, death.worker)
}

fn write(dir: &std::path::Path, id: &str, death: &Death, keep: KeepReplay) -> std::io::Result<()> {
    let maps = match (&death.wreck, &death.sample) {
        (Some(wreck), _) => Ok(wreck.maps.as_str()),
        (None, Some(sample)) => sample.maps.as_deref().map_err(Clone::clone),
        (None, None) => Err("it died before it was looked at".to_owned()),
    };
    let replay = replay(death, keep);
    let report = report(id, death, maps.clone(), replay.as_ref().err().cloned());
    let report = serde_json::to_vec_pretty(&report).map_err(std::io::Error::other)?;
    let mut files = vec![(folder::REPORT, report.as_slice())];
    files.extend(maps.ok().map(|maps| (folder::MAPS, maps.as_bytes())));
    files.extend(replay.as_deref().ok().map(|replay| (folder::REPLAY, replay)));
    folder::write(dir, id, &files)
}

/// The bytes of `replay.json`, or why there are none.
fn replay(death: &Death, keep: KeepReplay) -> Result<Vec<u8>, String> {
    match keep {
        KeepReplay::Never => return Err("the config says crashes.replay = \"never\"".to_owned()),
        KeepReplay::Public if death.plugin.player.hidden_information => {
            return Err(
                "the game hides information, and the config says crashes.replay = \"public\"".to_owned()
            );
        }
        KeepReplay::Public | KeepReplay::Always => {}
    }
    let case = death.scene.as_ref().and_then(|scene| scene.case.as_ref());
    let head = death.scene.as_ref().and_then(|scene| scene.calls.first());
    if case.is_none() && head.is_some_and(|head| head.session.is_some()) {
        return Err("the session has too many turns since its snapshot".to_owned());
    }
    // Without a session it can only have been loading: that can be tried again.
    if case.is_none() && death.sample.is_some() && head.is_none_or(|head| head.what != "init") {
        return Err("it was at no session's call".to_owned());
    }
    let bytes = serde_json::to_vec(&CaseFile::new(&death.plugin, case)).map_err(|error| error.to_string())?;
    if bytes.len() > REPLAY_BYTES_MAX {
        return Err(format!("it would have {} bytes, more than {REPLAY_BYTES_MAX}", bytes.len()));
    }
    Ok(bytes)
}

fn report(id: &str, death: &Death, maps: Result<&str, String>, no_replay: Option<String>) -> Report {
    let Death { plugin, scene, .. } = death;
    let calls = scene.as_ref().map(|scene| scene.calls.as_slice()).unwrap_or_default();
    let kind = scene.as_ref().and_then(|scene| scene.case.as_ref()?.turns.last().map(|turn| turn.kind));
    let call = |(at, call): (usize, &croupier_core::views::CallView)| Call {
        what: call.what.to_owned(),
        session: call.session.map_or(0, |session| session.0),
        seq: call.seq.unwrap_or(0),
        kind: kind.filter(|_| at == 0 && matches!(call.what, "turn" | "replay")),
    };
    let unanswered: Vec<Call> = calls.iter().enumerate().map(call).collect();
    let faulted = matches!(death.cause, Cause::Fault { .. });
    // The main thread's id is the process's.
    let faulted_thread = death.wreck.as_ref().map_or(death.pid, |wreck| wreck.thread_id);
    let (crash, no_backtrace) =
        said::crash(death).map_or_else(|why| (None, Some(why)), |crash| (Some(crash), None));
    Report {
        report: REPORT_VERSION,
        id: id.to_owned(),
        at: rfc3339(death.at_ns),
        plugin: plugin.name.clone(),
        version: plugin.player.version.clone(),
        digest: plugin.digest_hex(),
        worker: death.worker,
        pid: death.pid,
        cause: (&death.cause).into(),
        fault: if faulted { kernel::fault_of(faulted_thread, maps.as_ref().ok().copied()) } else { None },
        last_call: unanswered.first().cloned(),
        unanswered,
        limits: (&plugin.manifest.limits).into(),
        isolation: death.sample.as_ref().map(|sample| sample.isolation.clone()).unwrap_or_default(),
        no_maps: maps.err(),
        no_replay,
        no_backtrace,
        untrusted: Untrusted { crash, last_words: death.last_words.clone() },
    }
}
