//! The config file of `croupier serve`: TOML, checked whole before anything is started. docs/OPERATING.md describes every key.
//!
//! Errors name the path of the key (`plugins.holdem.queue_max: …`). Relative paths are taken from the file's own directory.

mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use croupier_fair::seal::AuditorPublic;
use croupier_wire::frame::{FRAME_BYTES_CEILING, FRAME_BYTES_DEFAULT};
use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::audit::AuditOptions;
use crate::crash::{CrashOptions, KeepReplay};
use crate::jail::cgroup::Choice;
use crate::journal::JournalOptions;
use crate::registry::PluginOptions;
use crate::registry::trust::{Policy, store};
use crate::worker::ahead::{WORKERS_AHEAD_DEFAULT, WORKERS_AHEAD_MAX};
use crate::worker::users::UidRange;

/// Longest config file, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Bytes of finished transcripts that are kept, unless configured: 4 GiB.
const TRANSCRIPTS_KEEP_MIB: u64 = 4096;

/// Everything that an operator can say. The default is a supervisor without plugins in the usual places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directories whose `*.so` are loaded at the start, in order of names.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where state is kept: binaries by digest, keys, transcripts.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The traffic socket.
    pub traffic_socket: PathBuf,
    /// The traffic socket's mode.
    pub traffic_mode: u32,
    /// The `croupier-worker` binary; beside `croupier` when not said.
    pub worker: Option<PathBuf>,
    /// Longest frame on the doors.
    pub frame_bytes_max: u32,
    /// The log.
    pub log: Log,
    /// Transcripts.
    pub transcripts: Transcripts,
    /// What is demanded of plugins' signatures.
    pub signatures: Policy,
    /// Where the trusted keys are.
    pub trust_dir: PathBuf,
    /// The audit log; none when it is switched off.
    pub audit: Option<AuditOptions>,
    /// Reports of workers' deaths; none when they are switched off.
    pub crashes: Option<CrashOptions>,
    /// User ids for workers, where they can have their own.
    pub worker_uids: UidRange,
    /// Blank workers that are kept for whoever needs one next.
    pub workers_ahead: usize,
    /// Where workers' cgroups are made.
    pub cgroup: Choice,
    /// The durable journal.
    pub journal: JournalOptions,
    /// Options for all plugins.
    pub defaults: PluginOptions,
    /// Options for one plugin each; they go first.
    pub plugins: BTreeMap<String, PluginOptions>,
}

/// How the supervisor logs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A filter as `tracing-subscriber` takes it: `info`, `croupier=debug,plugin=warn`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { filter: "info".to_owned(), format: LogFormat::Human }
    }
}

/// What becomes of transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcripts {
    /// Whether any are written.
    pub write: Write,
    /// Bytes of finished ones that are kept.
    pub keep_bytes: u64,
    /// Who may open the seeds of games that hide information; a pair of the operator's own when not said.
    pub auditor: Option<AuditorPublic>,
}

/// Whether transcripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// One per session.
    All,
    /// None.
    Off,
}

