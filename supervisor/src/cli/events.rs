//! `croupier events`: shows what happens in the supervisor, from now on.

use std::time::{Duration, Instant};

use clap::Args;
use croupier_client::blocking::Client;
use croupier_client::{ClientError, Push, Pushes, TurnEvents};
use serde_json::json;

use super::fail::Stop;
use super::out::{Form, Out};
use super::show;

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on until interrupted
    #[arg(long, conflicts_with = "wait")]
    follow: bool,
    /// Without --follow: watch for this many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    wait: u64,
    /// Show every turn too
    #[arg(long)]
    turns: bool,
    /// Only this plugin's
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

impl Events {
    pub(crate) fn run(&self, client: &Client, out: &mut Out) -> Result<(), Stop> {
        let turns = if self.turns { TurnEvents::Included } else { TurnEvents::Left };
        let mut pushes = client.events_with(turns)?;
        let deadline = (!self.follow).then(|| Instant::now() + Duration::from_millis(self.wait));
        while let Some(push) = next(&mut pushes, deadline) {
            match push? {
                Push::Event(event) if self.plugin.as_ref().is_none_or(|plugin| *plugin == event.plugin) => {
                    match out.form() {
                        Form::Json => out.json(&event)?,
                        Form::Human => out.line(&show::event(&event))?,
                    }
                }
                Push::Lagged { lost } => match out.form() {
                    Form::Json => out.json(&json!({ "lagged": lost }))?,
                    Form::Human => out.line(&lagged(lost))?,
                },
                Push::End => break,
                Push::Event(_) | Push::Output(_) => {}
            }
            // Who follows wants to see it now.
            out.flush()?;
        }
        Ok(())
    }
}

fn next(pushes: &mut Pushes, deadline: Option<Instant>) -> Option<Result<Push, ClientError>> {
    match deadline {
        None => pushes.wait_next(),
        Some(deadline) => pushes.wait_next_until(deadline).ok().flatten(),
    }
}

fn lagged(lost: u64) -> String {
    match lost {
        0 => "(the connection was made again; some events may be missing here)".to_owned(),
        lost => format!("({lost} events were dropped here: they came faster than they were read)"),
    }
}
