//! Every attack of the table: jailed, where its layer must stop it and each denied call must be on record; and unjailed, where it must not come to the same.
#![allow(clippy::print_stdout, reason = "the numbers are what it is for")]

use std::time::Instant;

use croupier::audit::Happened;
use croupier::audit::record::DeniedSyscall;
use croupier::jail::Denial;
use croupier::jail::denial::Consequence;
use croupier::jail::plan::Transport;
use croupier::registry::PluginOptions;
use croupier_manifest::manifest::Isolation;

use crate::arena::{Arena, Outcome, PATIENCE, TURN};
use crate::table::{Stop, over};

/// Distinct behaviours that there are to be at least.
const ATTACKS_MIN: usize = 80;
/// The attack that goes over the limit of denied calls.
const FLOOD: &str = "flood";

/// What came of one attack.
struct Seen {
    /// Why it was not stopped as the table says.
    wrong: Option<String>,
    denied: usize,
    recorded: usize,
}

fn is_stopped(name: &str, stop: Stop, outcome: &Outcome, denied: &[Denial], arena: &Arena) -> bool {
    match stop {
        Stop::Warden(call, errno) => {
            let told = denied.iter().any(|denial| {
                denial.call == call
                    && denial.plugin == "hostile"
                    && denial.consequence == Consequence::Refused(errno)
            });
            // Of a call by int 0x80 the error is the kernel's -ENOSYS in another register's width.
            let result = matches!(outcome, Outcome::Result(result) if *result == i64::from(-errno));
            told && (result || (name.starts_with("int80") && matches!(outcome, Outcome::Result(_))))
        }
        Stop::Silently(errno) => denied.is_empty() && *outcome == Outcome::Result(i64::from(-errno)),
        Stop::End(words) => {
            let causes = arena.causes();
            matches!(outcome, Outcome::Refused(text) if text.contains("Poison"))
                && causes.iter().all(|cause| cause.to_lowercase().contains(&words.to_lowercase()))
        }
        Stop::Own(words) => {
            let expected = |cause: &String| words.iter().any(|words| cause.contains(words));
            let refused = matches!(outcome, Outcome::Refused(text) if text.contains("Poison"));
            let causes = if refused { arena.causes() } else { arena.causes_so_far() };
            denied.is_empty()
                && causes.iter().all(expected)
                && (matches!(outcome, Outcome::Result(result) if *result >= 0)
                    || refused && !causes.is_empty())
        }
    }
}

fn options(transport: Transport) -> PluginOptions {
    PluginOptions { transport: Some(transport), ..PluginOptions::default() }
}

/// The attacker finds the ring where there is one, and only there: else it would attack something else.
fn check_transport(arena: &Arena, transport: Transport) {
    let there = Outcome::Result(i64::from(transport == Transport::Ring));
    assert_eq!(arena.attack("ring_is_there"), there, "over {transport:?}");
}

/// The record of a denied call: it must name the call, the plugin, the session and the turn.
fn is_of(record: &DeniedSyscall, denial: &Denial, session: u64) -> bool {
    record.syscall == denial.call
        && record.args == denial.args
        && (record.plugin.as_str(), record.version.as_str()) == ("hostile", "1.0.0")
        && (record.session, record.seq) == (session, TURN)
        && record.verdict == if denial.consequence == Consequence::Fatal { "killed" } else { "refused" }
}

fn denied_on_record(arena: &Arena) -> Vec<DeniedSyscall> {
    let is_it = |happened| match happened {
        Happened::DeniedSyscall(denied) => Some(denied),
        _ => None,
    };
    arena.records().into_iter().filter_map(is_it).collect()
}

