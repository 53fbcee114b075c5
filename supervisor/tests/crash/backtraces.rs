//! Who crashed, where, and who called it.
#![allow(clippy::print_stdout, reason = "tests say why they skip")]

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::real::{ORDINARY, Real, croupier_binary, faulty, number, text, worker};
use crate::table::{
    USUAL, crash, crasher, functions, hexadecimal, in_order, report, reports, symbols, with_plugin,
    with_state,
};

/// The user that the tests run as a second time.
const NOBODY: u32 = 65_534;

/// A crash: what is done, the signal, its number, the thread, and the functions in order.
type Case = (&'static str, &'static str, u64, &'static str, &'static [&'static str]);
const CASES: [Case; 8] = [
    ("null", "SIGSEGV", 11, "main", &["inner_null", "middle_null", "action"]),
    ("divide", "SIGFPE", 8, "main", &["inner_divide", "middle_divide", "action"]),
    ("abort", "SIGABRT", 6, "main", &["inner_abort", "middle_abort", "action"]),
    ("trap", "SIGTRAP", 5, "main", &["inner_trap", "middle_trap", "action"]),
    ("undefined", "SIGILL", 4, "main", &["inner_undefined", "middle_undefined", "action"]),
    ("jump", "SIGSEGV", 11, "main", &["?", "inner_jump", "middle_jump", "action"]),
    ("other_null", "SIGSEGV", 11, "dealer", &["inner_null", "middle_null", "thread_null"]),
    ("at_once", "SIGSEGV", 11, "dealer", &["inner_null", "middle_null", "thread_at_once"]),
];

/// Each frame of the plugin's lies in the function that it names, by another program's word.
fn check_offsets(crash: &Value, file: &Path) {
    let symbols = symbols(file);
    let frames = crash["frames"].as_array().expect("frames");
    let plugins = frames.iter().filter(|frame| frame["module"] == "memfd:plugin");
    for frame in plugins {
        let (offset, name) = (hexadecimal(&frame["offset"]), frame["function"].as_str().expect("a name"));
        let (address, bytes, _) = symbols.iter().find(|symbol| symbol.2 == name).expect("a symbol");
        // A return address may be the first one behind its function.
        assert!((*address..=address + bytes).contains(&offset), "{frame}");
        assert_eq!(hexadecimal(&frame["into"]), offset - address, "{frame}");
    }
}

#[test]
fn crashes_are_named_by_anybodys_supervisor() {
    let dir = tempfile::tempdir().expect("a directory");
    let plugin = crasher(dir.path(), USUAL);
    let real = with_plugin("", &plugin);
    for (deed, signal, numbered, thread, wanted) in CASES {
        let report = crash(&real, deed);
        assert_eq!(number(&report["cause"]["signal"]), numbered, "{deed}");
        let crash = &report["untrusted"]["crash"];
        assert_eq!((&crash["signal"], &crash["thread"]), (&signal.into(), &thread.into()), "{report:#}");
        let found = functions(&report);
        assert!(in_order(&found, wanted), "{deed}: {found:?}");
        assert!(crash["stack_overflow"].is_null() && report["no_backtrace"].is_null(), "{report:#}");
        if deed != "abort" && deed != "jump" {
            assert_eq!((found[0], crash["frames"][0]["found"].as_str()), (wanted[0], Some("instruction")));
        }
        if deed == "null" {
            assert_eq!(crash["address"], "0x0");
            let rip = &crash["registers"].as_array().expect("registers")[16];
            assert_eq!((&rip[0], &rip[1]), (&"rip".into(), &crash["frames"][0]["address"]));
        }
        check_offsets(crash, &plugin);
    }
    let first = &reports(&real)[0];
    let folder = real.path("state/crashes").join(first["id"].as_str().expect("text"));
    let maps = std::fs::read_to_string(folder.join("maps.txt")).expect("maps");
    assert!(maps.contains("memfd:plugin") && maps.contains("[stack]"), "{maps}");
}

#[test]
fn overflows_are_named_by_anybodys_supervisor() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = with_plugin("", &crasher(dir.path(), USUAL));
    for (deed, which, began) in [
        ("overflow", "stack overflow (main)", "action"),
        ("other_overflow", "stack overflow (thread dealer)", "thread_overflow"),
        // Named after the program, as nobody named it.
        ("other_c11", "stack overflow (thread croupier-worker)", "c11_overflow"),
    ] {
        let report = crash(&real, deed);
        assert_eq!(report["untrusted"]["crash"]["stack_overflow"], which, "{report:#}");
        let found = functions(&report);
        // Who overflowed, and who began it.
        assert_eq!(found[..2], ["inner_overflow", "inner_overflow"]);
        assert!(in_order(&found, &["inner_overflow", "middle_overflow", began]), "{found:?}");
        let shown = text(&with_state(&real, &["crash", report["id"].as_str().expect("text")]).stdout);
        assert!(shown.contains(which) && shown.contains("more at the same place"), "{shown}");
    }
    // There is no stack for its handler: told from how it ended.
    let report = crash(&real, "other_bare");
    assert!(report["untrusted"]["crash"].is_null(), "{report:#}");
    assert!(
        report["no_backtrace"].as_str().is_some_and(|why| why.contains("overflowed its own")),
        "{report:#}"
    );
}

#[test]
fn an_ordinary_users_supervisor_names_them_too() {
    if std::env::var_os(ORDINARY).is_some() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        println!(
            "skipped: crash reports of an ordinary user's supervisor: this user is one, so the other tests are about it"
        );
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let deps = home.path().join("deps");
    std::fs::create_dir(&deps).expect("a directory");
    // Directories on the way may be root's alone.
    let test = deps.join("crash");
    std::fs::copy(std::env::current_exe().expect("a path"), &test).expect("copies");
    for (binary, name) in [(croupier_binary(), "croupier"), (worker(), "croupier-worker")] {
        std::fs::copy(binary, home.path().join(name)).expect("copies");
    }
    crasher(home.path(), USUAL);
    chown(home.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    let run = Command::new(&test)
        .args(["anybodys_supervisor"])
        .env(ORDINARY, "1")
        .env("TMPDIR", home.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("starts");
    let said = format!("{}{}", text(&run.stdout), text(&run.stderr));
    assert!(run.status.success() && said.contains("2 passed"), "as an ordinary user:\n{said}");
}

#[test]
fn a_worker_with_an_address_layout_of_its_own_is_looked_at_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = with_plugin("[defaults]\nfresh_aslr = true\n", &crasher(dir.path(), USUAL));
    let report = crash(&real, "null");
    assert!(in_order(&functions(&report), &["inner_null", "middle_null", "action"]), "{report:#}");
}

#[test]
fn without_symbols_there_are_offsets_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let plugin = crasher(dir.path(), &["-O1", "-fvisibility=hidden"]);
    let symbols = symbols(&plugin);
    assert!(Command::new("strip").arg(&plugin).status().expect("strip runs").success());
    let real = with_plugin("", &plugin);
    let report = crash(&real, "null");
    let frames = report["untrusted"]["crash"]["frames"].as_array().expect("frames");
    for (frame, wanted) in frames.iter().zip(["inner_null", "middle_null", "action"]) {
        assert_eq!(
            (&frame["module"], frame["function"].is_null()),
            (&"memfd:plugin".into(), true),
            "{frame}"
        );
        let offset = hexadecimal(&frame["offset"]);
        let (address, bytes, _) = symbols.iter().find(|symbol| symbol.2 == wanted).expect("a symbol");
        assert!((*address..=address + bytes).contains(&offset), "{wanted}: {frame}");
    }
    let shown = text(&with_state(&real, &["crash", "last"]).stdout);
    assert!(shown.contains("#0   memfd:plugin+0x"), "{shown}");
}

#[test]
fn without_unwind_tables_frame_pointers_lead() {
    let dir = tempfile::tempdir().expect("a directory");
    let flags = ["-O1", "-fno-asynchronous-unwind-tables", "-fno-omit-frame-pointer"];
    let real = with_plugin("", &crasher(dir.path(), &flags));
    let report = crash(&real, "null");
    assert!(in_order(&functions(&report), &["inner_null", "middle_null", "action"]), "{report:#}");
    let frames = &report["untrusted"]["crash"]["frames"];
    // The innermost one calls nobody and has no frame.
    assert_eq!((&frames[1]["found"], &frames[2]["found"]), (&"scan".into(), &"frame-pointer".into()));
}

#[test]
fn a_crash_in_a_constructor_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = Real::start("");
    real.fails(&["load", crasher(dir.path(), &["-O1", "-DCTOR"]).to_str().expect("UTF-8")]);
    let report = report(&real, |report| number(&report["cause"]["signal"]) == 11);
    assert!(in_order(&functions(&report), &["inner_null", "middle_null", "early"]), "{report:#}");
}

