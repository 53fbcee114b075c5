//! One worker's cgroup: its limits, whether the worker is in it, its end, and what the kernel counted.
//!
//! ```text
//!  make ─ limits written and read back ─▶ cloned into ─▶ seen from outside ─▶ kill ─▶ reaped ─▶ counted ─▶ dropped: removed
//! ```

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};

use super::{Controller, Limits};
use crate::jail::value::Protection;

/// Directories that could not be removed yet: something in them was still dying.
pub(super) type Leftovers = Arc<Mutex<Vec<PathBuf>>>;

/// The period of `cpu.max`, in microseconds; the kernel's own default.
const CPU_PERIOD_US: u64 = 100_000;
/// Whether the kernel ended something for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// Nothing.
    No,
    /// Yes, since this cgroup's own limit was reached.
    OwnLimit,
    /// Yes, though its own limit was not reached: the machine, or a cgroup above, had no memory left.
    Elsewhere,
}

/// A worker's cgroup. Dropping it removes the directory.
#[derive(Debug)]
pub struct Group {
    dir: PathBuf,
    limits: Limits,
    /// Controllers that are not there, and why.
    missing: Vec<(Controller, String)>,
    leftovers: Leftovers,
}

impl Group {
    /// Makes one and sets its limits, as far as there are controllers. The error leaves nothing behind.
    pub(super) fn make(
        dir: PathBuf,
        limits: Limits,
        missing: Vec<(Controller, String)>,
        leftovers: Leftovers,
    ) -> io::Result<Group> {
        fs::create_dir(&dir)?;
        let group = Group { dir, limits, missing, leftovers };
        group.set()?;
        Ok(group)
    }

    /// Gives it other limits. After an error it has some of both.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn limit(&mut self, limits: Limits) -> io::Result<()> {
        if self.limits == limits {
            return Ok(());
        }
        self.limits = limits;
        self.set()
    }

    fn set(&self) -> io::Result<()> {
        for (file, value) in self.wanted() {
            // A kernel may lack the accounting of swap: what is missing shows when it is read back.
            match fs::write(self.dir.join(file), &value) {
                Err(error) if file != SWAP => {
                    return Err(io::Error::new(error.kind(), format!("cannot set {file}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What it is to limit.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The directory, to be given to clone3(2).
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.dir, flags, Mode::empty())?)
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files of its limits, and what is to be in each.
    fn wanted(&self) -> Vec<(&'static str, String)> {
        let Limits { memory_bytes, tasks, cpu_percent } = self.limits;
        // The kernel counts in pages, and rounds down.
        let pages = memory_bytes / page_bytes() * page_bytes();
        let quota = cpu_percent * CPU_PERIOD_US / 100;
        let all = [
            (Controller::Memory, "memory.max", pages.to_string()),
            (Controller::Memory, SWAP, "0".to_owned()),
            (Controller::Memory, "memory.oom.group", "1".to_owned()),
            (Controller::Pids, "pids.max", tasks.to_string()),
            (Controller::Cpu, "cpu.max", format!("{quota} {CPU_PERIOD_US}")),
        ];
        let has = |controller| self.has(controller);
        all.into_iter().filter(|(of, ..)| has(*of)).map(|(_, file, value)| (file, value)).collect()
    }

    fn has(&self, controller: Controller) -> bool {
        self.missing.iter().all(|(missing, _)| *missing != controller)
    }

    /// Whether this controller limits the process with this number: it is in here, and its limits read back as they were set.
    #[must_use]
    pub fn confines(&self, pid: u32, controller: Controller) -> bool {
        self.has(controller) && !matches!(self.look(pid), Protection::Absent(_))
    }

    /// Looks from outside: is the process in here, and are the limits what they should be?
    #[must_use]
    pub fn look(&self, pid: u32) -> Protection {
        match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
            Ok(text) => self.judge(&text),
            Err(error) => Protection::Absent(format!("it cannot be looked at: {error}")),
        }
    }

    /// The same, with the text of the process's `/proc/PID/cgroup`.
    fn judge(&self, cgroup: &str) -> Protection {
        let path = cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        // Where the hierarchy is mounted differs; our two names do not, and no two supervisors have the same.
        let ours: PathBuf =
            self.dir.components().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
        if !Path::new(path).ends_with(&ours) {
            return Protection::Absent(format!(
                "it is in {path:?}: the kernel did not let it in; see the log"
            ));
        }
        let mut lacking: Vec<String> = Vec::new();
        for (file, value) in self.wanted() {
            match fs::read_to_string(self.dir.join(file)) {
                Ok(found) if found.trim() == value => {}
                Ok(found) => return Protection::Absent(format!("{file} is {:?}, not {value}", found.trim())),
                Err(error) if file == SWAP => lacking.push(format!("swap is not limited: {error}")),
                Err(error) => return Protection::Absent(format!("{file} cannot be read: {error}")),
            }
        }
        // Those with the same reason together.
        let mut told: Vec<(Vec<&str>, &str)> = Vec::new();
        for (controller, why) in &self.missing {
            match told.iter_mut().find(|(_, known)| known == why) {
                Some((names, _)) => names.push(controller.name()),
                None => told.push((vec![controller.name()], why)),
            }
        }
        lacking
            .extend(told.into_iter().map(|(names, why)| format!("no limit of {}: {why}", names.join(", "))));
        if lacking.is_empty() { Protection::Enforced } else { Protection::Partial(lacking.join("; ")) }
    }

    /// Ends whatever is in it, all at once.
    pub fn kill(&self) {
        // Linux 5.14; before, the pidfd is all there is.
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
    }

    /// Microseconds for which what is in it was kept from the CPU; none where the CPU is not limited here.
    #[must_use]
    pub fn throttled_us(&self) -> Option<u64> {
        throttled_us(&fs::read_to_string(self.dir.join("cpu.stat")).ok()?)
    }

    /// What the kernel's count of ends for want of memory says. To be asked before this is dropped.
    #[must_use]
    pub fn out_of_memory(&self) -> OutOfMemory {
        let events = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        out_of_memory(&events)
    }
}

fn page_bytes() -> u64 {
    let known = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    known.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096)
}

/// The only limit that a kernel may lack though it has the controller.
const SWAP: &str = "memory.swap.max";

/// From the text of `cpu.stat`, which has the line only where the controller is on.
fn throttled_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("throttled_usec "))?.trim().parse().ok()
}

