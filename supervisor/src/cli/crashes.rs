//! `croupier crashes`, `croupier crash`: reports of workers' deaths, and running into them again. Reads the folders, so it works without a supervisor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use croupier::crash::folder::{self, directory_in};
use croupier::crash::replay::{Replayed, replay};
use croupier::crash::report::{Call, Report};
use croupier::crash::symbol::symbol_at;
use croupier::registry::objects;
use croupier_manifest::Digest;
use serde_json::json;

use super::Common;
use super::audit::StateDir;
use super::fail::{Failure, Stop};
use super::out::{Align, Form, Out, Table};

/// How the plugin's mapping is called (memfd_create(2)).
const PLUGIN_MODULE: &str = "/memfd:plugin";
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
    #[arg(long)]
    replay: bool,
    /// The plugin to replay with; by default the copy that the supervisor kept
    #[arg(long, value_name = "FILE", requires = "replay")]
    plugin: Option<PathBuf>,
    /// The `croupier-worker` binary; beside this one when not said
    #[arg(long, value_name = "PATH", requires = "replay")]
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
        if self.replay {
            return self.replay(&state_dir, &dir, &report, out);
        }
        match out.form() {
            Form::Json => out.json(&report)?,
            Form::Human => {
                let folder = folder::folder_of(&dir, &id).map_err(|error| unknown(&id, &error))?;
                let symbol = symbol(&report, &state_dir);
                lines(&report, &folder, symbol.as_deref()).iter().try_for_each(|line| out.line(line))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn replay(&self, state_dir: &Path, dir: &Path, report: &Report, out: &mut Out) -> Result<ExitCode, Stop> {
        if let Some(why) = &report.no_replay {
            let text = format!("this crash cannot be run into again: {why}");
            return Err(Failure::new("no-replay", text, "").into());
        }
        let case = folder::case(dir, &report.id).map_err(|error| unknown(&report.id, &error))?;
        let kept = || objects::path_in(state_dir, digest(&case.digest));
        let plugin = self.plugin.clone().unwrap_or_else(kept);
        let replayed = replay(&case, &plugin, self.worker.clone()).map_err(|error| {
            Failure::new("not-replayed", error.to_string(), "name the binary with --plugin")
        })?;
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

/// All zeros for what is no digest: no such binary is kept.
fn digest(text: &str) -> Digest {
    Digest(hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}

fn call(call: &Call) -> String {
    match (call.session, call.seq) {
        (0, _) => call.what.clone(),
        (session, 0) => format!("{} of session {session}", call.what),
        (session, seq) => format!("{} {seq} of session {session}", call.what),
    }
}

/// The function that faulted, when that was in the plugin, and its kept copy has symbols.
fn symbol(report: &Report, state_dir: &Path) -> Option<String> {
    let fault = report.fault.as_ref()?;
    fault.module.as_ref().filter(|module| module.starts_with(PLUGIN_MODULE))?;
    let offset = u64::from_str_radix(fault.offset.as_ref()?.strip_prefix("0x")?, 16).ok()?;
    let elf = std::fs::read(objects::path_in(state_dir, digest(&report.digest))).ok()?;
    let (name, into) = symbol_at(&elf, offset)?;
    Some(format!("{name}+{into:#x}"))
}

fn lines(report: &Report, folder: &Path, symbol: Option<&str>) -> Vec<String> {
    let mut lines = vec![
        format!("crash     {}", report.id),
        format!("plugin    {} {}, binary {}", report.plugin, report.version, report.digest),
        format!("worker    {}, process {}, at {}", report.worker, report.pid, report.at),
        format!(
            "cause     {}{}",
            report.cause.text,
            if report.cause.counts { "" } else { " (not the turn's doing)" }
        ),
        format!("at        {}", report.last_call.as_ref().map_or_else(|| "no call".to_owned(), call)),
        format!("behind    {} more calls unanswered", report.unanswered.len().saturating_sub(1)),
    ];
    lines.push(match &report.fault {
        None => "fault     the kernel's log says nothing, or may not be read".to_owned(),
        Some(fault) => {
            let place = fault.module.as_ref().zip(fault.offset.as_ref());
            let place = place.map_or_else(String::new, |(module, offset)| format!(" = {module}+{offset}"));
            let address = fault.address.as_deref().unwrap_or("unknown");
            format!("fault     address {address}, ip {}{place}, sp {}", fault.ip, fault.sp)
        }
    });
    lines.extend(symbol.map(|symbol| format!("in        {symbol}")));
    lines.push(format!("isolation {}", report.isolation));
    if let Some(words) = &report.untrusted.last_words {
        lines.push(format!("it said   {words}   (its own words: no evidence)"));
    }
    lines.push(match &report.no_replay {
        None => format!("replay    croupier crash {} --replay", report.id),
        Some(why) => format!("replay    none: {why}"),
    });
    lines.push(format!("folder    {}", folder.display()));
    lines
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
