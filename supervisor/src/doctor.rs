//! What this kernel can do for us: every protection and every feature that Croupier uses or will use, looked at one by one.
//!
//! Safe probes only: files of `/proc` and `/sys`, and calls that change nothing outside a descriptor of their own. Nothing is promised: what
//! a worker really got is checked when it starts.

use std::fs;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::{PidfdFlags, Resource};
use serde::Serialize;

use crate::config::Config;
use crate::jail::cgroup::{self, Choice, Controller};
use crate::worker::users::UidRange;

/// How much of an item is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All of it.
    Ok,
    /// Some of it.
    Partial,
    /// Nothing.
    Absent,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its name.
    pub name: &'static str,
    /// How much of it is there.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: &'static str,
}

fn item(name: &'static str, verdict: Verdict, detail: impl Into<String>, advice: &'static str) -> Item {
    let advice = if verdict == Verdict::Ok { "" } else { advice };
    Item { name, verdict, detail: detail.into(), advice }
}

/// Looks at everything that a supervisor with this config would use.
pub fn examine(config: &Config) -> Vec<Item> {
    vec![
        kernel(),
        cores(),
        memfd_seals(),
        pidfd(),
        seccomp(),
        landlock(),
        user_namespaces(),
        cgroups(&config.cgroup),
        worker_users(config.worker_uids),
        core_pattern(),
        open_files(),
        worker_binary(),
    ]
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Major and minor number of a release like `6.18.44-generic`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn kernel() -> Item {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let verdict = match version(&release) {
        Some(found) if found >= (6, 7) => Verdict::Ok,
        Some(found) if found >= (5, 13) => Verdict::Partial,
        Some(_) | None => Verdict::Absent,
    };
    let advice = "use Linux 6.7 or newer; 5.13 is the oldest that works, with less of Landlock";
    item("kernel", verdict, format!("Linux {release}"), advice)
}

fn cores() -> Item {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => item("cores", Verdict::Ok, format!("{cores} usable"), ""),
        Ok(_) => item(
            "cores",
            Verdict::Partial,
            "1 usable",
            "supervisor and workers share one core: give it two or more",
        ),
        Err(error) => item("cores", Verdict::Partial, error.to_string(), "the number of cores is unknown"),
    }
}

fn memfd_seals() -> Item {
    let advice = "plugins are handed over in sealed memory: a kernel without memfd_create cannot run them";
    let try_it = || {
        let memory = rustix::fs::memfd_create("doctor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::fcntl_add_seals(
            &memory,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )
    };
    match try_it() {
        Ok(()) => item("memfd seals", Verdict::Ok, "memory can be sealed", ""),
        Err(error) => item("memfd seals", Verdict::Absent, error.to_string(), advice),
    }
}

fn pidfd() -> Item {
    let advice =
        "workers are watched and killed through pidfds: use Linux 5.4 or newer, and allow pidfd_open";
    match rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()) {
        Ok(_) => item("pidfd", Verdict::Ok, "pidfd_open works", ""),
        Err(error) => item("pidfd", Verdict::Absent, error.to_string(), advice),
    }
}

fn seccomp() -> Item {
    let advice = "plugins cannot be kept from system calls: use a kernel with CONFIG_SECCOMP_FILTER";
    let Some(actions) = read("/proc/sys/kernel/seccomp/actions_avail") else {
        return item("seccomp", Verdict::Absent, "the kernel has no filters", advice);
    };
    let knows = |action: &str| actions.split_whitespace().any(|known| known == action);
    let verdict = match (knows("kill_process"), knows("user_notif")) {
        (true, true) => Verdict::Ok,
        _ => Verdict::Partial,
    };
    item(
        "seccomp",
        verdict,
        format!("actions: {actions}"),
        "use Linux 5.0 or newer: kill_process and user_notif are wanted",
    )
}

fn landlock() -> Item {
    let advice = "plugins' file access cannot be confined by Landlock: boot with it in the list of security modules (lsm=landlock,…)";
    match read("/sys/kernel/security/lsm") {
        Some(modules) if modules.split(',').any(|module| module == "landlock") => {
            item("landlock", Verdict::Ok, format!("security modules: {modules}"), "")
        }
        Some(modules) => item("landlock", Verdict::Absent, format!("security modules: {modules}"), advice),
        // securityfs is not mounted in many containers; the kernel still tells whether it knows the call.
        None => match read("/proc/kallsyms") {
            Some(symbols) if symbols.contains("landlock_create_ruleset") => {
                let detail = "the kernel has it; whether it is switched on cannot be seen without /sys/kernel/security";
                item("landlock", Verdict::Partial, detail, advice)
            }
            _ => item("landlock", Verdict::Absent, "no sign of it", advice),
        },
    }
}

