//! A supervisor with the crasher in it, and its reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::real::{ORDINARY, Real, croupier, number, target_dir, text, worker};

/// Longest that a report may take on a busy machine.
const REPORT_MAX: Duration = Duration::from_secs(60);
/// How the crasher is usually built.
pub(crate) const USUAL: &[&str] = &["-O1"];

/// Builds the crasher. Where an ordinary user plays, root has built it.
pub(crate) fn crasher(into: &Path, flags: &[&str]) -> PathBuf {
    if std::env::var_os(ORDINARY).is_some() {
        return target_dir().join("libcrasher.so");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = into.join("libcrasher.so");
    let built = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-fPIC", "-shared", "-pthread", "-I"])
        .arg(here.join("../plugin-abi/include"))
        .args(flags)
        .arg("-o")
        .arg(&path)
        .arg(here.join("tests/crash/crasher.c"))
        .output();
    match built {
        Ok(output) => assert!(output.status.success(), "{}", text(&output.stderr)),
        Err(error) => panic!("the crashes are in C, and `cc` cannot be started: {error}"),
    }
    path
}

/// `croupier` with the state of this supervisor.
pub(crate) fn with_state(real: &Real, words: &[&str]) -> Output {
    let (state, worker) = (real.path("state"), worker());
    let mut all = words.to_vec();
    all.extend(["--state-dir", state.to_str().expect("UTF-8")]);
    if words.contains(&"--replay") || words.contains(&"--gdb") {
        all.extend(["--worker", worker.to_str().expect("UTF-8")]);
    }
    croupier(&all)
}

/// A supervisor with this plugin.
pub(crate) fn with_plugin(config: &str, plugin: &Path) -> Real {
    let real = Real::start(config);
    real.ok(&["load", plugin.to_str().expect("UTF-8")]);
    real
}

/// Every report.
pub(crate) fn reports(real: &Real) -> Vec<Value> {
    let listed = with_state(real, &["--json", "crashes"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    listed["crashes"].as_array().expect("an array").clone()
}

/// The first report that this is true of, once it is there.
pub(crate) fn report(real: &Real, wanted: impl Fn(&Value) -> bool) -> Value {
    let due = Instant::now() + REPORT_MAX;
    loop {
        let all = reports(real);
        if let Some(found) = all.iter().find(|report| wanted(report)) {
            return found.clone();
        }
        assert!(Instant::now() < due, "the report does not come: {all:#?}; log: {}", real.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Has the crasher do it in a session of its own, and gives the report of the first worker that died of it.
pub(crate) fn crash(real: &Real, deed: &str) -> Value {
    let session = number(&real.json(&["call", "--open", "crasher"])["session"]);
    real.fails(&["call", &session.to_string(), "--player", "0", &format!("\"{deed}\"")]);
    report(real, |report| {
        report["last_call"]["session"].is_number() && number(&report["last_call"]["session"]) == session
    })
}

/// The functions of a backtrace, innermost first.
pub(crate) fn functions(report: &Value) -> Vec<&str> {
    let frames = report["untrusted"]["crash"]["frames"].as_array();
    let frames = frames.unwrap_or_else(|| panic!("no backtrace: {report:#}"));
    frames.iter().map(|frame| frame["function"].as_str().unwrap_or("?")).collect()
}

/// Whether these functions stand in this order, with others between them or not.
pub(crate) fn in_order(found: &[&str], wanted: &[&str]) -> bool {
    let mut found = found.iter();
    wanted.iter().all(|wanted| found.any(|found| found == wanted))
}

/// Address and size of each function, by nm(1).
pub(crate) fn symbols(file: &Path) -> Vec<(u64, u64, String)> {
    let listed =
        Command::new("nm").arg("-S").arg(file).output().expect("nm runs: it comes with the compiler");
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [address, bytes, "T" | "t", name] = words[..] else { return None };
        Some((hex(address)?, hex(bytes)?, name.to_owned()))
    };
    text(&listed.stdout).lines().filter_map(line).collect()
}

/// A number that stands as hexadecimal text.
pub(crate) fn hexadecimal(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(|| panic!("{value}"))
}