fn run(name: &str, stop: Stop, transport: Transport) -> Seen {
    let arena = Arena::usual(options(transport));
    let (session, outcome) = arena.attack_in_session(name);
    let denied = arena.denied();
    let mut wrong = None;
    if !is_stopped(name, stop, &outcome, &denied, &arena) {
        let causes = arena.causes_so_far();
        wrong = Some(format!("{name}: {stop:?} was expected, not {outcome:?}, {causes:?}, {denied:?}"));
    }
    // Each record counts for one denial.
    let mut records = denied_on_record(&arena);
    let mut recorded = 0;
    for denial in &denied {
        if let Some(at) = records.iter().position(|record| is_of(record, denial, session)) {
            records.swap_remove(at);
            recorded += 1;
        }
    }
    arena.end();
    Seen { wrong, denied: denied.len(), recorded }
}

pub(crate) fn every_attack_over_the_ring_is_stopped_by_its_layer_and_on_record() {
    every_attack_is_stopped_by_its_layer_and_every_denied_call_is_on_record(Transport::Ring);
}

pub(crate) fn every_attack_over_the_socket_is_stopped_by_its_layer_and_on_record() {
    every_attack_is_stopped_by_its_layer_and_every_denied_call_is_on_record(Transport::Socket);
}

fn every_attack_is_stopped_by_its_layer_and_every_denied_call_is_on_record(transport: Transport) {
    let attacks = over(transport);
    let mut names: Vec<&str> = attacks.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() == attacks.len() && names.len() >= ATTACKS_MIN);
    let arena = Arena::usual(options(transport));
    check_transport(&arena, transport);
    arena.end();
    let seen: Vec<(&str, Seen)> =
        attacks.iter().map(|(name, stop)| (*name, run(name, *stop, transport))).collect();
    let wrong: Vec<&str> = seen.iter().filter_map(|(_, seen)| seen.wrong.as_deref()).collect();
    let below = || seen.iter().filter(|(name, _)| *name != FLOOD);
    let denied: usize = below().map(|(_, seen)| seen.denied).sum();
    let recorded: usize = below().map(|(_, seen)| seen.recorded).sum();
    let user = nix::unistd::geteuid();
    println!(
        "jailed: as user {user}: over {transport:?}: {} attacks, {} escapes, {recorded}/{denied} denied calls on record",
        seen.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), seen.len(), wrong.join("\n"));
    let unrecorded: Vec<&str> =
        below().filter(|(_, seen)| seen.recorded < seen.denied).map(|(name, _)| *name).collect();
    assert!(unrecorded.is_empty(), "denied and not on record as it should be: {unrecorded:?}");
    let wardens = attacks.iter().filter(|(_, stop)| matches!(stop, Stop::Warden(..))).count();
    assert!(recorded >= wardens, "each of {wardens} attacks that the warden stops is on record");
}