fn user_namespaces() -> Item {
    let advice = "workers cannot have namespaces of their own unless the supervisor runs as root: raise user.max_user_namespaces, \
                  and allow unprivileged user namespaces";
    let most = read("/proc/sys/user/max_user_namespaces").and_then(|text| text.parse::<u64>().ok());
    let debian = read("/proc/sys/kernel/unprivileged_userns_clone");
    let apparmor = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let denied = debian.as_deref() == Some("0") || apparmor.as_deref() == Some("1");
    let (verdict, detail) = match most {
        None => (Verdict::Absent, "the kernel has none".to_owned()),
        Some(0) => (Verdict::Absent, "none are allowed".to_owned()),
        Some(most) if denied => {
            (Verdict::Partial, format!("{most} are allowed, but only to privileged users"))
        }
        Some(most) => (Verdict::Ok, format!("{most} are allowed")),
    };
    item("user namespaces", verdict, detail, advice)
}

fn cgroups(choice: &Choice) -> Item {
    let advice = "memory, threads and CPU of workers are limited by rlimits and by being watched only: run the supervisor under systemd with Delegate=yes, or name a cgroup v2 \
                  directory with the controllers memory, pids and cpu with `cgroup` in the config";
    match cgroup::find::find(choice) {
        Ok(found) => {
            let names: Vec<&str> = found.controllers.iter().map(|controller| controller.name()).collect();
            let verdict = if names.len() == Controller::ALL.len() { Verdict::Ok } else { Verdict::Partial };
            let detail =
                format!("{} is ours to divide; controllers: {}", found.dir.display(), names.join(", "));
            item("cgroup v2", verdict, detail, advice)
        }
        Err(why) => item("cgroup v2", Verdict::Absent, why.to_string(), advice),
    }
}

/// Whoever may map subordinate ids can be the user that a worker runs as.
fn worker_users(range: UidRange) -> Item {
    let name = "worker users";
    let Some(range) = range.here() else {
        let advice = "workers can have no users of their own: give this container's user namespace more ids, or `worker_uids` in the config a range that it has";
        return item(name, Verdict::Partial, format!("{range} is not in this user namespace"), advice);
    };
    let given = |file: &str| {
        let lines = range.given_away(&read(file).unwrap_or_default());
        lines.into_iter().map(|line| format!("{file} gives some away: {line}")).collect::<Vec<_>>()
    };
    let clashes = [given("/etc/subuid"), given("/etc/subgid")].concat();
    if clashes.is_empty() {
        return item(name, Verdict::Ok, format!("{range}, nobody else's in /etc/subuid, /etc/subgid"), "");
    }
    let advice = "people named there can become the user of a worker: give `worker_uids` in the config a range that nobody has";
    item(name, Verdict::Partial, format!("{range}; {}", clashes.join("; ")), advice)
}

fn core_pattern() -> Item {
    let pattern = read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let advice = "a crashed worker's memory, other players' cards included, may be handed to a program; workers switch core files off, \
                  but a pipe ignores their limit: check who reads it";
    let verdict = if pattern.starts_with('|') { Verdict::Partial } else { Verdict::Ok };
    item("core files", verdict, format!("core_pattern: {pattern}"), advice)
}

/// Descriptors that a busy supervisor needs: a few for each worker, one for each client.
const OPEN_FILES_WANTED: u64 = 4096;

fn open_files() -> Item {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let text = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let detail = format!("{} now, {} at most", text(limit.current), text(limit.maximum));
    let verdict = match limit.current.unwrap_or(u64::MAX) {
        OPEN_FILES_WANTED.. => Verdict::Ok,
        256.. => Verdict::Partial,
        _ => Verdict::Absent,
    };
    item(
        "open files",
        verdict,
        detail,
        "raise the limit of open files to 4096 or more (ulimit -n, LimitNOFILE=)",
    )
}

fn worker_binary() -> Item {
    match crate::worker::launcher::find_binary(None) {
        Ok(path) => item("worker binary", Verdict::Ok, path.display().to_string(), ""),
        Err(error) => {
            item("worker binary", Verdict::Absent, error.to_string(), "no plugin can be run without it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.4"), Some((5, 4)));
        assert_eq!(version("x"), None);
    }

    #[test]
    fn every_item_says_something_and_advises_where_something_is_missing() {
        for item in examine(&Config::default()) {
            assert!(!item.detail.is_empty(), "{item:?}");
            assert_eq!(item.advice.is_empty(), item.verdict == Verdict::Ok, "{item:?}");
        }
    }
}
