//! `croupier doctor`: what this machine can do for us. Needs no supervisor.

use croupier::doctor::{Item, Verdict, examine};
use serde_json::json;

use super::fail::{Failure, Stop};
use super::out::{Align, Form, Out, Table};

/// Without these nothing can be served.
const NEEDED: [&str; 3] = ["memfd seals", "pidfd", "worker binary"];

/// Shows every item; fails when something is absent that is needed.
pub(crate) fn run(out: &mut Out) -> Result<(), Stop> {
    let items = examine();
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

fn lines(items: &[Item]) -> Vec<String> {
    let mut table = Table::new(&[
        ("ITEM", Align::Left),
        ("VERDICT", Align::Left),
        ("SEEN", Align::Left),
        ("ADVICE", Align::Left),
    ]);
    for item in items {
        let verdict = match item.verdict {
            Verdict::Ok => "ok",
            Verdict::Partial => "partial",
            Verdict::Absent => "absent",
        };
        table.row([item.name.to_owned(), verdict.to_owned(), item.detail.clone(), item.advice.to_owned()]);
    }
    table.lines()
}
