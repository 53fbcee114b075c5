//! Measures the ways to call a plugin that are not Croupier, on the same work and in one run, for `scripts/bench`.
//!
//! ```text
//!  croupier-peers ─▶ calls, startup: round trips, throughput, first answers ─▶ ways/: dlopen, wasmtime, extism, rings, sockets, gRPC, go-plugin, …
//!        │         ─▶ kernels: time per unit of work                     │
//!        └─────────▶ crossover: turns with work in them           --serve: the other process
//! ```
//!
//! Every figure is the median over rounds, with quartiles; within a round everything is measured once, in turn. What it prints is raw:
//! `tests/bench/report` makes a report of it. It knows nothing of Croupier.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(unreachable_pub)]

mod call;
mod calls;
mod child;
mod crossover;
mod fault;
mod kernels;
mod machine;
mod out;
mod startup;
mod stats;
mod ways;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

pub(crate) use fault::Fault;

use machine::{Cores, Ticks};
use out::Out;

const USAGE: &str = "usage: croupier-peers --kernels DIRECTORY --goplugin DIRECTORY [--out FILE] [--quick] [--only NAME] [--work FILE] [--cores CALLER,PEER]
  --kernels  where tests/bench/kernels/build put them
  --goplugin where tests/bench/peers/goplugin/build put it
  --out      the file for the figures, one JSON object a line (default: standard output)
  --quick    few and short rounds
  --only     rtt, throughput, startup, kernels, crossover, or the beginning of a way's name: wasmtime, \"bare ring\", …
  --work     takes the work points of an earlier output instead of finding them
  --cores    default: 0,1";

const ROUNDS: usize = 11;
const ROUNDS_QUICK: usize = 3;
/// How long one thing is measured in one round.
const BUDGET: Duration = Duration::from_millis(300);
const BUDGET_QUICK: Duration = Duration::from_millis(50);
/// Runs of a kernel in a round, of about a millisecond each.
const KERNEL_RUNS: u32 = 50;
const KERNEL_RUNS_QUICK: u32 = 10;
const BENCHES: [&str; 5] = ["rtt", "throughput", "startup", "kernels", "crossover"];

/// What to measure, and how long.
pub(crate) struct Plan {
    pub(crate) kernels: PathBuf,
    pub(crate) goplugin: PathBuf,
    pub(crate) cores: Cores,
    pub(crate) rounds: usize,
    pub(crate) budget: Duration,
    pub(crate) kernel_runs: u32,
    pub(crate) work: Option<PathBuf>,
    only: Option<String>,
    out: Option<PathBuf>,
}

impl Plan {
    fn parse(words: &[String]) -> Result<Self, Fault> {
        let mut plan = Self {
            kernels: PathBuf::new(),
            goplugin: PathBuf::new(),
            cores: Cores { caller: 0, peer: 1 },
            rounds: ROUNDS,
            budget: BUDGET,
            kernel_runs: KERNEL_RUNS,
            work: None,
            only: None,
            out: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| Fault::plain(format!("{word} needs a value\n{USAGE}")));
            match word.as_str() {
                "--kernels" => plan.kernels = value()?.into(),
                "--goplugin" => plan.goplugin = value()?.into(),
                "--out" => plan.out = Some(value()?.into()),
                "--work" => plan.work = Some(value()?.into()),
                "--only" => plan.only = Some(value()?.clone()),
                "--cores" => plan.cores = cores(value()?)?,
                "--quick" => {
                    (plan.rounds, plan.budget) = (ROUNDS_QUICK, BUDGET_QUICK);
                    plan.kernel_runs = KERNEL_RUNS_QUICK;
                }
                _ => return Err(Fault::plain(format!("{word} is not known\n{USAGE}"))),
            }
        }
        let known = |only: &str| {
            BENCHES.contains(&only) || ways::CANDIDATES.iter().any(|way| way.who.starts_with(only))
        };
        match &plan.only {
            Some(only) if !known(only) => Err(Fault::plain(format!("there is no {only}\n{USAGE}"))),
            _ if !plan.kernels.join("kernels.so").is_file() => Err(Fault::plain(format!(
                "the kernels are not there; run tests/bench/kernels/build\n{USAGE}"
            ))),
            _ if !plan.goplugin.join("goplugin").is_file() => Err(Fault::plain(format!(
                "the go-plugin peer is not there; run tests/bench/peers/goplugin/build\n{USAGE}"
            ))),
            _ => Ok(plan),
        }
    }

    fn wants_bench(&self, name: &str) -> bool {
        match self.only.as_deref() {
            None => true,
            Some(only) if BENCHES.contains(&only) => only == name,
            // A way: it is called, and no kernels are run.
            Some(_) => ["rtt", "throughput", "startup"].contains(&name),
        }
    }

    pub(crate) fn wants_way(&self, who: &str) -> bool {
        self.only.as_deref().is_none_or(|only| BENCHES.contains(&only) || who.starts_with(only))
    }
}

