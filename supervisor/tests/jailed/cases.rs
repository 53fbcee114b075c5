//! The table of attacks: what each of them comes to.

use croupier::jail::denial::Consequence;
use croupier::registry::PluginOptions;
use croupier_manifest::manifest::Isolation;

use crate::arena::{Arena, Attacker, Outcome, again_as_ordinary_user};

const EPERM: i32 = libc_errno("EPERM");
const ENOENT: i32 = libc_errno("ENOENT");
const ENOTTY: i32 = libc_errno("ENOTTY");
const ENOSYS: i32 = libc_errno("ENOSYS");
const ENOMEM: i32 = libc_errno("ENOMEM");

const EBADF: i32 = libc_errno("EBADF");

const fn libc_errno(name: &str) -> i32 {
    match name.as_bytes() {
        b"EPERM" => 1,
        b"ENOENT" => 2,
        b"EBADF" => 9,
        b"ENOMEM" => 12,
        b"ENOTTY" => 25,
        b"ENOSYS" => 38,

        _ => panic!("an error number"),
    }
}

/// What stops an attack.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// The warden: this call is refused with this error, and told.
    Warden(&'static str, i32),
    /// The filter or a limit, without asking anybody.
    Silently(i32),
    /// The worker's end, whose cause contains this.
    End(&'static str),
}
use Stop::{End, Silently, Warden};

/// Refused by the warden. The control runs them without isolation, where they must not fail in the same way if they are marked.
const CASES: &[(&str, Stop)] = &[
    ("open_file", Warden("openat", ENOENT)),
    ("create_file", Warden("openat", ENOENT)),
    ("open_proc", Warden("openat", ENOENT)),
    ("openat2_file", Warden("openat2", ENOENT)),
    ("stat_file", Warden("newfstatat", EPERM)),
    ("statx_file", Warden("statx", EPERM)),
    ("list_directory", Warden("getdents64", EPERM)),
    ("read_link", Warden("readlink", EPERM)),
    ("unlink_file", Warden("unlink", EPERM)),
    ("make_directory", Warden("mkdir", EPERM)),
    ("change_root", Warden("chroot", EPERM)),
    ("change_directory", Warden("chdir", EPERM)),
    ("mount_something", Warden("mount", EPERM)),
    ("open_tree", Warden("open_tree", EPERM)),
    ("handle_at", Warden("open_by_handle_at", EPERM)),
    ("inotify", Warden("inotify_init1", EPERM)),
    ("tcp_socket", Warden("socket", EPERM)),
    ("unix_socket", Warden("socket", EPERM)),
    ("netlink_socket", Warden("socket", EPERM)),
    ("packet_socket", Warden("socket", EPERM)),
    ("socket_pair", Warden("socketpair", EPERM)),
    ("connect_link", Warden("connect", EPERM)),
    ("send_link", Warden("sendto", EPERM)),
    ("receive_link", Warden("recvfrom", EPERM)),
    ("send_descriptors", Warden("sendmsg", EPERM)),
    ("link_onto_hand_over", Warden("dup2", EPERM)),
    ("dup_link", Warden("dup", EPERM)),
    ("fcntl_dup", Warden("fcntl", EPERM)),
    ("make_pipe", Warden("pipe2", EPERM)),
    ("make_eventfd", Warden("eventfd2", EPERM)),
    ("make_epoll", Warden("epoll_create1", EPERM)),
    ("poll_link", Warden("poll", EPERM)),
    ("execute", Warden("execve", EPERM)),
    ("fork_once", Warden("clone", EPERM)),
    ("raw_fork", Warden("fork", EPERM)),
    ("vfork_once", Warden("vfork", EPERM)),
    ("one_thread", Warden("clone", EPERM)),
    ("thread_bomb", Warden("clone", EPERM)),
    ("kill_all", Warden("kill", EPERM)),
    ("kill_parent", Warden("kill", EPERM)),
    ("tgkill_other", Warden("tgkill", EPERM)),
    ("tkill_self", Warden("tkill", EPERM)),
    ("queue_signal", Warden("rt_sigqueueinfo", EPERM)),
    ("trace_parent", Warden("ptrace", EPERM)),
    ("trace_me", Warden("ptrace", EPERM)),
    ("read_other", Warden("process_vm_readv", EPERM)),
    ("write_other", Warden("process_vm_writev", EPERM)),
    ("open_pidfd", Warden("pidfd_open", EPERM)),
    ("pidfd_get", Warden("pidfd_getfd", EPERM)),
    ("compare", Warden("kcmp", EPERM)),
    ("end_session", Warden("setsid", EPERM)),
    ("become_root", Warden("setresuid", EPERM)),
    ("drop_groups", Warden("setgroups", EPERM)),
    ("renice", Warden("setpriority", EPERM)),
    ("raise_limit", Warden("prlimit64", EPERM)),
    ("prlimit_other", Warden("prlimit64", EPERM)),
    ("leave_namespace", Warden("setns", EPERM)),
    ("new_namespace", Warden("unshare", EPERM)),
    ("set_capabilities", Warden("capset", EPERM)),
    ("dumpable", Warden("prctl", EPERM)),
    ("forget_parent", Warden("prctl", EPERM)),
    ("own_filter", Warden("seccomp", EPERM)),
    ("own_listener", Warden("seccomp", EPERM)),
    ("handle_sys", Warden("rt_sigaction", EPERM)),
    ("handle_term", Warden("rt_sigaction", EPERM)),
    ("handle_segv", Warden("rt_sigaction", EPERM)),
    ("map_executable", Warden("mmap", EPERM)),
    ("map_code", Warden("mmap", EPERM)),
    ("map_shared", Warden("mmap", EPERM)),
    ("protect_executable", Warden("mprotect", EPERM)),
    ("protect_key", Warden("pkey_mprotect", EPERM)),
    ("code_writable", Warden("mprotect", EPERM)),
    ("become_executable", Warden("personality", EPERM)),
    ("memory_file", Warden("memfd_create", EPERM)),
    ("secret_memory", Warden("memfd_secret", EPERM)),
    ("execute_memory", Warden("execveat", EPERM)),
    ("shared_segment", Warden("shmget", EPERM)),
    ("message_queue", Warden("msgget", EPERM)),
    ("lock_memory", Warden("mlock", EPERM)),
    ("remap_pages", Warden("remap_file_pages", EPERM)),
    ("uring", Warden("io_uring_setup", EPERM)),
    ("faults", Warden("userfaultfd", EPERM)),
    ("keys", Warden("keyctl", EPERM)),
    ("add_a_key", Warden("add_key", EPERM)),
    ("perf", Warden("perf_event_open", EPERM)),
    ("bpf_program", Warden("bpf", EPERM)),
    ("load_module", Warden("init_module", EPERM)),
    ("reboot_machine", Warden("reboot", EPERM)),
    ("set_time", Warden("clock_settime", EPERM)),
    ("host_name", Warden("sethostname", EPERM)),
    ("system_log", Warden("syslog", EPERM)),
    ("descriptor_table", Warden("modify_ldt", EPERM)),
    ("timer_bomb", Warden("timer_create", EPERM)),
    ("unknown_call", Warden("#999", EPERM)),
    ("x32_call", Warden("getpid", EPERM)),
    ("int80_call", Warden("#20", EPERM)),
    ("int80_execve", Warden("#11", EPERM)),
    ("terminal", Silently(ENOTTY)),
    ("clone3_thread", Silently(ENOSYS)),
    ("map_bomb", Silently(ENOMEM)),
    ("heap_bomb", Silently(ENOMEM)),
    ("reserve_bomb", Silently(ENOMEM)),
    ("send_hand_over", Silently(EBADF)),
    ("spin", End("CPU")),
    ("null_write", End("signal 11")),
    ("jump_into_data", End("signal 11")),
    ("recursion", End("signal 11")),
    ("divide", End("signal 8")),
    ("undefined", End("signal 4")),
    ("trap", End("signal 5")),
    ("give_abort", End("signal 6")),
    ("exit_call", End("exit")),
    ("exit_group_call", End("exit")),
    ("close_all", End("exit")),
    ("babble", End("protocol")),
    ("hang_up", End("it closed its link and lived on")),
    ("flood", End("system calls that its jail refuses, the last one openat")),
];

fn check(name: &str, stop: Stop) -> Result<(), String> {
    let arena = Arena::usual(PluginOptions::default());
    let outcome = arena.attack(name);
    let denied = arena.denied();
    let said = match stop {
        Warden(call, errno) => {
            let told = denied.iter().any(|denial| {
                denial.call == call
                    && denial.plugin == "hostile"
                    && denial.consequence == Consequence::Refused(errno)
            });
            told && matches!(outcome, Outcome::Result(result) if result == i64::from(-errno) || name.starts_with("int80"))
        }
        Silently(errno) => denied.is_empty() && outcome == Outcome::Result(i64::from(-errno)),
        End(words) => {
            let causes = arena.causes();
            matches!(&outcome, Outcome::Refused(text) if text.contains("Poison"))
                && causes.iter().all(|cause| cause.to_lowercase().contains(&words.to_lowercase()))
        }
    };
    let causes = arena.causes_so_far();
    arena.end();
    if said {
        Ok(())
    } else {
        Err(format!("{name}: {stop:?} was expected, not {outcome:?}, {causes:?}, {denied:?}"))
    }
}

#[test]
fn every_attack_is_stopped_by_its_layer() {
    let wrong: Vec<String> = CASES.iter().filter_map(|(name, stop)| check(name, *stop).err()).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// The attacks of constructors run before the worker has said Welcome.
#[test]
fn constructors_get_no_further() {
    let calls = [
        ("open_file", "openat", ENOENT),
        ("tcp_socket", "socket", EPERM),
        ("execute", "execve", EPERM),
        ("kill_all", "kill", EPERM),
        ("map_executable", "mmap", EPERM),
        ("own_filter", "seccomp", EPERM),
        ("own_listener", "seccomp", EPERM),
        ("fork_once", "clone", EPERM),
        ("forget_parent", "prctl", EPERM),
        ("dumpable", "prctl", EPERM),
    ];
    for (name, call, errno) in calls {
        let attacker = Attacker { constructor: Some(name), ..Attacker::default() };
        let arena = Arena::with(&attacker, PluginOptions::default()).expect("it loads all the same");
        assert_eq!(arena.attack("constructor"), Outcome::Result(i64::from(-errno)), "{name}");
        let denied = arena.denied();
        assert!(denied.iter().any(|denial| denial.call == call), "{name}: {denied:?}");
        arena.end();
    }
    let ends = [
        ("spin", "did not load within"),
        ("null_write", "signal 11"),
        ("exit_call", "exited by itself"),
        ("flood", "its jail refuses"),
    ];
    for (name, words) in ends {
        let attacker = Attacker { constructor: Some(name), ..Attacker::default() };
        match Arena::with(&attacker, PluginOptions::default()) {
            Err((error, denied)) => {
                assert!(error.contains(words), "{name}: {error}, {} denied", denied.len())
            }
            Ok(arena) => {
                panic!("{name} loads: {:?} {:?}", arena.causes_so_far(), arena.attack("constructor"))
            }
        }
    }
}

#[test]
fn a_dripping_worker_is_ended() {
    let attacker = Attacker { wall: Some("9000"), ..Attacker::default() };
    let arena =
        Arena::with(&attacker, PluginOptions::default()).unwrap_or_else(|(error, _)| panic!("{error}"));
    assert!(matches!(arena.attack("drip"), Outcome::Refused(_)));
    let causes = arena.causes();
    assert!(
        causes.iter().all(|cause| cause.contains("a frame did not arrive whole within 5 s")),
        "{causes:?}"
    );
    arena.end();
}

/// A denial says who it was, in which turn, and from where in the plugin.
#[test]
fn a_denial_says_who_when_and_where() {
    let arena = Arena::usual(PluginOptions::default());
    assert_eq!(arena.attack("tcp_socket"), Outcome::Result(i64::from(-EPERM)));
    let denied = arena.denied();
    let [denial] = &denied[..] else { panic!("{denied:?}") };
    assert_eq!(
        (denial.version.as_str(), denial.call.as_str(), denial.arch, denial.count),
        ("1.0.0", "socket", "x86_64", 1)
    );
    assert_eq!(&denial.args[..2], [2, 1], "AF_INET, SOCK_STREAM");
    assert_eq!(denial.playing.map(|(_, turn)| turn), Some(2), "{denial:?}");
    if nix::unistd::geteuid().is_root() {
        assert!(denial.at[0].starts_with("libc.so.6+0x"), "{denial:?}");
        assert!(denial.at[1].starts_with("memfd:plugin+0x"), "{denial:?}");
    }
    arena.end();
}

/// With a layer left out the next one holds.
#[test]
fn without_a_layer_the_next_one_holds() {
    use croupier_wire::confine::layer::{LANDLOCK, PRIVILEGES, ROOT, SECCOMP};
    const EACCES: i32 = 13;
    const ESRCH: i32 = 3;
    // Without a filter the plugin comes in by its descriptor, for which there must be /proc.
    let no_filter = SECCOMP | ROOT;
    let cases: [(u32, &[(&str, i32)]); 4] = [
        // Landlock, capabilities, limits and namespaces.
        (
            no_filter,
            &[
                ("open_file", EACCES),
                ("create_file", EACCES),
                ("execute", EACCES),
                ("open_proc", EACCES),
                ("mount_something", EPERM),
                ("set_capabilities", EPERM),
                ("host_name", EPERM),
                ("raise_limit", EPERM),
                ("reboot_machine", EPERM),
                ("kill_parent", ESRCH),
                ("tgkill_other", ESRCH),
                ("heap_bomb", ENOMEM),
            ],
        ),
        // Ordinary rights of an own user, capabilities and namespaces.
        (
            no_filter | LANDLOCK,
            &[
                ("mount_something", EPERM),
                ("change_root", EPERM),
                ("host_name", EPERM),
                ("kill_parent", ESRCH),
            ],
        ),
        // The filter alone is enough for these.
        (LANDLOCK | ROOT, &[("open_file", ENOENT), ("execute", EPERM), ("tcp_socket", EPERM)]),
        (
            LANDLOCK | ROOT | PRIVILEGES,
            &[("mount_something", EPERM), ("set_capabilities", EPERM), ("new_namespace", EPERM)],
        ),
    ];
    for (without, attacks) in cases {
        let options = PluginOptions { without_layers: without, ..PluginOptions::default() };
        let arena = Arena::with(&Attacker::default(), options).unwrap_or_else(|(error, _)| panic!("{error}"));
        let (_, isolation) = arena.isolation();
        assert!(isolation.contains("left out on purpose"), "{isolation}");
        let namespaces = !isolation.contains("user namespace (");
        for (name, errno) in attacks {
            if *errno == ESRCH && !namespaces {
                println!("{name} is not tried: {isolation}");
                continue;
            }
            let outcome = arena.attack(name);
            assert_eq!(
                outcome,
                Outcome::Result(i64::from(-errno)),
                "{name} without {without:#b}: {isolation}"
            );
        }
        arena.end();
    }
    // The control: with neither filter nor Landlock the file is there.
    let options = PluginOptions { without_layers: no_filter | LANDLOCK, ..PluginOptions::default() };
    let arena = Arena::with(&Attacker::default(), options).unwrap_or_else(|(error, _)| panic!("{error}"));
    assert!(matches!(arena.attack("open_file"), Outcome::Result(0..)));
    arena.end();
}

/// With the permission, threads work, as many as were granted, and are as jailed as the game thread.
#[test]
fn threads_are_a_permission_with_a_limit() {
    const EAGAIN: i64 = -11;
    let one = Attacker { permissions: r#""threads""#, ..Attacker::default() };
    let four = Attacker { threads: Some("4"), ..one.clone() };
    let load = |attacker| {
        Arena::with(attacker, PluginOptions::default()).unwrap_or_else(|(error, _)| panic!("{error}"))
    };
    let (one, four) = (load(&one), load(&four));
    assert_eq!(four.attack("one_thread"), Outcome::Result(0));
    assert_eq!(four.denied(), []);
    assert_eq!(four.attack("from_a_thread"), Outcome::Result(0), "the thread itself comes to its end");
    let denied = four.denied();
    assert!(denied.len() == 1 && denied[0].call == "openat", "{denied:?}");
    let (_, isolation) = four.isolation();
    if isolation.contains("user namespace (") {
        println!("SKIPPED: the number of threads is limited in a user namespace only: {isolation}");
    } else {
        assert_eq!(one.attack("one_thread"), Outcome::Result(EAGAIN));
        assert_eq!(four.attack("thread_bomb"), Outcome::Result(EAGAIN));
    }
    assert_eq!(four.attack("fork_once"), Outcome::Result(i64::from(-EPERM)));
    one.end();
    four.end();
}

/// The attacks are real: without isolation, where they are harmless, they succeed.
#[test]
fn unjailed_the_attacks_succeed() {
    let harmless = [
        "open_file",
        "stat_file",
        "statx_file",
        "read_link",
        "change_directory",
        "inotify",
        "tcp_socket",
        "unix_socket",
        "netlink_socket",
        "socket_pair",
        "send_link",
        "dup_link",
        "fcntl_dup",
        "make_pipe",
        "make_eventfd",
        "make_epoll",
        "poll_link",
        "raw_fork",
        "one_thread",
        "tkill_self",
        "open_pidfd",
        "dumpable",
        "forget_parent",
        "own_filter",
        "handle_sys",
        "handle_term",
        "handle_segv",
        "map_executable",
        "map_code",
        "map_shared",
        "protect_executable",
        "code_writable",
        "become_executable",
        "memory_file",
        "timer_bomb",
    ];
    for name in harmless {
        let options = PluginOptions { isolation: Some(Isolation::Off), ..PluginOptions::default() };
        let arena = Arena::usual(options);
        let outcome = arena.attack(name);
        // What was sent over the link breaks the protocol, which shows that it was sent.
        let sent = name == "send_link" && matches!(outcome, Outcome::Refused(_));
        assert!(sent || matches!(outcome, Outcome::Result(0..)), "{name}: {outcome:?}");
        assert!(arena.denied().is_empty());
        arena.end();
    }
}

#[test]
fn all_the_same_for_an_ordinary_user() {
    again_as_ordinary_user("");
}