/// Above the limit the flood itself is on record: how many records were left out; and why the worker was ended.
pub(crate) fn a_flood_of_denied_calls_is_on_record_with_what_was_left_out() {
    let arena = Arena::usual(PluginOptions::default());
    assert!(matches!(arena.attack(FLOOD), Outcome::Refused(_)));
    let denied = arena.denied();
    assert_eq!(denied.len(), 2 * 64, "two workers, so many each");
    let due = Instant::now() + PATIENCE;
    loop {
        let (mut written, mut left_out, mut killed) = (0, 0, 0);
        for happened in arena.records() {
            match happened {
                Happened::DeniedSyscall(one) => {
                    written += 1;
                    killed += u64::from(one.verdict == "killed");
                }
                Happened::Flood { plugin, left_out: some, .. } => {
                    assert_eq!(plugin, "hostile");
                    left_out += some;
                }
                _ => {}
            }
        }
        if written + left_out == denied.len() as u64 && killed >= 1 {
            println!(
                "jailed: of {} calls of a flood {written} are on record, and that {left_out} are not",
                denied.len()
            );
            break;
        }
        assert!(Instant::now() < due, "{written} written and {left_out} left out of {}", denied.len());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let named = arena.records().into_iter().any(|happened| {
        matches!(happened, Happened::WorkerDied { cause, .. } if cause.contains("system calls that its jail refuses"))
    });
    assert!(named, "the worker's end is on record with its reason");
    arena.end();
}

/// Attacks that need a privilege which an ordinary user does not have unjailed either. Root's run is their control.
const NEEDS_ROOT: &[&str] = &[
    "change_root",
    "mount_something",
    "packet_socket",
    "become_root",
    "drop_groups",
    "set_capabilities",
    "faults",
    "bpf_program",
    "reboot_machine",
    "host_name",
    "system_log",
    "watch_tree",
    "pivot",
    "new_file_system",
    "move_mount_point",
    "mount_attributes",
    "swap_on",
    "account",
    "set_user",
    "set_group",
    "real_time",
    "set_day",
    "domain_name",
    "new_namespace",
    "hang_up_terminal",
];
/// Threads from which on a bomb has gone off: as many as no limit of a plugin allows. It makes a thousand at most, which wait.
const BOMB_THREADS: i64 = 200;

/// Whether an attack did unjailed what it is there for.
fn is_real(name: &str, stop: Stop, outcome: &Outcome, causes: &[String]) -> bool {
    let died_of = |words: &str| {
        let words = words.to_lowercase();
        matches!(outcome, Outcome::Refused(text) if text.contains("Poison"))
            && !causes.is_empty()
            && causes.iter().all(|cause| cause.to_lowercase().contains(&words))
    };
    match stop {
        // `true` takes the worker's place, and ends well.
        _ if name == "execute" => died_of("exited by itself with code 0"),
        _ if name == "thread_bomb" => matches!(outcome, Outcome::Result(made) if *made >= BOMB_THREADS),
        // Nobody refuses it anything, and it comes to its end.
        _ if name == FLOOD => *outcome == Outcome::Result(0),
        // The process that holds the plugin is gone, of the very thing: that it is the worker and not the supervisor is what saves the others.
        Stop::End(words) => died_of(words),
        Stop::Own(_) => true,
        Stop::Warden(_, errno) | Stop::Silently(errno) => *outcome != Outcome::Result(i64::from(-errno)),
    }
}

/// What hangs up a terminal must have none: its worker is a session of its own.
fn has_terminal(arena: &Arena) -> bool {
    let (pid, _) = arena.isolation();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    // proc_pid_stat(5): behind the name come state, parent, group, session and terminal.
    stat.rsplit_once(") ").expect("a name").1.split(' ').nth(4) != Some("0")
}

/// The attacks are real: unjailed they do not come to what they come to jailed. They succeed, or are in a harmless form that the kernel understood and refused for its own reason.
pub(crate) fn unjailed_the_attacks_succeed_over_the_ring() {
    unjailed_the_attacks_succeed(&over(Transport::Ring), Transport::Ring);
}

/// Of what the kernel stops the link is no part.
pub(crate) fn unjailed_the_attacks_on_the_worker_succeed_over_the_socket() {
    let mut attacks = over(Transport::Socket);
    attacks.retain(|(_, stop)| matches!(stop, Stop::End(_)));
    unjailed_the_attacks_succeed(&attacks, Transport::Socket);
}

fn unjailed_the_attacks_succeed(attacks: &[(&str, Stop)], transport: Transport) {
    let root = nix::unistd::geteuid().is_root();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (name, stop) in attacks {
        if !root && NEEDS_ROOT.contains(name) {
            continue;
        }
        let options = PluginOptions { isolation: Some(Isolation::Off), ..options(transport) };
        let arena = Arena::usual(options);
        assert!(*name != "hang_up_terminal" || !has_terminal(&arena), "it would hang up somebody's");
        let outcome = arena.attack(name);
        let causes = if matches!(outcome, Outcome::Refused(_)) { arena.causes() } else { Vec::new() };
        if !is_real(name, *stop, &outcome, &causes) {
            wrong.push(format!("{name}: {outcome:?}, {causes:?}"));
        }
        assert!(arena.denied().is_empty());
        tried += 1;
        arena.end_without_looking();
    }
    println!("jailed: {tried} controls over {transport:?}: unjailed each of them did what it is there for");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}