/// From the text of `memory.events`: `oom` counts the own limit's being in the way, `oom_kill` the ends, whoever's memory was short.
fn out_of_memory(events: &str) -> OutOfMemory {
    let count = |name: &str| -> u64 {
        let lines = events.lines().filter_map(|line| line.split_once(' '));
        lines.filter(|(known, _)| *known == name).find_map(|(_, count)| count.parse().ok()).unwrap_or(0)
    };
    match (count("oom_kill"), count("oom")) {
        (0, _) => OutOfMemory::No,
        (_, 0) => OutOfMemory::Elsewhere,
        _ => OutOfMemory::OwnLimit,
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if fs::remove_dir(&self.dir).is_err() && self.dir.exists() {
            crate::lock(&self.leftovers).push(std::mem::take(&mut self.dir));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_bytes: (64 << 20) + 5, tasks: 3, cpu_percent: 250 };

    fn made(base: &Path, missing: Vec<(Controller, String)>) -> Group {
        Group::make(base.join("w1"), LIMITS, missing, Leftovers::default()).unwrap()
    }

    #[test]
    fn limits_are_written_and_read_back() {
        let base = tempfile::tempdir().unwrap();
        let group = made(base.path(), Vec::new());
        let read = |file: &str| fs::read_to_string(base.path().join("w1").join(file)).unwrap();
        assert_eq!(read("memory.max"), "67108864", "whole pages, rounded down as the kernel does");
        assert_eq!((read("memory.swap.max"), read("memory.oom.group")), ("0".into(), "1".into()));
        assert_eq!((read("pids.max"), read("cpu.max")), ("3".into(), "250000 100000".into()));
        let parent = base.path().file_name().unwrap().to_str().unwrap();
        let here = format!("9:memory:/x\n0::/system.slice/{parent}/w1\n");
        assert_eq!(group.judge(&here), Protection::Enforced);
        let elsewhere = group.judge(&format!("0::/{parent}/w11\n"));
        assert!(matches!(&elsewhere, Protection::Absent(why) if why.contains("did not let it in")));
        assert!(matches!(group.judge("0::/w1"), Protection::Absent(_)), "another supervisor's");
        assert!(matches!(group.judge("9:memory:/x\n"), Protection::Absent(_)), "version 1 alone");
        fs::remove_file(base.path().join("w1/memory.swap.max")).unwrap();
        assert!(matches!(group.judge(&here), Protection::Partial(why) if why.starts_with("swap is not")));
        fs::write(base.path().join("w1/pids.max"), "max\n").unwrap();
        assert_eq!(group.judge(&here), Protection::Absent("pids.max is \"max\", not 3".into()));
    }

    #[test]
    fn other_limits_take_the_place_of_the_first() {
        let base = tempfile::tempdir().unwrap();
        let mut group = made(base.path(), Vec::new());
        let others = Limits { memory_bytes: 32 << 20, tasks: 1, cpu_percent: 100 };
        group.limit(others).unwrap();
        assert_eq!(group.limits(), others);
        let read = |file: &str| fs::read_to_string(base.path().join("w1").join(file)).unwrap();
        assert_eq!((read("memory.max"), read("pids.max")), ("33554432".into(), "1".into()));
        assert_eq!(read("cpu.max"), "100000 100000");
        fs::remove_dir_all(base.path().join("w1")).unwrap();
        assert!(group.limit(LIMITS).unwrap_err().to_string().starts_with("cannot set memory.max"));
    }

    #[test]
    fn controllers_that_are_not_there_are_named_with_the_reason() {
        let base = tempfile::tempdir().unwrap();
        let here = format!("0::/{}/w1", base.path().file_name().unwrap().to_str().unwrap());
        let because = |controller| (controller, "it is not delegated".to_owned());
        let group = made(base.path(), vec![because(Controller::Memory), because(Controller::Cpu)]);
        assert!(!base.path().join("w1/memory.max").exists());
        let Protection::Partial(why) = group.judge(&here) else { panic!("pids alone is something") };
        assert_eq!(why, "no limit of memory, cpu: it is not delegated");
    }

    #[test]
    fn whose_memory_was_short_is_told_apart() {
        let events =
            |oom, kill| format!("low 0\nhigh 0\nmax 7\noom {oom}\noom_kill {kill}\noom_group_kill 0\n");
        assert_eq!(out_of_memory(&events(0, 0)), OutOfMemory::No);
        assert_eq!(out_of_memory(&events(4, 0)), OutOfMemory::No, "an allocation failed, nobody died");
        assert_eq!(out_of_memory(&events(1, 2)), OutOfMemory::OwnLimit);
        assert_eq!(out_of_memory(&events(0, 1)), OutOfMemory::Elsewhere);
        assert_eq!(out_of_memory(""), OutOfMemory::No);
    }

    #[test]
    fn how_long_it_was_kept_from_the_cpu_is_read_where_the_kernel_says() {
        let stat =
            "usage_usec 9\nuser_usec 8\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1234\nnr_bursts 0\n";
        assert_eq!(throttled_us(stat), Some(1234));
        assert_eq!(throttled_us("usage_usec 9\nuser_usec 8\n"), None, "the controller is off");
    }

    #[test]
    fn what_cannot_be_removed_yet_is_remembered() {
        let base = tempfile::tempdir().unwrap();
        let leftovers = Leftovers::default();
        // In a plain directory the files are in the way.
        drop(Group::make(base.path().join("w1"), LIMITS, Vec::new(), leftovers.clone()).unwrap());
        assert_eq!(*crate::lock(&leftovers), [base.path().join("w1")]);
        let missing = Controller::ALL.map(|controller| (controller, String::new()));
        drop(Group::make(base.path().join("w2"), LIMITS, missing.into(), leftovers.clone()).unwrap());
        assert!(!base.path().join("w2").exists());
        assert_eq!(crate::lock(&leftovers).len(), 1);
    }
}