/// Why a config cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("the config {} has {bytes} bytes; {CONFIG_BYTES_MAX} are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file says something that cannot be.
    #[error("the config {} is wrong: {at}{why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The key's path and a colon; empty where the text says it.
        at: String,
        /// What is wrong.
        why: String,
    },
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    plugin_dirs: Vec<PathBuf>,
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    traffic_socket: Option<PathBuf>,
    traffic_mode: Option<String>,
    worker: Option<PathBuf>,
    frame_bytes_max: Option<u32>,
    signatures: Policy,
    trust_dir: Option<PathBuf>,
    cgroup: Option<String>,
    worker_uids: Option<String>,
    workers_ahead: Option<usize>,
    log: Log,
    transcripts: TranscriptsFile,
    audit: AuditFile,
    crashes: CrashesFile,
    journal: JournalFile,
    defaults: PluginOptions,
    plugins: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TranscriptsFile {
    write: bool,
    keep_mib: u64,
    auditor_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CrashesFile {
    write: bool,
    keep: usize,
    keep_mib: u64,
    replay: KeepReplay,
}

impl Default for CrashesFile {
    fn default() -> CrashesFile {
        let CrashOptions { keep, keep_bytes, replay } = CrashOptions::default();
        CrashesFile { write: true, keep, keep_mib: keep_bytes >> 20, replay }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct JournalFile {
    max_mib: u64,
    waiting_mib: u64,
}

impl Default for JournalFile {
    fn default() -> JournalFile {
        let JournalOptions { max_bytes, waiting_bytes_max, .. } = JournalOptions::default();
        JournalFile { max_mib: max_bytes >> 20, waiting_mib: waiting_bytes_max >> 20 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditFile {
    write: bool,
    file_mib: u64,
    keep_mib: u64,
}

impl Default for AuditFile {
    fn default() -> AuditFile {
        let AuditOptions { file_bytes_max, keep_bytes } = AuditOptions::default();
        AuditFile { write: true, file_mib: file_bytes_max >> 20, keep_mib: keep_bytes >> 20 }
    }
}

impl Default for TranscriptsFile {
    fn default() -> TranscriptsFile {
        TranscriptsFile { write: true, keep_mib: TRANSCRIPTS_KEEP_MIB, auditor_key: None }
    }
}

impl Default for Config {
    fn default() -> Config {
        finish(File::default(), Path::new("")).expect("the defaults are right")
    }
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { path: path.to_owned(), bytes });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let base = path.parent().unwrap_or(Path::new(""));
        Config::parse(&text, base).map_err(|(at, why)| ConfigError::Wrong {
            path: path.to_owned(),
            at: if at.is_empty() || at == "." { String::new() } else { format!("{at}: ") },
            why,
        })
    }

    /// Checks a config's text. The error is the key's path, and what is wrong with it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, base: &Path) -> Result<Config, (String, String)> {
        let reader = toml::Deserializer::parse(text)
            .map_err(|error| (place(text, error.span()), error.message().to_owned()))?;
        let file: File = serde_path_to_error::deserialize(reader)
            .map_err(|error| (error.path().to_string(), error.inner().message().to_owned()))?;
        finish(file, base)
    }

    /// The options for one plugin.
    pub fn options(&self, plugin: &str) -> PluginOptions {
        self.plugins.get(plugin).map_or_else(|| self.defaults.clone(), |own| own.or(&self.defaults))
    }
}

fn finish(file: File, base: &Path) -> Result<Config, (String, String)> {
    let socket = file.socket.map_or_else(croupier_client::default_control_socket, |path| base.join(path));
    let traffic_socket =
        file.traffic_socket.map_or_else(|| socket.with_file_name("traffic.sock"), |path| base.join(path));
    if socket == traffic_socket {
        return Err((
            "traffic_socket".to_owned(),
            "is the control socket too: give it a path of its own".to_owned(),
        ));
    }
    let frame_bytes_max = file.frame_bytes_max.unwrap_or(FRAME_BYTES_DEFAULT);
    if !(4096..=FRAME_BYTES_CEILING).contains(&frame_bytes_max) {
        let why = format!("{frame_bytes_max} is not between 4096 and {FRAME_BYTES_CEILING}");
        return Err(("frame_bytes_max".to_owned(), why));
    }
    let auditor = match &file.transcripts.auditor_key {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|error| ("transcripts.auditor_key".to_owned(), format!("{error}")))?)
        }
    };
    settings::check("defaults", &file.defaults)?;
    EnvFilter::try_new(&file.log.filter).map_err(|error| {
        ("log.filter".to_owned(), format!("{error}; write it as in \"info,croupier=debug\""))
    })?;
    let plugins = file
        .plugins
        .into_iter()
        .map(|(name, table)| settings::options(&name, table).map(|options| (name, options)))
        .collect::<Result<_, _>>()?;
    let state_dir = file.state_dir.map_or_else(default_state_dir, |dir| base.join(dir));
    Ok(Config {
        cgroup: cgroup(file.cgroup.as_deref())?,
        worker_uids: worker_uids(file.worker_uids.as_deref())?,
        workers_ahead: workers_ahead(file.workers_ahead)?,
        signatures: file.signatures,
        trust_dir: file.trust_dir.map_or_else(|| state_dir.join(store::DIRECTORY), |dir| base.join(dir)),
        plugin_dirs: file.plugin_dirs.into_iter().map(|dir| base.join(dir)).collect(),
        state_dir,
        socket,
        traffic_socket,
        traffic_mode: mode(file.traffic_mode.as_deref().unwrap_or("0660"))?,
        worker: file.worker.map(|path| base.join(path)),
        frame_bytes_max,
        log: file.log,
        transcripts: Transcripts {
            write: if file.transcripts.write { Write::All } else { Write::Off },
            keep_bytes: file.transcripts.keep_mib.saturating_mul(1 << 20),
            auditor,
        },
        audit: audit(&file.audit)?,
        journal: journal(&file.journal)?,
        crashes: file.crashes.write.then_some(CrashOptions {
            keep: file.crashes.keep,
            keep_bytes: file.crashes.keep_mib.saturating_mul(1 << 20),
            replay: file.crashes.replay,
        }),
        defaults: file.defaults,
        plugins,
    })
}

