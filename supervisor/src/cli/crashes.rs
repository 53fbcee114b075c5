//! `croupier crashes`, `croupier crash`: reports of workers' deaths, and running into them again. Reads the folders, so it works without a supervisor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use croupier::crash::case::CaseFile;
use croupier::crash::debug::{DebugError, Debugged, Looker, debug};
use croupier::crash::folder::{self, directory_in};
use croupier::crash::replay::{ReplayError, Replayed, replay};
use croupier::crash::report::Report;
use croupier::registry::objects;
use croupier_manifest::Digest;
use serde_json::json;

use super::Common;
use super::audit::StateDir;
use super::crash_text::{call, lines};
use super::fail::{Failure, Stop};
use super::out::{Align, Form, Out, Table};

/// The exit code when a replay did not crash.
const SURVIVED: u8 = 3;

/// Arguments of `crashes`.
#[derive(Debug, Args)]
pub(crate) struct Crashes {
    /// Only of this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    #[command(flatten)]
    place: StateDir,
}

/// Arguments of `crash`.
#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// The report's id, as `croupier crashes` lists it; `last` for the newest
    id: String,
    /// Run into it again: restore the session in a fresh worker of its own, and play its turns. Exit code 0: it crashed again, 3: it did not
    #[arg(long, group = "again")]
    replay: bool,
    /// The same under gdb, in a worker WITHOUT a jail: the plugin can do whatever you can
    #[arg(long, group = "again")]
    gdb: bool,
    /// Without a prompt: gdb prints a backtrace and registers, and ends. Exit codes as with --replay
    #[arg(long, requires = "gdb")]
    batch: bool,
    /// The plugin to replay with; by default the copy that the supervisor kept
    #[arg(long, value_name = "FILE", requires = "again")]
    plugin: Option<PathBuf>,
    /// The `croupier-worker` binary; beside this one when not said
    #[arg(long, value_name = "PATH", requires = "again")]
    worker: Option<PathBuf>,
    #[command(flatten)]
    place: StateDir,
}

impl Crashes {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        let dir = directory_in(&self.place.find(common));
        let ids = folder::ids(&dir).map_err(|error| unreadable(&dir, &error))?;
        let reports = ids.iter().filter_map(|id| folder::report(&dir, id).ok());
        let wanted = |report: &Report| self.plugin.as_ref().is_none_or(|plugin| *plugin == report.plugin);
        let reports: Vec<Report> = reports.filter(wanted).collect();
        if out.form() == Form::Json {
            return out.json(&json!({ "crashes": reports }));
        }
        if reports.is_empty() {
            return out.line("no crash reports");
        }
        let left = |name| (name, Align::Left);
        let mut table =
            Table::new(&[left("CRASH"), left("PLUGIN"), left("VERSION"), left("CAUSE"), left("AT")]);
        for report in reports {
            let at = report.last_call.as_ref().map_or_else(|| "no call".to_owned(), call);
            table.row([report.id, report.plugin, report.version, report.cause.text, at]);
        }
        table.lines().iter().try_for_each(|line| out.line(line))
    }
}

impl Crash {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<ExitCode, Stop> {
        let state_dir = self.place.find(common);
        let dir = directory_in(&state_dir);
        let newest = || folder::ids(&dir).ok()?.pop();
        let id = if self.id == "last" { newest().unwrap_or_default() } else { self.id.clone() };
        let report = folder::report(&dir, &id).map_err(|error| unknown(&id, &error))?;
        if self.replay || self.gdb {
            let again = self.again(&state_dir, &dir, &report)?;
            return if self.gdb { self.debug(&again, out) } else { self.replay(&again, out) };
        }
        match out.form() {
            Form::Json => out.json(&report)?,
            Form::Human => {
                let folder = folder::folder_of(&dir, &id).map_err(|error| unknown(&id, &error))?;
                lines(&report, &folder).iter().try_for_each(|line| out.line(line))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What it takes to run into it again.
    fn again(&self, state_dir: &Path, dir: &Path, report: &Report) -> Result<Again, Stop> {
        if let Some(why) = &report.no_replay {
            let text = format!("this crash cannot be run into again: {why}");
            return Err(Failure::new("no-replay", text, "").into());
        }
        let case = folder::case(dir, &report.id).map_err(|error| unknown(&report.id, &error))?;
        let kept = || objects::path_in(state_dir, digest(&case.digest));
        let plugin = self.plugin.clone().unwrap_or_else(kept);
        Ok(Again { case, plugin })
    }

    fn debug(&self, again: &Again, out: &mut Out) -> Result<ExitCode, Stop> {
        let looker = if self.batch { Looker::Nobody } else { Looker::Person };
        out.line("the plugin runs without its jail, as you, under gdb")?;
        out.flush()?;
        match debug(&again.case, &again.plugin, self.worker.clone(), looker) {
            Ok(Debugged::Stopped) => Ok(ExitCode::SUCCESS),
            Ok(Debugged::Survived { turns }) => {
                out.line(&format!("it did not crash: {turns} turns were played"))?;
                Ok(ExitCode::from(SURVIVED))
            }
            Err(DebugError::Replay(error)) => Err(not_replayed(&error).into()),
            Err(error) => Err(Failure::new("no-debugger", error.to_string(), "").into()),
        }
    }

    fn replay(&self, again: &Again, out: &mut Out) -> Result<ExitCode, Stop> {
        let replayed =
            replay(&again.case, &again.plugin, self.worker.clone()).map_err(|error| not_replayed(&error))?;
        let (crashed, text) = match &replayed {
            Replayed::Crashed { cause, seq, .. } => {
                let at =
                    seq.map_or_else(|| "before its first turn".to_owned(), |seq| format!("at turn {seq}"));
                (true, format!("it crashed again, {at}: {cause}"))
            }
            Replayed::Survived { turns, .. } => {
                (false, format!("it did not crash: {turns} turns were played"))
            }
        };
        let (Replayed::Crashed { diverged, .. } | Replayed::Survived { diverged, .. }) = replayed;
        match out.form() {
            Form::Json => out.json(&json!({ "crashed": crashed, "text": text, "diverged": diverged }))?,
            Form::Human => {
                out.line(&text)?;
                if let Some(seq) = diverged {
                    out.line(&format!(
                        "turn {seq} answered otherwise than it did then: the plugin is not deterministic"
                    ))?;
                }
            }
        }
        Ok(if crashed { ExitCode::SUCCESS } else { ExitCode::from(SURVIVED) })
    }
}

/// A case, and the plugin's file.
struct Again {
    case: CaseFile,
    plugin: PathBuf,
}

fn not_replayed(error: &ReplayError) -> Failure {
    Failure::new("not-replayed", error.to_string(), "name the binary with --plugin")
}

/// All zeros for what is no digest: no such binary is kept.
fn digest(text: &str) -> Digest {
    Digest(hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}

fn unknown(id: &str, error: &std::io::Error) -> Failure {
    Failure::new(
        "no-crash",
        format!("no crash report {id:?} can be read: {error}"),
        "`croupier crashes` lists them",
    )
}

fn unreadable(dir: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot read {}: {error}", dir.display());
    Failure::new("no-crashes", text, "name the supervisor's state directory with --state-dir, as its user")
}
