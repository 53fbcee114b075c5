//! Looks at a worker through `/proc` (proc(5)), before its plugin is handed over: what confines it really?
//!
//! Only the Landlock layer shows nowhere; there the worker's word counts, given before any code of the plugin ran.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use croupier_wire::confine::{Confined, Rlimits, namespace};

use super::cgroup::{Controller, Group};
use super::plan::{Plan, Threads};
use super::value::{Isolation, Layer, Protection};
use croupier_manifest::manifest::Isolation as Level;

/// Descriptors of a worker, and how what they lead to begins (see the worker's `jail::descriptors`).
const DESCRIPTORS: [(u32, &str); 6] =
    [(0, "/dev/null"), (1, "pipe:"), (2, "pipe:"), (3, "socket:"), (4, "pipe:"), (5, "pipe:")];
/// How long a worker may take to close its own end of the hand-over.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// Time until the second look, which doubles from look to look: it takes the worker microseconds, mostly, and every load and restart waits for it.
const SETTLE_LOOK: Duration = Duration::from_micros(10);
const SETTLE_LOOK_MAX: Duration = Duration::from_millis(1);

/// Why a layer is absent that a test wanted to be.
const LEFT_OUT: &str = "left out on purpose";

/// What is known of a worker before it is looked at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Its process.
    pub pid: u32,
    /// What was asked.
    pub plan: &'a Plan,
    /// Bits of [`namespace`] that the zygote made.
    pub namespaces: u32,
    /// Why it made fewer.
    pub why: &'a str,
    /// The user id that it was to have; 0 for none of its own.
    pub uid: u32,
    /// What it was told to set.
    pub rlimits: &'a Rlimits,
    /// Its cgroup, or why it has none.
    pub group: Result<&'a Group, &'a str>,
    /// What it said.
    pub confined: &'a Confined,
}

/// Looks at every layer.
pub fn examine(facts: &Facts<'_>) -> Isolation {
    let plan = facts.plan;
    if plan.level == Level::Off {
        let absent = |layer| (layer, Protection::Absent("isolation is off".into()));
        return Isolation { level: plan.level, layers: Layer::ALL.map(absent).into() };
    }
    let status = Status::read(facts.pid);
    let look = |layer| match layer {
        layer if plan.leaves_out(layer) => Protection::Absent(LEFT_OUT.into()),
        Layer::Seccomp => seccomp(&status),
        Layer::NoNewPrivs => holds(status.field("NoNewPrivs") == "1", "it may gain privileges"),
        Layer::Capabilities => capabilities(&status),
        Layer::Rlimits => rlimits(facts, &status),
        Layer::Descriptors => descriptors(facts.pid),
        Layer::Environment => environment(facts.pid),
        Layer::Landlock => landlock(facts.confined),
        Layer::UserNamespace => namespace(facts, "user", namespace::USER),
        Layer::EmptyRoot => empty_root(facts),
        Layer::PidNamespace => namespace(facts, "pid", namespace::PID),
        Layer::NetNamespace => namespace(facts, "net", namespace::NET),
        Layer::IpcNamespace => namespace(facts, "ipc", namespace::IPC),
        Layer::UtsNamespace => namespace(facts, "uts", namespace::UTS),
        Layer::CgroupNamespace => namespace(facts, "cgroup", namespace::CGROUP),
        Layer::OwnUser => own_user(&status, facts.uid),
        Layer::Cgroup => cgroup(facts),
    };
    Isolation { level: plan.level, layers: Layer::ALL.map(|layer| (layer, look(layer))).into() }
}

fn holds(holds: bool, otherwise: &str) -> Protection {
    if holds { Protection::Enforced } else { Protection::Absent(otherwise.to_owned()) }
}

fn unseen(what: &str, error: &io::Error) -> Protection {
    Protection::Absent(format!("{what} cannot be looked at: {error}"))
}

/// `/proc/PID/status`; empty when it cannot be read, and then nothing holds.
struct Status(String);