fn worker_uids(text: Option<&str>) -> Result<UidRange, (String, String)> {
    let range = text.map(|text| text.parse().map_err(|error| ("worker_uids".to_owned(), format!("{error}"))));
    range.transpose().map(Option::unwrap_or_default)
}

fn workers_ahead(workers: Option<usize>) -> Result<usize, (String, String)> {
    match workers {
        None => Ok(WORKERS_AHEAD_DEFAULT),
        Some(workers) if workers <= WORKERS_AHEAD_MAX => Ok(workers),
        Some(workers) => {
            let why = format!("{workers} is more than {WORKERS_AHEAD_MAX}; 0 keeps none");
            Err(("workers_ahead".to_owned(), why))
        }
    }
}

fn audit(file: &AuditFile) -> Result<Option<AuditOptions>, (String, String)> {
    if file.file_mib == 0 || file.keep_mib < file.file_mib {
        let why = "must be 1 or more, and keep_mib not less than it".to_owned();
        return Err(("audit.file_mib".to_owned(), why));
    }
    let bytes = |mib: u64| mib.saturating_mul(1 << 20);
    let options = AuditOptions { file_bytes_max: bytes(file.file_mib), keep_bytes: bytes(file.keep_mib) };
    Ok(file.write.then_some(options))
}

/// `auto`, `off`, or a directory.
fn cgroup(text: Option<&str>) -> Result<Choice, (String, String)> {
    match text {
        None | Some("auto") => Ok(Choice::Auto),
        Some("off") => Ok(Choice::Off),
        Some(dir) if dir.starts_with('/') => Ok(Choice::At(PathBuf::from(dir))),
        Some(other) => {
            let why = format!(
                "{other:?} is neither \"auto\" nor \"off\" nor an absolute path such as \"/sys/fs/cgroup/croupier\""
            );
            Err(("cgroup".to_owned(), why))
        }
    }
}

fn journal(file: &JournalFile) -> Result<JournalOptions, (String, String)> {
    let bytes = |key: &str, mib: u64| match mib {
        0 => Err((format!("journal.{key}"), "0 would refuse every turn: 1 is the least".to_owned())),
        _ => Ok(mib.saturating_mul(1 << 20)),
    };
    Ok(JournalOptions {
        max_bytes: bytes("max_mib", file.max_mib)?,
        waiting_bytes_max: bytes("waiting_mib", file.waiting_mib)?,
        ..JournalOptions::default()
    })
}

/// Where a text is no TOML, for a person with an editor.
fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("line {line}, column {column}")
}

/// An octal mode of permission bits.
fn mode(text: &str) -> Result<u32, (String, String)> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(("traffic_mode".to_owned(), format!("{text:?} is no octal mode such as \"0660\""))),
    }
}

