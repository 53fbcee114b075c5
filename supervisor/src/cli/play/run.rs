//! Plays a checked script: so many sessions side by side, each session's lines in order, one outstanding at a time.
//!
//! ```text
//!   lane 1 ─▶ session a ─▶ session d ─▶ …        a lane takes the next session when its last one is done;
//!   lane 2 ─▶ session b ─▶ session e ─▶ …        all lanes share a few connections
//!   lane n ─▶ session c ─▶ …
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use croupier_client::{Client, ClientError, Done, Input, Opened, Refusal, Session};
use indicatif::ProgressBar;

use super::compare::{Difference, compare, cut};
use super::script::{Script, Step, Table, Verb};
use super::tally::{Fault, Mismatch, Tally};
use crate::cli::fail::{Failure, code_text};

/// What is played, and what has come of it so far.
pub(super) struct Play {
    script: Script,
    clients: Vec<Client>,
    repeat: u64,
    concurrency: u64,
    bar: ProgressBar,
    tally: Mutex<Tally>,
    /// The next session to play, over all repetitions.
    next: AtomicU64,
    /// The supervisor cannot be spoken with any more: no further line makes sense.
    is_over: AtomicBool,
}

impl Play {
    pub(super) fn new(
        script: Script,
        clients: Vec<Client>,
        repeat: u64,
        concurrency: u64,
        bar: ProgressBar,
    ) -> Play {
        Play {
            script,
            clients,
            repeat,
            concurrency,
            bar,
            tally: Mutex::new(Tally::new()),
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Plays everything; gives how long it took.
    pub(super) async fn run(self: &Arc<Play>) -> Duration {
        let started = Instant::now();
        let all = self.repeat.saturating_mul(self.script.tables().len() as u64);
        let lanes: Vec<_> = (0..self.concurrency.min(all))
            .map(|lane| {
                let play = self.clone();
                tokio::spawn(async move { play.lane(lane, all).await })
            })
            .collect();
        for lane in lanes {
            if let Err(panic) = lane.await {
                let text = format!("a lane of the player stopped: {panic}; please report this");
                self.tally().failures.add(fault(0, "", 0, "internal", text));
            }
        }
        self.bar.finish_and_clear();
        started.elapsed()
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lane(&self, lane: u64, all: u64) {
        let client = &self.clients[usize::try_from(lane).unwrap_or(0) % self.clients.len()];
        let tables = self.script.tables();
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            if next >= all {
                return;
            }
            let place = usize::try_from(next % tables.len() as u64).unwrap_or(0);
            let repeat = next / tables.len() as u64 + 1;
            let seat = Seat { play: self, client, table: &tables[place], repeat, session: None, last: None };
            seat.run().await;
        }
    }
}

/// One session name in one repetition.
struct Seat<'a> {
    play: &'a Play,
    client: &'a Client,
    table: &'a Table,
    repeat: u64,
    /// Open since the last `open` that succeeded, until a `close` did.
    session: Option<Session>,
    last: Option<Vec<u8>>,
}

impl Seat<'_> {
    async fn run(mut self) {
        for step in &self.table.steps {
            if self.play.is_over.load(Ordering::Relaxed) {
                self.play.tally().skipped += 1;
            } else {
                self.step(step).await;
            }
            self.play.bar.inc(1);
        }
    }

    async fn step(&mut self, step: &Step) {
        match step.verb {
            Verb::Open => self.open(step).await,
            Verb::Expect => self.expect(step),
            Verb::Join | Verb::Act | Verb::Leave | Verb::Close => self.turn(step).await,
        }
    }

    async fn open(&mut self, step: &Step) {
        (self.session, self.last) = (None, None);
        let extra = self.play.script.extra(step);
        let options = serde_json::from_str(&extra.options).unwrap_or_default();
        let started = Instant::now();
        let answer = self.client.open(&extra.plugin, self.play.script.payload(step), options).await;
        let latency = started.elapsed();
        let (session, answer) = match answer {
            Ok(session) => {
                let done = session.opened().map(|Opened { done, .. }| done.clone());
                (Some(session), done.ok_or(ClientError::Gone))
            }
            Err(error) => (None, Err(error)),
        };
        if session.is_some() {
            self.play.tally().sessions += 1;
        }
        self.session = session;
        self.settle(step, latency, answer);
        if extra.error.is_some()
            && let Some(session) = self.session.take()
        {
            // It should have been refused, and no line of the script will close it.
            let _ = session.close().await;
        }
    }

