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

/// Descriptors that a plain child of this process has and a worker must not: from here on.
const HEIRLOOMS_FROM: i32 = 100;

/// Nothing stands behind clean descriptors and an empty environment, and nothing need: what is not there takes no other layer to be kept from. So it is there without any of them.
pub(crate) fn without_any_other_layer_nothing_is_inherited() {
    // Kept open over exec, as by a careless library in the supervisor.
    let null = std::fs::File::open("/dev/null").expect("opens");
    let heirloom = rustix::io::fcntl_dupfd_cloexec(&null, HEIRLOOMS_FROM).expect("room");
    rustix::io::fcntl_setfd(&heirloom, rustix::io::FdFlags::empty()).expect("ours");
    let number = std::os::fd::AsRawFd::as_raw_fd(&heirloom);
    let child = std::process::Command::new("sh")
        .args(["-c", &format!("test -e /proc/self/fd/{number} && test -n \"$CROUPIER_TEST_INSIDE\"")])
        .status()
        .expect("there is a shell");
    assert!(child.success(), "a plain child has both");
    for off in [FILTER, FILTER | LANDLOCK | PRIVILEGES | RLIMITS | NAMESPACES] {
        let arena = without(off);
        assert_eq!(arena.attack("odd_descriptors"), Outcome::Result(0));
        assert_eq!(arena.attack("variables"), Outcome::Result(0));
        arena.end();
    }
}

/// The empty root cannot be tried from inside without the filter, since the plugin could not be loaded. So somebody else goes in: root, with all capabilities, no filter and no
/// Landlock, into the worker's mounts and root. There is nothing there, not even a program to be started.
pub(crate) fn who_gets_past_everything_else_finds_nothing_in_the_empty_root() {
    if !nix::unistd::geteuid().is_root() {
        // Only root may go into a worker; as root the same test does.
        return;
    }
    let goes_in = |arena: &Arena, program: &str| {
        let (pid, _) = arena.isolation();
        let entered = std::process::Command::new("nsenter")
            .args(["--target", &pid.to_string(), "--mount", "--root", "--wd", "--", program])
            .output();
        entered.expect("nsenter of util-linux can be started")
    };
    let empty = Arena::usual(PluginOptions::default());
    let found = goes_in(&empty, "/bin/true");
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(!found.status.success() && said.contains("No such file or directory"), "{said}");
    empty.end();
    let full = without(FILTER);
    let found = goes_in(&full, "/bin/true");
    assert!(found.status.success(), "it was the empty root that held: {found:?}");
    full.end();
}