impl Status {
    fn read(pid: u32) -> Status {
        Status(fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
    }

    fn field(&self, name: &str) -> &str {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
    }
}

fn seccomp(status: &Status) -> Protection {
    holds(status.field("Seccomp") == "2", "there is no filter")
}

fn capabilities(status: &Status) -> Protection {
    let empty =
        |set: &str| !status.field(set).is_empty() && status.field(set).bytes().all(|digit| digit == b'0');
    if !["CapInh", "CapPrm", "CapEff", "CapAmb"].into_iter().all(empty) {
        return Protection::Absent(format!("it has {}", status.field("CapEff")));
    }
    if empty("CapBnd") {
        return Protection::Enforced;
    }
    Protection::Partial(
        "the bounding set is not empty: CAP_SETPCAP was missing; no_new_privs makes up for it".into(),
    )
}

fn own_user(status: &Status, uid: u32) -> Protection {
    if uid == 0 {
        return Protection::Absent("the supervisor may not give it one".into());
    }
    let is = |name: &str| {
        let ids: Vec<&str> = status.field(name).split_whitespace().collect();
        ids.len() == 4 && ids.iter().all(|id| id.parse() == Ok(uid))
    };
    holds(is("Uid") && is("Gid"), "it runs as another user than it should")
}

fn landlock(confined: &Confined) -> Protection {
    match (confined.landlock_abi, confined.landlock_whole) {
        (0, _) => Protection::Absent("this kernel does not have it, or not switched on".into()),
        (_, true) => Protection::Enforced,
        (abi, false) => Protection::Partial(format!("this kernel knows ABI {abi} only")),
    }
}

fn namespace(facts: &Facts<'_>, name: &str, bit: u32) -> Protection {
    if facts.namespaces & bit == 0 {
        let why = if facts.why.is_empty() { "not asked for" } else { facts.why };
        return Protection::Absent(why.to_owned());
    }
    let link = |whose: &str| fs::read_link(format!("/proc/{whose}/ns/{name}"));
    match (link(&facts.pid.to_string()), link("self")) {
        (Ok(theirs), Ok(ours)) => holds(theirs != ours, "it is the supervisor's"),
        (Err(error), _) | (_, Err(error)) => unseen("it", &error),
    }
}

fn empty_root(facts: &Facts<'_>) -> Protection {
    if let absent @ Protection::Absent(_) = namespace(facts, "mnt", namespace::MOUNT) {
        return absent;
    }
    let root = format!("/proc/{}/root/", facts.pid);
    match fs::read_dir(&root) {
        Ok(entries) => {
            if entries.take(1).count() > 0 {
                return Protection::Absent("it sees files".into());
            }
        }
        Err(error) => return unseen("it", &error),
    }
    match rustix::fs::statvfs(&root) {
        Ok(facts) if facts.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => Protection::Enforced,
        Ok(_) => Protection::Partial("it is not read-only".into()),
        Err(error) => unseen("it", &error.into()),
    }
}

fn environment(pid: u32) -> Protection {
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(bytes) => holds(bytes.iter().all(|byte| *byte == 0), "it is not empty"),
        Err(error) => unseen("it", &error),
    }
}

fn descriptors(pid: u32) -> Protection {
    let expected: Vec<u32> = DESCRIPTORS.iter().map(|(number, _)| *number).collect();
    let due = Instant::now() + SETTLE_MAX;
    let mut pause = SETTLE_LOOK;
    loop {
        let open = match open_descriptors(pid) {
            Ok(open) => open,
            Err(error) => return unseen("they", &error),
        };
        if open.keys().copied().eq(expected.iter().copied()) {
            let wrong = DESCRIPTORS.iter().find(|(number, begins)| !open[number].starts_with(begins));
            return match wrong {
                None => Protection::Enforced,
                Some((number, begins)) => {
                    Protection::Absent(format!("{number} leads to {}, not to {begins}", open[number]))
                }
            };
        }
        if Instant::now() >= due {
            return Protection::Absent(format!("open are {:?}", open.keys()));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(SETTLE_LOOK_MAX);
    }
}

/// Numbers of open descriptors, and what they lead to.
fn open_descriptors(pid: u32) -> io::Result<BTreeMap<u32, String>> {
    let mut open = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be closed meanwhile.
        if let Ok(target) = fs::read_link(entry.path()) {
            open.insert(number, target.to_string_lossy().into_owned());
        }
    }
    Ok(open)
}