    async fn turn(&mut self, step: &Step) {
        let Some(session) = &self.session else {
            self.play.tally().skipped += 1;
            return;
        };
        let input = self.input(step);
        let started = Instant::now();
        let answer = session.turn(input).await;
        let latency = started.elapsed();
        if step.verb == Verb::Close && answer.is_ok() {
            self.session = None;
        }
        self.settle(step, latency, answer);
    }

    fn input(&self, step: &Step) -> Input {
        let payload = self.play.script.payload(step).to_vec();
        let bytes = || self.play.script.extra(step).bytes.clone();
        match step.verb {
            Verb::Join => Input::Join { player: step.player, profile: payload, client_seed: bytes() },
            Verb::Leave => Input::Leave { player: step.player, reason: bytes() },
            Verb::Act => Input::Action { player: step.player, payload },
            Verb::Open | Verb::Expect | Verb::Close => Input::Close,
        }
    }

    /// Counts what became of a turn.
    fn settle(&mut self, step: &Step, latency: Duration, answer: Result<Done, ClientError>) {
        let expected = self.play.script.extra(step).error.as_deref();
        let mut tally = self.play.tally();
        match answer {
            Ok(done) => {
                tally.answered_after(latency);
                tally.turns += 1;
                tally.retries += u64::from(done.retries);
                if let Some(expected) = expected {
                    let got = format!("done: {}", String::from_utf8_lossy(&done.reply));
                    tally.mismatches.add(self.not_refused(step, expected, &got));
                }
                drop(tally);
                self.last = Some(done.reply);
            }
            Err(ClientError::Refused(refusal)) => {
                tally.answered_after(latency);
                // A turn that the plugin refuses is a turn: it has a number and is recorded.
                tally.turns += u64::from(refusal.seq != 0);
                match expected {
                    Some(expected) if is_expected(&refusal, expected) => tally.refusals_expected += 1,
                    Some(expected) => {
                        let got = format!("{}: {refusal}", code_text(refusal.code));
                        tally.mismatches.add(self.not_refused(step, expected, &got));
                    }
                    None => {
                        tally.failures.add(self.fault(step, Failure::from(ClientError::Refused(refusal))))
                    }
                }
            }
            Err(error) => {
                if !matches!(error, ClientError::TooBig { .. } | ClientError::WrongReply { .. }) {
                    self.play.is_over.store(true, Ordering::Relaxed);
                }
                tally.failures.add(self.fault(step, Failure::from(error)));
            }
        }
    }

    fn expect(&mut self, step: &Step) {
        let Some(last) = &self.last else {
            self.play.tally().skipped += 1;
            return;
        };
        let difference = match serde_json::from_slice(self.play.script.payload(step)) {
            Ok(expected) => compare(&expected, last),
            // The reader of the script has read it once already.
            Err(error) => {
                Err(Difference { place: String::new(), expected: error.to_string(), got: String::new() })
            }
        };
        if let Err(Difference { place, expected, got }) = difference {
            let (session, repeat) = (self.table.name.to_string(), self.repeat);
            let mismatch = Mismatch { line: step.line, session, repeat, member: place, expected, got };
            self.play.tally().mismatches.add(mismatch);
        }
    }

    fn not_refused(&self, step: &Step, expected: &str, got: &str) -> Mismatch {
        Mismatch {
            line: step.line,
            session: self.table.name.to_string(),
            repeat: self.repeat,
            member: "error".to_owned(),
            expected: expected.to_owned(),
            got: cut(got),
        }
    }

    fn fault(&self, step: &Step, failure: Failure) -> Fault {
        let text = if failure.hint.is_empty() {
            failure.text
        } else {
            format!("{} ({})", failure.text, failure.hint)
        };
        fault(step.line, &self.table.name, self.repeat, &failure.code, text)
    }
}

fn fault(line: u32, session: &str, repeat: u64, code: &str, text: String) -> Fault {
    Fault { line, session: session.to_owned(), repeat, code: code.to_owned(), text }
}

/// The code itself, or a part of the text.
fn is_expected(refusal: &Refusal, expected: &str) -> bool {
    code_text(refusal.code) == expected || refusal.text.contains(expected)
}
