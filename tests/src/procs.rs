//! Processes, as `/proc` has them. A process is named by its id and its start time, so that a number that was given out again is no confusion.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proc {
    /// Its id.
    pub pid: u32,
    /// Its start, in clock ticks since boot.
    start: u64,
}

impl Proc {
    /// The process with this id, if it is there and no zombie.
    pub fn of(pid: u32) -> Option<Proc> {
        let stat = Stat::read(pid)?;
        (stat.state != 'Z' && stat.state != 'X').then_some(Proc { pid, start: stat.start })
    }

    /// Whether it still runs.
    pub fn lives(self) -> bool {
        Proc::of(self.pid) == Some(self)
    }
}

struct Stat {
    state: char,
    parent: u32,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, but no later field holds a parenthesis.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // Field 22 of proc_pid_stat(5); the name was 2, the parent 4.
        let start = fields.nth(17)?.parse().ok()?;
        Some(Stat { state, parent, start })
    }
}

/// All processes whose parent, or parent's parent, and so on, is `pid`.
pub fn descendants(pid: u32) -> Vec<Proc> {
    let all: Vec<(u32, Stat)> = all().collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    let living = |pid: &u32| all.iter().find(|(other, stat)| other == pid && stat.state != 'Z');
    family[1..].iter().filter_map(living).map(|(pid, stat)| Proc { pid: *pid, start: stat.start }).collect()
}

/// The processes whose parent is `pid`, without zombies.
pub fn children(pid: u32) -> Vec<Proc> {
    let child = |(child, stat): (u32, Stat)| {
        (stat.parent == pid && stat.state != 'Z').then_some(Proc { pid: child, start: stat.start })
    };
    all().filter_map(child).collect()
}

fn all() -> impl Iterator<Item = (u32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Stat::read(pid)?)))
}

/// Children that ended and were not reaped.
pub fn zombies(parent: u32) -> Vec<u32> {
    all().filter(|(_, stat)| stat.parent == parent && stat.state == 'Z').map(|(pid, _)| pid).collect()
}

/// Sends a signal to a child (or its child) of `parent`, and to nobody else, whatever happens meanwhile. Whether it was sent.
pub fn signal_child(parent: u32, pid: u32, signal: Signal) -> bool {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let Ok(handle) = pidfd_open(raw, PidfdFlags::empty()) else { return false };
    // The handle holds the process; now what is read of the number is read of it, or it has ended.
    if !descendants(parent).iter().any(|child| child.pid == pid) {
        return false;
    }
    pidfd_send_signal(handle, signal).is_ok()
}

/// Open descriptors of a process.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What the descriptors of a process are, for a message.
pub fn descriptor_list(pid: u32) -> Vec<String> {
    let mut list: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            format!("{} {}", Path::new(&entry.file_name()).display(), target.display())
        })
        .collect();
    list.sort();
    list
}

/// Threads of a process.
pub fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Resident memory of a process in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_signalled_and_missed() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let own = std::process::id();
        let found = descendants(own).into_iter().find(|proc| proc.pid == child.id()).expect("our child");
        assert!(found.lives());
        assert!(!signal_child(child.id(), child.id(), Signal::KILL), "it is no child of its own");
        assert!(signal_child(own, child.id(), Signal::KILL));
        child.wait().expect("it was killed");
        assert!(!found.lives());
        assert!(!signal_child(own, child.id(), Signal::KILL));
        assert!(descriptors(own) > 2 && rss_kib(own) > 0 && threads(own) > 0);
    }
}
