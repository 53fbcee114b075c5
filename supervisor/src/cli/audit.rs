//! `croupier audit`: looks into the audit log, and verifies it. Reads the files themselves, so it works without a supervisor.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use croupier::audit::chain::{Hash, Line};
use croupier::audit::directory_in;
use croupier::audit::log::Tip;
use croupier::audit::read::{CSV_HEAD, Filter, Kinds, csv, details, plugin_of};
use croupier::audit::verify::{Report, check_head, verify, verify_each};
use croupier::dates;
use serde_json::json;

use super::Common;
use super::fail::{Failure, Stop};
use super::out::{Form, Out};

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: Option<What>,
    /// Only about this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only from then on: a date (2026-11-21, 2026-11-21T08:00:00Z), or a span back from now (90s, 15m, 36h, 7d)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<String>,
    /// Only where somebody was refused something
    #[arg(long)]
    denied: bool,
    /// How to write the records
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    place: StateDir,
}

/// Where the supervisor keeps its state.
#[derive(Debug, Args)]
pub(crate) struct StateDir {
    /// The supervisor's state directory; asked of the supervisor when not said, and as usual when there is none
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check the whole chain: any edited, dropped, added or moved record is found and named
    Verify {
        /// A head that was noted earlier: the log must still hold it
        #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
        head: Option<Tip>,
        #[command(flatten)]
        place: StateDir,
    },
    /// Show the newest record's number and hash: note it elsewhere from time to time
    Head {
        #[command(flatten)]
        place: StateDir,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line per record, for a person
    Human,
    /// One JSON object per line
    Json,
    /// Comma-separated values with a head
    Csv,
}

impl StateDir {
    /// As said, as the supervisor says, or as usual.
    pub(crate) fn find(&self, common: &Common) -> PathBuf {
        let told = || common.connect().ok()?.status().ok()?.state_dir.map(PathBuf::from);
        self.state_dir.clone().or_else(told).unwrap_or_else(croupier::config::default_state_dir)
    }
}

impl Audit {
    pub(crate) fn run(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        match &self.what {
            None => self.show(common, out),
            Some(What::Verify { head, place }) => check(&directory_in(&place.find(common)), *head, out),
            Some(What::Head { place }) => {
                let dir = directory_in(&place.find(common));
                let report = verify(&dir).map_err(|error| unreadable(&dir, &error))?;
                whole(&report)?;
                match out.form() {
                    Form::Json => {
                        out.json(&json!({ "seq": report.head.seq, "hash": report.head.hash.to_string() }))
                    }
                    Form::Human => out.line(&format!("{}:{}", report.head.seq, report.head.hash)),
                }
            }
        }
    }

    fn show(&self, common: &Common, out: &mut Out) -> Result<(), Stop> {
        let dir = directory_in(&self.place.find(common));
        let filter = Filter {
            plugin: self.plugin.clone(),
            since: self.since.clone(),
            kinds: if self.denied { Kinds::Denials } else { Kinds::All },
        };
        let usual = if out.form() == Form::Json { Format::Json } else { Format::Human };
        let format = self.format.unwrap_or(usual);
        if format == Format::Csv {
            out.bytes(CSV_HEAD.as_bytes())?;
        }
        let mut written = Ok(());
        let each = |line: &Line| {
            if written.is_ok() && filter.wants(line) {
                written = record(line, format, out);
            }
        };
        let report = verify_each(&dir, each).map_err(|error| unreadable(&dir, &error))?;
        written?;
        whole(&report)
    }
}

fn record(line: &Line, format: Format, out: &mut Out) -> Result<(), Stop> {
    match format {
        Format::Csv => out.bytes(csv(line).as_bytes()),
        Format::Json => out.json(&json!({ "seq": line.seq, "at": line.at, "what": line.what })),
        Format::Human => {
            let plugin = plugin_of(line).map_or_else(String::new, |plugin| format!(" {plugin}:"));
            let at = line.at.get(..19).unwrap_or(&line.at);
            out.line(&format!("{:>6} {at}Z{plugin} {} {}", line.seq, line.kind(), details(line)))
        }
    }
}

fn check(dir: &Path, noted: Option<Tip>, out: &mut Out) -> Result<(), Stop> {
    let report = verify(dir).map_err(|error| unreadable(dir, &error))?;
    whole(&report)?;
    if let Some(noted) = noted
        && let Some(problem) = check_head(dir, noted).map_err(|error| unreadable(dir, &error))?
    {
        return Err(broken(&problem.to_string()).into());
    }
    let Report { files, records, first_seq, head, .. } = report;
    match out.form() {
        Form::Json => out.json(&json!({
            "ok": true, "files": files, "records": records, "first_seq": first_seq,
            "head": { "seq": head.seq, "hash": head.hash.to_string() },
        })),
        Form::Human => {
            out.line(&format!(
                "the chain holds: {records} records in {files} files, from record {first_seq} on"
            ))?;
            out.line(&format!("head {}:{}", head.seq, head.hash))?;
            match noted {
                Some(noted) => out.line(&format!("record {}, which was noted, is there", noted.seq)),
                None => out.line(
                    "records missing at the very end show only against a noted head: --head NUMBER:HASH",
                ),
            }
        }
    }
}

fn whole(report: &Report) -> Result<(), Stop> {
    match &report.problem {
        None => Ok(()),
        Some(problem) => Err(broken(&problem.to_string()).into()),
    }
}

fn broken(problem: &str) -> Failure {
    let hint = "keep a copy of the directory as it is; everything before this place still holds";
    Failure {
        problems: vec![problem.to_owned()],
        ..Failure::new("audit-broken", "the audit log does not hold", hint)
    }
}

fn unreadable(dir: &Path, error: &std::io::Error) -> Failure {
    let text = format!("cannot read the audit log {}: {error}", dir.display());
    Failure::new("no-audit-log", text, "name the supervisor's state directory with --state-dir, as its user")
}

/// Texts of times sort as times do.
fn since(text: &str) -> Result<String, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let back = dates::span(text).map(|span| now.saturating_sub(span).as_secs());
    let at = back.or_else(|| dates::parse(text)).ok_or("a date such as 2026-11-21, or a span such as 36h")?;
    Ok(dates::rfc3339(at.saturating_mul(1_000_000_000)))
}

fn head(text: &str) -> Result<Tip, String> {
    let parsed = text
        .split_once(':')
        .and_then(|(seq, hash)| Some(Tip { seq: seq.parse().ok()?, hash: Hash::from_hex(hash)? }));
    parsed.ok_or_else(|| "NUMBER:HASH, as `croupier audit head` shows it".to_owned())
}
