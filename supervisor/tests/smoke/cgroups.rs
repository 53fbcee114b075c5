//! Workers in cgroups of their own, in a real hierarchy: in a directory that each test makes and removes.
//!
//! What the controllers do shows where they are; placement, namespaces, ends and leftovers need none.
#![allow(clippy::print_stdout, reason = "tests say why they skip")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use croupier::SupervisorConfig;
use croupier::jail::cgroup::{Choice, Controller, Found, Limits, Tree};
use croupier_client::{OpenOptions, Player};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{alone, faulty, start, worker};

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits { memory_bytes: 64 << 20, tasks: 8, cpu_percent: 100 };
const NOBODY: u32 = 65_534;

/// A cgroup of the test's own, below the one that the test is in.
pub(crate) struct Base(PathBuf);

impl Base {
    /// None where this user may make none, which is said.
    pub(crate) fn make() -> Option<Base> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let made = own_dir().and_then(|dir| {
            let dir = dir.join(format!("testing-{}-{number}", std::process::id()));
            fs::create_dir(&dir).map(|()| dir).map_err(|error| error.to_string())
        });
        match made {
            Ok(dir) => Some(Base(dir)),
            Err(why) => {
                println!("skipped: no cgroup v2 directory can be made here: {why}");
                None
            }
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn found(&self) -> Found {
        let controllers = fs::read_to_string(self.0.join("cgroup.controllers")).expect("a list");
        Found { dir: self.0.clone(), controllers: Controller::listed(&controllers) }
    }

    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        directories(&self.0)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        remove(&self.0);
    }
}

fn remove(dir: &Path) {
    directories(dir).iter().for_each(|inner| remove(inner));
    let due = Instant::now() + PATIENCE;
    while fs::remove_dir(dir).is_err() && dir.exists() && Instant::now() < due {
        std::thread::yield_now();
    }
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Where this test's own cgroup is mounted.
fn own_dir() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| error.to_string());
    let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mounts")?);
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("no cgroup v2 in this kernel")?;
    let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mount.into_iter().find(|fields| fields.get(2) == Some(&"cgroup2"));
    Ok(Path::new(mount.ok_or("no cgroup v2 is mounted")?[1]).join(own))
}