#[test]
fn rust_functions_have_their_names_and_reports_outlive_the_supervisor() {
    let mut real = Real::start("");
    real.ok(&["load", faulty().to_str().expect("UTF-8")]);
    let table = real.json(&["call", "--open", "faulty"])["session"].to_string();
    real.fails(&["call", &table, "--player", "0", r#"{"do":"segv"}"#]);
    let report = report(&real, |report| report["plugin"] == "faulty");
    let found = functions(&report);
    assert!(in_order(&found, &["faulty::deeds::segv", "faulty::deeds::perform"]), "{found:?}");
    let id = report["id"].as_str().expect("text").to_owned();
    let file = real.path("state/crashes").join(&id).join("report.json");
    let before = std::fs::read(&file).expect("reads");
    real.kill();
    real.again("");
    assert_eq!(std::fs::read(&file).expect("reads"), before);
    let shown = text(&with_state(&real, &["crash", &id]).stdout);
    for wanted in
        ["faulty::deeds::segv+0x", "turn 2 of session", "SIGSEGV at 0x0", "rip 0x", "limits ", "maps.txt"]
    {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn threads_that_end_leave_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = with_plugin("", &crasher(dir.path(), USUAL));
    let table = real.json(&["call", "--open", "crasher"])["session"].to_string();
    // So many handler's stacks would be twice and three times the memory limit.
    for deed in [r#""many_threads""#, r#""leaving_threads""#] {
        assert_eq!(real.ok(&["call", &table, "--player", "0", deed]).trim(), "42", "{deed}");
    }
    assert!(reports(&real).is_empty());
}