fn cores(text: &str) -> Result<Cores, Fault> {
    let parsed = text
        .split_once(',')
        .and_then(|(caller, peer)| Some(Cores { caller: caller.parse().ok()?, peer: peer.parse().ok()? }));
    parsed.ok_or_else(|| Fault::plain(format!("--cores wants two numbers, as 0,1\n{USAGE}")))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((first, rest)) if first == "--serve" => ways::serve(rest),
        _ => Plan::parse(&words).and_then(|plan| measure(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("croupier-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan) -> Result<(), Fault> {
    let mut out = Out::open(plan.out.as_deref())?;
    about(plan, &mut out)?;
    machine::pin(plan.cores.caller)?;
    let before = Ticks::now();
    // First, since it looks at this process's memory.
    if plan.wants_bench("startup") {
        startup::measure(plan, &mut out)?;
    }
    if plan.wants_bench("rtt") {
        calls::round_trips(plan, &mut out)?;
    }
    if plan.wants_bench("throughput") {
        calls::throughput(plan, &mut out)?;
    }
    if plan.wants_bench("kernels") {
        kernels::measure(plan, &mut out)?;
    }
    if plan.wants_bench("crossover") {
        crossover::measure(plan, &mut out)?;
    }
    let (others, stolen) = Ticks::now().since(before);
    let (others, stolen) = (stats::round(others), stats::round(stolen));
    say(&format!("others used {others} % of the machine meanwhile, the hypervisor took {stolen} %"));
    out.line(&json!({"bench": "noise", "by": "peers", "others_pct": others, "stolen_pct": stolen}))
}

/// The machine and the versions of everything.
fn about(plan: &Plan, out: &mut Out) -> Result<(), Fault> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    out.line(&json!({
        "bench": "machine", "processor": machine::processor(), "cores": cores, "kernel": machine::kernel(),
        "caller_core": plan.cores.caller, "peer_core": plan.cores.peer,
    }))?;
    let names = ["bincode", "extism", "iceoryx2", "libloading", "tarpc", "tokio", "tonic", "wasmtime"];
    for (who, version) in machine::versions(&names) {
        let note = match (who.as_str(), version.as_str()) {
            ("wasmtime", version) if !version.starts_with("48.") => "inside extism",
            ("bincode", version) if version.starts_with("1.") => "inside tarpc",
            _ => "",
        };
        out.line(&json!({"bench": "version", "who": who, "version": version, "note": note}))?;
    }
    let versions = json_of(&plan.goplugin.join("versions.json"))?;
    for (who, version) in versions.as_object().into_iter().flatten() {
        let note = if who == "grpc-go" { "inside go-plugin" } else { "" };
        out.line(&json!({"bench": "version", "who": who, "version": version, "note": note}))?;
    }
    let mut flags = json_of(&plan.kernels.join("flags.json"))?;
    flags["bench"] = json!("flags");
    out.line(&flags)
}

/// What a build wrote down about itself.
fn json_of(file: &Path) -> Result<serde_json::Value, Fault> {
    let fault = |error| Fault::new(format!("{} cannot be read", file.display()), error);
    let text = std::fs::read_to_string(file).map_err(fault)?;
    serde_json::from_str(&text).map_err(|error| Fault::new(format!("{} is no JSON", file.display()), error))
}

/// Progress, for whoever waits.
pub(crate) fn say(text: &str) {
    eprintln!("[peers] {text}");
}