pub(crate) fn cgroup_of(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    text.lines().find_map(|line| line.strip_prefix("0::")).expect("version 2").to_owned()
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let due = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < due, "{what} in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A shell with a child, both in this cgroup. Neither ends by itself in time.
fn two_processes(dir: &Path) -> Child {
    let script = format!("echo $$ > {}/cgroup.procs; sleep 1000 & sleep 1000; wait", dir.display());
    let child = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().expect("a shell");
    let procs = dir.join("cgroup.procs");
    wait_until("three processes are awaited", || {
        fs::read_to_string(&procs).expect("a list").lines().count() == 3
    });
    child
}

#[test]
fn each_worker_has_a_cgroup_which_goes_with_it() {
    let Some(base) = Base::make() else { return };
    let before = cgroup_of(std::process::id());
    let bench = start(SupervisorConfig::new().cgroup(Choice::At(base.dir().to_owned())));
    bench.client.load(faulty().to_str().expect("UTF-8")).expect("loads");
    let table = bench.client.open("faulty", "{}", OpenOptions::default()).expect("opens");
    let worker = || bench.client.workers().expect("workers").remove(0);
    let first = worker();
    let ours = base.directories();
    let [tree] = &ours[..] else { panic!("one supervisor: {ours:?}") };
    let name = tree.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(cgroup_of(first.pid).ends_with(&format!("{name}/w1")), "{}", cgroup_of(first.pid));
    assert_eq!(fs::read_to_string(tree.join("w1/cgroup.procs")).unwrap().trim(), first.pid.to_string());
    assert_eq!(cgroup_of(std::process::id()), before, "we were not in it, so we stay where we are");
    let (isolation, first_cgroup) = (&first.isolation, cgroup_of(first.pid));
    match Controller::ALL.len() - base.found().controllers.len() {
        0 => assert!(isolation.contains(", cgroup;") || isolation.ends_with(", cgroup"), "{isolation}"),
        _ => assert!(isolation.contains("cgroup (no limit of "), "{isolation}"),
    }
    if !isolation.contains("cgroup namespace (") {
        see_from_within(first.pid);
    }
    // Its end is the cgroup's; the next one has its own.
    kill(Pid::from_raw(first.pid as i32), Signal::SIGKILL).expect("a worker of ours");
    table.act(Player(1), r#"{"do":"count"}"#).expect("goes on in another worker");
    let second = worker();
    assert_ne!(cgroup_of(second.pid), first_cgroup);
    assert!(cgroup_of(second.pid).contains(&format!("{name}/w")), "{}", cgroup_of(second.pid));
    wait_until("the first one's is to be removed", || !tree.join("w1").exists());
    drop(table);
    bench.end();
    assert_eq!(base.directories(), Vec::<PathBuf>::new(), "nothing is left");
}

/// A look from the worker's own cgroup namespace: it is at the root of it.
fn see_from_within(pid: u32) {
    let seen = Command::new("nsenter")
        .args(["-t", &pid.to_string(), "--cgroup", "cat", &format!("/proc/{pid}/cgroup")])
        .output();
    match seen {
        Ok(seen) => {
            let text = String::from_utf8_lossy(&seen.stdout).into_owned();
            assert!(text.lines().any(|line| line == "0::/"), "{text} {seen:?}");
        }
        Err(error) => println!("skipped: a look from within: nsenter cannot be started: {error}"),
    }
}

#[test]
fn a_cgroups_end_is_the_end_of_all_that_is_in_it() {
    let Some(base) = Base::make() else { return };
    let _alone = alone();
    let mut tree = Tree::plant(&base.found()).expect("room");
    let group = tree.group(LIMITS).expect("room");
    let mut child = two_processes(group.dir());
    group.kill();
    assert!(!child.wait().expect("ends").success());
    let events = group.dir().join("cgroup.events");
    wait_until("the sleepers are to be gone", || {
        fs::read_to_string(&events).expect("events").contains("populated 0")
    });
    let dir = group.dir().to_owned();
    drop(group);
    // At the latest when another one is made.
    let other = tree.group(LIMITS).expect("room");
    assert!(!dir.exists() && other.dir().exists());
    drop((other, tree));
    assert_eq!(base.directories(), Vec::<PathBuf>::new());
}

#[test]
fn what_a_dead_supervisor_left_is_ended_and_removed_and_a_living_ones_is_not() {
    let Some(base) = Base::make() else { return };
    let _alone = alone();
    let living = Tree::plant(&base.found()).expect("room");
    let dead = base.dir().join("croupier-1-1");
    let strange = base.dir().join("croupier-someone");
    for dir in [&dead, &dead.join("w7"), &strange] {
        fs::create_dir(dir).expect("room");
    }
    let mut child = two_processes(&dead.join("w7"));
    let next = Tree::plant(&base.found()).expect("room");
    assert!(!child.wait().expect("ends").success(), "what was left is ended");
    assert!(!dead.exists() && living.dir().exists() && strange.exists());
    assert_ne!(living.dir(), next.dir());
    drop(living);
    assert!(next.dir().exists());
}

/// A daemon that is started inside the cgroup that it is to divide, by root or by somebody to whom it was given.
fn daemon_inside(base: &Base, uid: u32) {
    let home = tempfile::tempdir().expect("a directory");
    let path = |name: &str| home.path().join(name);
    for (from, to) in
        [(Path::new(env!("CARGO_BIN_EXE_croupier")), "croupier"), (&worker(), "croupier-worker")]
    {
        fs::copy(from, path(to)).expect("copies");
    }
    fs::create_dir(path("plugins")).expect("room");
    fs::copy(faulty(), path("plugins/libfaulty.so")).expect("copies");
    // Root may divide what it names; whoever was given a directory need not name it.
    let named = if uid == 0 { format!("cgroup = {:?}\n", base.0) } else { String::new() };
    let config =
        format!("{named}plugin_dirs = [\"plugins\"]\nstate_dir = \"state\"\nsocket = \"run/control.sock\"\n");
    fs::write(path("croupier.toml"), config).expect("room");
    for file in [home.path().to_owned(), base.dir().to_owned()]
        .into_iter()
        .chain(["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"].map(|file| base.dir().join(file)))
    {
        std::os::unix::fs::chown(file, Some(uid), Some(uid)).expect("root may");
    }
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec setpriv --reuid {uid} --regid {uid} --clear-groups ./croupier serve --config croupier.toml",
        base.dir().display()
    );
    let daemon = Command::new("sh").args(["-c", &script]).current_dir(home.path()).process_group(0).spawn();
    let mut daemon = daemon.expect("a shell");
    let look = || {
        let told = Command::new(path("croupier"))
            .args(["workers", "--json", "--socket"])
            .arg(path("run/control.sock"))
            .output()
            .expect("runs");
        String::from_utf8(told.stdout).expect("UTF-8")
    };
    wait_until("a worker is awaited", || look().contains("\"faulty\""));
    let workers = look();
    assert!(!workers.contains("cgroup (the cgroup") && !workers.contains("did not let it in"), "{workers}");
    let tree = base.directories().remove(0);
    let within = |leaf: &str| fs::read_to_string(tree.join(leaf).join("cgroup.procs")).expect("a list");
    assert!(within("supervisor").lines().any(|pid| pid == daemon.id().to_string()), "it stepped aside");
    assert_eq!(within("supervisor").lines().count(), 2, "with its zygote");
    assert_eq!(within("w1").lines().count(), 1);
    assert_eq!(
        fs::read_to_string(base.dir().join("cgroup.procs")).expect("a list"),
        "",
        "nobody is left in between"
    );
    kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM).expect("our child");
    assert!(daemon.wait().expect("ends").success());
    assert_eq!(base.directories(), Vec::<PathBuf>::new(), "all is as it was found");
}

#[test]
fn a_supervisor_steps_aside_in_the_cgroup_that_it_divides() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: a daemon in a cgroup given to it: only root can give one");
        return;
    }
    let Some(base) = Base::make() else { return };
    let _alone = alone();
    daemon_inside(&base, 0);
    daemon_inside(&base, NOBODY);
}
