//! Attacks from constructors and threads, and what a denial says.

use croupier::jail::plan::Transport;
use croupier::registry::PluginOptions;

use crate::arena::{Arena, Attacker, Outcome};
use crate::table::{ENOENT, EPERM};

/// The attacks of constructors run before the worker has said Welcome.
pub(crate) fn constructors_get_no_further() {
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

pub(crate) fn a_dripping_worker_is_ended() {
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
pub(crate) fn a_denial_says_who_when_and_where() {
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

/// Within every other limit, but more bytes a second than it may send: its worker is ended, and it alone. With the usual rate the same is borne.
pub(crate) fn a_worker_that_sends_more_than_its_bytes_is_ended() {
    let arena = Arena::usual(PluginOptions { link_mib_per_s: Some(1), ..PluginOptions::default() });
    assert!(matches!(arena.attack("log_a_lot"), Outcome::Refused(text) if text.contains("Poison")));
    let causes = arena.causes();
    assert!(causes.iter().all(|cause| cause.contains("1 MiB a second (link_mib_per_s)")), "{causes:?}");
    arena.end();
    // Over the ring the worker's own answer would make no sense behind it; see the table.
    let arena =
        Arena::usual(PluginOptions { transport: Some(Transport::Socket), ..PluginOptions::default() });
    assert_eq!(arena.attack("log_a_lot"), Outcome::Result(0));
    arena.end();
}