/// Where state is kept when nobody says: `/var/lib/croupier` for root, else under `$XDG_STATE_HOME` or `~/.local/state`.
pub fn default_state_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/croupier");
    }
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("croupier")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let (at, why) = Config::parse(text, Path::new("/etc/croupier")).expect_err("is wrong");
        format!("{at}: {why}")
    }

    #[test]
    fn a_config_says_where_things_are_and_how_plugins_run() {
        let text = r#"
            plugin_dirs = ["plugins", "/opt/games"]
            state_dir = "state"
            socket = "/run/x/control.sock"
            traffic_mode = "0666"
            cgroup = "/sys/fs/cgroup/games"
            worker_uids = "300000-365535"
            workers_ahead = 0
            [log]
            format = "json"
            [transcripts]
            keep_mib = 1
            [defaults]
            queue_max = 7
            [plugins.holdem]
            turn_wall_ms = 250
            [plugins.holdem.settings]
            rake = "0.05"
            tables = 3
        "#;
        let config = Config::parse(text, Path::new("/etc/croupier")).unwrap();
        assert_eq!(config.plugin_dirs[0], Path::new("/etc/croupier/plugins"));
        assert_eq!(config.traffic_socket, Path::new("/run/x/traffic.sock"));
        assert_eq!((config.traffic_mode, config.log.format), (0o666, LogFormat::Json));
        let holdem = config.options("holdem");
        assert_eq!((holdem.queue_max, holdem.turn_wall_ms), (Some(7), Some(250)));
        assert_eq!(holdem.settings.as_deref(), Some(r#"{"rake":"0.05","tables":3}"#));
        assert_eq!(config.options("other").settings, None);
        assert_eq!(config.cgroup, Choice::At("/sys/fs/cgroup/games".into()));
        assert_eq!(Config::default().cgroup, Choice::Auto);
        assert_eq!(config.worker_uids.to_string(), "300000-365535");
        assert_eq!(Config::default().worker_uids, UidRange::default());
        assert_eq!((config.workers_ahead, Config::default().workers_ahead), (0, WORKERS_AHEAD_DEFAULT));
    }

    #[test]
    fn whatever_is_wrong_is_named_by_its_path() {
        assert!(wrong("sokcet = \"x\"").contains("sokcet"));
        assert!(wrong("[log]\nformat = \"loud\"").starts_with("log.format"));
        assert!(wrong("traffic_mode = \"rw\"").starts_with("traffic_mode"));
        assert!(wrong("frame_bytes_max = 1").starts_with("frame_bytes_max"));
        assert!(wrong("cgroup = \"croupier\"").starts_with("cgroup: \"croupier\" is neither"));
        assert!(wrong("worker_uids = \"0-1000\"").starts_with("worker_uids: must be 256 ids or more"));
        assert!(wrong("workers_ahead = 17").starts_with("workers_ahead: 17 is more than 16"));
        assert!(wrong("[defaults]\ncpu_percent = 0").starts_with("defaults.cpu_percent: 0 would"));
        assert!(wrong("[transcripts]\nauditor_key = \"zz\"").starts_with("transcripts.auditor_key"));
        assert!(wrong("[plugins.holdem]\nqueue_max = \"many\"").starts_with("plugins.holdem.queue_max"));
        assert!(wrong("[defaults]\nreplicas = 17").starts_with("defaults.replicas: 17 is more than 16"));
        assert!(wrong("[defaults]\nreplicas = 0").starts_with("defaults.replicas: 0 would"));
        assert!(wrong("[defaults]\nstandbys = 9").starts_with("defaults.standbys: 9 is more than 8"));
        assert!(wrong("[plugins.holdem.settings]\nrake = 0.05").starts_with("plugins.holdem.settings.rake"));
        assert!(wrong("[log]\nfilter = \"croupier=loud\"").starts_with("log.filter"));
        assert!(wrong("[defaults]\nflights_max = 0").starts_with("defaults.flights_max: 0 would"));
        assert!(wrong("[defaults]\ndeny = [\"send\", \"emmit:x\"]").starts_with("defaults.deny[1]"));
        assert!(wrong("[plugins.Craps]\nqueue_max = 1").starts_with("plugins.Craps"));
        assert!(wrong("[plugins.craps]\nqueue = 1").starts_with("plugins.craps.queue: unknown"));
        assert!(wrong("[plugins.craps.settings]\nat = 2020-01-01").starts_with("plugins.craps.settings.at"));
        assert!(wrong("[plugins]\ncraps = 1").starts_with("plugins.craps"));
        assert!(wrong("[transcripts]\nkeep_mib = -1").starts_with("transcripts.keep_mib"));
        assert!(wrong("plugin_dirs = [\"a\", 7]").starts_with("plugin_dirs[1]"));
        assert!(wrong("frame_bytes_max = 99999999999").starts_with("frame_bytes_max"));
        assert!(wrong("[journal]\nmax_mib = 0").starts_with("journal.max_mib"));
        assert!(wrong("[defaults]\ndurability = \"tape\"").starts_with("defaults.durability"));
        assert!(wrong("socket = \"a\"\nx = ").starts_with("line 2, column 5: "));
        assert!(wrong("socket = \"a\"\ntraffic_socket = \"a\"").starts_with("traffic_socket"));
    }
}
