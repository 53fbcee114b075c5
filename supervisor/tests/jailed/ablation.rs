//! With a layer switched off the next one holds.
//!
//! A claim says: without these layers, that one stops the attack, with this result. It is proved twice: without the first layers the attack comes to the result; without the
//! claimed layer as well it comes to another one, so it was that layer and nobody else.
//!
//! The switch is `PluginOptions::without_layers`: a field that no config and no verb can set.
#![allow(clippy::print_stdout, reason = "the numbers are what it is for")]

use croupier::registry::PluginOptions;
use croupier_wire::confine::layer::{LANDLOCK, NAMESPACES, PRIVILEGES, RLIMITS, ROOT, SECCOMP};

use crate::arena::{Arena, Attacker, Outcome};
use crate::table::{ATTACKS, Stop};

const EPERM: i64 = -1;
const ESRCH: i64 = -3;
const EAGAIN: i64 = -11;
const ENOMEM: i64 = -12;
const EACCES: i64 = -13;
const EMFILE: i64 = -24;
const ENETUNREACH: i64 = -101;

/// Without a filter the plugin comes in by its descriptor, for which there must be /proc: the filter and the empty root are off together.
const FILTER: u32 = SECCOMP | ROOT;

/// For whom a claim is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    /// For all.
    All,
    /// For a supervisor that is root: to an ordinary user's workers the system refuses these anyway.
    Root,
}

/// Attacks, and what stops them when `off` does not.
struct Claim {
    /// What is off.
    off: u32,
    /// What holds, in words.
    next: &'static str,
    /// The same as its switch.
    switch: u32,
    users: Users,
    /// Attacks and what they come to.
    attacks: &'static [(&'static str, i64)],
}

const CLAIMS: &[Claim] = &[
    Claim {
        off: FILTER,
        next: "landlock",
        switch: LANDLOCK,
        users: Users::All,
        attacks: &[
            ("open_file", EACCES),
            ("create_file", EACCES),
            ("openat2_file", EACCES),
            ("make_directory", EACCES),
            ("connect_loopback", EACCES),
        ],
    },
    Claim {
        off: FILTER,
        next: "capabilities",
        switch: PRIVILEGES,
        users: Users::All,
        attacks: &[
            ("change_root", EPERM),
            ("packet_socket", EPERM),
            ("set_capabilities", EPERM),
            ("keep_capabilities", EPERM),
            ("host_name", EPERM),
            ("domain_name", EPERM),
            ("pivot", EPERM),
            ("new_file_system", EPERM),
            ("move_mount_point", EPERM),
            ("mount_attributes", EPERM),
            ("reboot_machine", EPERM),
        ],
    },
    Claim {
        off: FILTER,
        next: "rlimits",
        switch: RLIMITS,
        users: Users::All,
        attacks: &[
            ("fork_once", EAGAIN),
            ("raw_fork", EAGAIN),
            ("one_thread", EAGAIN),
            ("clone3_thread", EAGAIN),
            ("raise_limit", EPERM),
            ("lock_memory", EPERM),
            ("uring", ENOMEM),
            ("open_queue", EMFILE),
            ("map_bomb", ENOMEM),
        ],
    },
    Claim {
        off: FILTER,
        next: "pid namespace",
        switch: NAMESPACES,
        users: Users::All,
        attacks: &[("kill_all", ESRCH), ("who_is_parent", 0)],
    },
    Claim {
        off: FILTER,
        next: "net namespace",
        switch: NAMESPACES,
        users: Users::All,
        attacks: &[("send_datagram", ENETUNREACH)],
    },
    Claim {
        off: FILTER | LANDLOCK,
        next: "net namespace",
        switch: NAMESPACES,
        users: Users::All,
        attacks: &[("connect_loopback", ENETUNREACH)],
    },
    Claim {
        off: FILTER | PRIVILEGES,
        next: "user namespace",
        switch: NAMESPACES,
        users: Users::Root,
        attacks: &[
            ("set_day", EPERM),
            ("system_log", EPERM),
            ("swap_on", EPERM),
            ("account", EPERM),
            ("watch_tree", EPERM),
            ("real_time", EPERM),
            ("faults", EPERM),
            ("bpf_program", EPERM),
        ],
    },
    Claim {
        off: FILTER | LANDLOCK,
        next: "own user",
        switch: NAMESPACES,
        users: Users::Root,
        attacks: &[("read_secrets", EACCES)],
    },
];

/// An arena without these layers; no number of denied calls is too many.
fn without(layers: u32) -> Arena {
    let options =
        PluginOptions { without_layers: layers, denied_calls_max: Some(0), ..PluginOptions::default() };
    Arena::with(&Attacker::default(), options).unwrap_or_else(|(error, _)| panic!("{error}"))
}

pub(crate) fn without_a_layer_the_one_that_is_claimed_holds_and_no_other() {
    let root = nix::unistd::geteuid().is_root();
    let (mut proved, mut wrong) = (0, Vec::new());
    for claim in CLAIMS.iter().filter(|claim| root || claim.users == Users::All) {
        for (name, result) in claim.attacks {
            // An arena for each: some of them change their process.
            let held = without(claim.off);
            let (_, isolation) = held.isolation();
            assert!(isolation.contains("seccomp (left out on purpose)"), "{isolation}");
            let outcome = held.attack(name);
            held.end_without_looking();
            if outcome != Outcome::Result(*result) {
                wrong.push(format!("{name}: {} does not hold: {outcome:?}, {isolation}", claim.next));
            }
            let open = without(claim.off | claim.switch);
            let outcome = open.attack(name);
            open.end_without_looking();
            if outcome == Outcome::Result(*result) {
                wrong.push(format!("{name}: it is not {} that holds: {outcome:?}", claim.next));
            }
            proved += 1;
        }
    }
    println!("jailed: {proved} claims of a second layer, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The other way round: without any other layer the filter still stops all that it stops.
pub(crate) fn without_any_other_layer_the_filter_holds() {
    let mut wrong = Vec::new();
    for (off, name) in [
        (LANDLOCK, "landlock"),
        (ROOT, "the empty root"),
        (PRIVILEGES, "capabilities"),
        (RLIMITS, "rlimits"),
        (NAMESPACES, "namespaces"),
        (LANDLOCK | ROOT | PRIVILEGES | RLIMITS | NAMESPACES, "all of them"),
    ] {
        let arena = without(off);
        let (_, isolation) = arena.isolation();
        assert!(isolation.contains("seccomp") && !isolation.contains("seccomp (left out"), "{isolation}");
        let mut denied = 0;
        for (attack, stop) in ATTACKS {
            let Stop::Warden(call, errno) = stop else { continue };
            let outcome = arena.attack(attack);
            let told = arena.denied();
            let is_told = told[denied..].iter().any(|denial| denial.call == *call);
            let is_stopped = attack.starts_with("int80") || outcome == Outcome::Result(i64::from(-errno));
            if !is_told || !is_stopped {
                wrong.push(format!("{attack} without {name}: {outcome:?}, {:?}", &told[denied..]));
            }
            denied = told.len();
        }
        assert_eq!(arena.causes_so_far(), Vec::<String>::new(), "without {name}: its worker lives");
        arena.end();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
