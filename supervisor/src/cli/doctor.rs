//! `croupier doctor`: what this machine can do for us. Needs no supervisor.

use std::path::PathBuf;

use clap::Args;
use croupier::config::{Config, ConfigError};
use croupier::doctor::{Item, Verdict, examine};
use serde_json::json;

use super::fail::{Failure, Stop};
use super::out::{Form, Out, hanging};

/// Without these nothing can be served.
const NEEDED: [&str; 3] = ["memfd seals", "pidfd", "worker binary"];

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The config that `serve` is to be started with: its `cgroup` and `worker_uids` are looked at
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Shows every item; fails when something is absent that is needed.
pub(crate) fn run(doctor: &Doctor, out: &mut Out) -> Result<(), Stop> {
    let config = read(doctor)?;
    let items = examine(&config);
    match out.form() {
        Form::Json => out.json(&json!({ "items": items }))?,
        Form::Human => lines(&items).iter().try_for_each(|line| out.line(line))?,
    }
    let missing: Vec<String> = items
        .iter()
        .filter(|item| item.verdict == Verdict::Absent && NEEDED.contains(&item.name))
        .map(|item| format!("{}: {}", item.name, item.advice))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let hint = "mend these first: without them no plugin can be served";
    Err(Failure {
        problems: missing,
        ..Failure::new("not-ready", "something that is needed is missing", hint)
    }
    .into())
}

fn read(doctor: &Doctor) -> Result<Config, Stop> {
    let Some(path) = &doctor.config else { return Ok(Config::default()) };
    let wrong = |error: ConfigError| {
        Failure::new("bad-config", error.to_string(), "docs/OPERATING.md lists every key")
    };
    Ok(Config::read(path).map_err(wrong)?)
}

/// An item, how much of it is there, what was seen; below, what to do.
fn lines(items: &[Item]) -> Vec<String> {
    let names = items.iter().map(|item| item.name.len()).max().unwrap_or(0);
    let of = |item: &Item| {
        let verdict = match item.verdict {
            Verdict::Ok => "ok",
            Verdict::Partial => "partial",
            Verdict::Absent => "absent",
        };
        let head = format!("{:<names$}  {verdict:<7}  ", item.name);
        let mut lines = hanging(&head, &item.detail);
        if !item.advice.is_empty() {
            lines.extend(hanging(&format!("{:1$}", "", head.len()), &format!("next: {}", item.advice)));
        }
        lines
    };
    items.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::out::WIDTH;

    #[test]
    fn what_to_do_stands_below_what_was_seen_within_any_terminal() {
        let item =
            |name, verdict, detail: &str, advice| Item { name, verdict, detail: detail.to_owned(), advice };
        let items = [
            item("kernel", Verdict::Ok, "Linux 6.18", ""),
            item("worker users", Verdict::Partial, &"seen ".repeat(30), "do this"),
        ];
        let lines = lines(&items);
        assert_eq!(lines[0], "kernel        ok       Linux 6.18");
        assert!(lines[1].starts_with("worker users  partial  seen seen"), "{lines:#?}");
        assert_eq!(lines.last().unwrap().trim_start(), "next: do this");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{lines:#?}");
    }
}
