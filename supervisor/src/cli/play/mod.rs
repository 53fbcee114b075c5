//! `croupier play`: plays a script of traffic, checks its expectations, and measures. docs/PLAY.md describes the format.
//!
//! * [`line`]: one line, on its own. * [`script`]: all lines, in their order. * [`run`]: the playing. * [`compare`], [`number`]: expectations.
//! * [`tally`], [`report`]: what came of it.

mod compare;
mod line;
mod number;
mod report;
mod run;
mod script;
mod tally;

use std::fs::File;
use std::io::{BufReader, IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use croupier_client::{Client, ClientError, ConnectOptions, Push, Pushes, Reconnect, StatusInfo, What};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use super::fail::{Failure, Stop, failed};
use super::out::{Form, Out};
use report::{Manner, Pauses, Report};
use script::{Script, ScriptError};

/// Sessions side by side that share one connection at most; well below what a connection may have outstanding.
const SESSIONS_PER_CONNECTION: u64 = 1024;
/// Connections from this many sessions side by side on, so that the supervisor may serve them in parallel.
const CONNECTIONS_MIN: u64 = 2;
/// Events that may wait to be read while `--pauses` listens.
const EVENTS_MAX: usize = 1 << 16;

/// How often the last status is asked for while connections end.
const STATUS_ATTEMPTS: u32 = 10;

/// Arguments of `play`.
#[derive(Debug, Args)]
pub(crate) struct Play {
    /// The script, one JSON object a line; `-` is standard input
    script: PathBuf,
    /// Sessions played side by side
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    concurrency: u64,
    /// Play the whole script this many times, each time with fresh sessions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Listen to the supervisor's events meanwhile, and tell how long sessions stood still when workers were lost
    #[arg(long)]
    pauses: bool,
}

impl Play {
    pub(crate) fn run(&self, control: PathBuf, out: &mut Out) -> Result<ExitCode, Stop> {
        let script = self.read()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new("internal", format!("cannot start: {error}"), ""))?;
        let (report, is_clean) = runtime.block_on(self.play(script, &control))?;
        match out.form() {
            Form::Json => out.json(&report)?,
            Form::Human => report.lines().iter().try_for_each(|line| out.line(line))?,
        }
        out.flush()?;
        Ok(if is_clean { ExitCode::SUCCESS } else { failed() })
    }

    fn read(&self) -> Result<Script, Stop> {
        let script = if self.script == Path::new("-") {
            Script::read(stdin().lock())
        } else {
            match File::open(&self.script) {
                Ok(file) => Script::read(BufReader::with_capacity(1 << 20, file)),
                Err(error) => Err(ScriptError::Io(error)),
            }
        };
        script.map_err(|error| bad_script(&self.script, error).into())
    }

    async fn play(&self, script: Script, control: &Path) -> Result<(Report, bool), Stop> {
        let options = ConnectOptions {
            program: super::program(),
            pushes_max: EVENTS_MAX,
            // The traffic has waited for the supervisor before the operator asks for the last status.
            reconnect: Reconnect { attempts: 6, ..Reconnect::default() },
            ..ConnectOptions::default()
        };
        let operator = Client::connect_with(control, options).await?;
        let traffic = operator.server().and_then(|server| server.traffic_socket);
        let traffic = traffic.map_or_else(|| control.to_owned(), PathBuf::from);
        let clients = self.connect(&traffic).await?;

        let before = operator.status().await?;
        let pauses = match self.pauses {
            true => Some(Watch::start(operator.events().await?)),
            false => None,
        };
        let bar = self.bar(&script);
        let play = Arc::new(run::Play::new(script, clients, self.repeat, self.concurrency, bar));
        let elapsed = play.run().await;
        let pauses = pauses.map(Watch::end);
        let after = last_status(&operator).await.unwrap_or_else(|error| {
            let failure = Failure::from(error);
            let text = format!("the supervisor's status could not be read after the play: {}", failure.text);
            let fault = tally::Fault { line: 0, session: String::new(), repeat: 0, code: failure.code, text };
            play.tally().failures.add(fault);
            before.clone()
        });
        let manner = Manner { concurrency: self.concurrency, repeat: self.repeat };
        let tally = play.tally();
        Ok((Report::new(&tally, elapsed, manner, &before, &after, pauses), tally.is_clean()))
    }

    async fn connect(&self, traffic: &Path) -> Result<Vec<Client>, Stop> {
        let wanted =
            self.concurrency.div_ceil(SESSIONS_PER_CONNECTION).max(CONNECTIONS_MIN.min(self.concurrency));
        let mut clients = Vec::new();
        for _ in 0..wanted {
            let options = ConnectOptions { program: super::program(), ..ConnectOptions::default() };
            clients.push(Client::connect_with(traffic, options).await?);
        }
        Ok(clients)
    }

    /// For a terminal only.
    fn bar(&self, script: &Script) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(script.steps().saturating_mul(self.repeat));
        match ProgressStyle::with_template("{bar:40} {pos}/{len} lines  {per_sec}  {eta} left") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

fn bad_script(path: &Path, error: ScriptError) -> Failure {
    let path = path.display();
    match error {
        ScriptError::Io(error) => Failure::new(
            "no-file",
            format!("cannot read {path}: {error}"),
            "give the path of a play script, or - for standard input",
        ),
        ScriptError::Empty => Failure::new(
            "bad-script",
            format!("{path} has no lines: there is nothing to play"),
            "see docs/PLAY.md",
        ),
        ScriptError::Lines(problems, count) => {
            let text = format!("{path}: {count} lines are wrong, nothing was played");
            Failure {
                problems,
                ..Failure::new("bad-script", text, "mend the lines; docs/PLAY.md describes the format")
            }
        }
    }
}

/// Listens for sessions that were restored.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

struct Seen {
    pauses_ns: Histogram<u64>,
    missed: u64,
}

impl Watch {
    fn start(mut events: Pushes) -> Watch {
        let seen = Arc::new(Mutex::new(Seen { pauses_ns: tally::histogram(), missed: 0 }));
        let shared = seen.clone();
        let task = tokio::spawn(async move {
            while let Some(Ok(push)) = events.next().await {
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match push {
                    Push::Event(event) => {
                        if let What::SessionRestored { pause_us, .. } = event.what {
                            seen.pauses_ns.saturating_record(pause_us.saturating_mul(1000).max(1));
                        }
                    }
                    Push::Lagged { lost } => seen.missed += lost,
                    Push::Output(_) | Push::End => {}
                }
            }
        });
        Watch { seen, task }
    }

    fn end(self) -> Pauses {
        self.task.abort();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Pauses::new(&seen.pauses_ns, seen.missed)
    }
}

/// The supervisor may end and come back just then; the traffic has waited for it as well.
async fn last_status(operator: &Client) -> Result<StatusInfo, ClientError> {
    for _ in 1..STATUS_ATTEMPTS {
        match operator.status().await {
            Err(error) if error.code().is_none() => {}
            answered => return answered,
        }
    }
    operator.status().await
}