fn cgroup(facts: &Facts<'_>) -> Protection {
    match facts.group {
        // One that was made ahead began with another plugin's.
        Ok(group) if Some(group.limits()) != facts.plan.cgroup() => {
            Protection::Absent("its limits are not this plugin's".into())
        }
        Ok(group) => group.look(facts.pid),
        Err(why) => Protection::Absent(format!("{why}; rlimits carry the load")),
    }
}

fn rlimits(facts: &Facts<'_>, status: &Status) -> Protection {
    let text = match fs::read_to_string(format!("/proc/{}/limits", facts.pid)) {
        Ok(text) => text,
        Err(error) => return unseen("they", &error),
    };
    let wanted = facts.rlimits;
    let mut at_most = vec![
        ("Max data size", wanted.data_bytes),
        ("Max address space", wanted.address_bytes),
        ("Max stack size", wanted.stack_bytes),
        ("Max open files", wanted.open_files),
        ("Max core file size", 0),
        ("Max file size", 0),
        ("Max locked memory", 0),
    ];
    if wanted.threads > 0 {
        at_most.push(("Max processes", wanted.threads));
    }
    for (name, most) in at_most {
        let Some((soft, hard)) = limit(&text, name) else {
            return Protection::Absent(format!("{name:?} is not to be seen"));
        };
        if soft > most || hard > most {
            return Protection::Absent(format!("{name:?} is {hard}, not {most}"));
        }
    }
    if threads_are_limited(facts, status) {
        return Protection::Enforced;
    }
    Protection::Partial(
        "the number of its threads is not limited: without a user or a user namespace of its own, RLIMIT_NPROC would count other processes".into(),
    )
}

/// By the filter, which lets it make none; by `RLIMIT_NPROC`, where that counts its own alone; or by its cgroup.
fn threads_are_limited(facts: &Facts<'_>, status: &Status) -> bool {
    let plan = facts.plan;
    let filter = plan.threads == Threads::Denied && !plan.leaves_out(Layer::Seccomp);
    let has_own = |layer: Protection| facts.rlimits.threads > 0 && matches!(layer, Protection::Enforced);
    filter
        || has_own(namespace(facts, "user", namespace::USER))
        || has_own(own_user(status, facts.uid))
        || facts.group.is_ok_and(|group| group.confines(facts.pid, Controller::Pids))
}

/// Soft and hard value of one line of `/proc/PID/limits`.
fn limit(text: &str, name: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut values = line.split_whitespace();
    let mut value = || {
        let value = values.next()?;
        if value == "unlimited" { Some(u64::MAX) } else { value.parse().ok() }
    };
    Some((value()?, value()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_sets_are_judged() {
        let status = |eff: &str, bnd: &str| {
            Status(format!("CapInh:\t00\nCapPrm:\t00\nCapEff:\t{eff}\nCapBnd:\t{bnd}\nCapAmb:\t00\n"))
        };
        assert_eq!(capabilities(&status("00", "00")), Protection::Enforced);
        assert!(matches!(capabilities(&status("00", "01")), Protection::Partial(_)));
        assert!(matches!(capabilities(&status("01", "00")), Protection::Absent(_)));
        assert!(
            matches!(capabilities(&Status(String::new())), Protection::Absent(_)),
            "nothing seen, nothing believed"
        );
    }

    #[test]
    fn limits_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max data size             123                  unlimited            bytes\n";
        assert_eq!(limit(limits, "Max data size"), Some((123, u64::MAX)));
        assert_eq!(limit(limits, "Max stack size"), None);
    }

    #[test]
    fn this_process_is_seen_not_to_be_confined() {
        let me = std::process::id();
        assert!(
            matches!(seccomp(&Status::read(me)), Protection::Absent(_))
                || Status::read(me).field("Seccomp") == "2"
        );
        assert!(matches!(environment(me), Protection::Absent(_)));
        assert!(matches!(descriptors(me), Protection::Absent(_)));
    }
}
