//! A supervisor with the attacker and a neighbour in it, and an audit log.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use croupier::audit::denials::AuditDenials;
use croupier::audit::verify::verify_each;
use croupier::audit::{Audit, AuditOptions, Happened, directory_in};
use croupier::events::{PushTo, Turns};
use croupier::jail::{Denial, Denials};
use croupier::registry::PluginOptions;
use croupier::supervisor::config::IsolationOff;
use croupier::{Supervisor, SupervisorConfig};
use croupier_client::blocking::Client;
use croupier_client::{OpenOptions, Player};
use croupier_wire::door::{Push, What};
use tokio::runtime::Runtime;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The turn in which an attack happens: the first one opened its session.
pub(crate) const TURN: u64 = 2;

fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    exe.parent().and_then(Path::parent).expect("two directories up").to_owned()
}

/// The worker's binary, built if this test was built without it.
pub(crate) fn worker() -> PathBuf {
    let worker = target_dir().join("croupier-worker");
    if !worker.is_file() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "-p", "croupier-worker", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
            .arg("--target-dir")
            .arg(target_dir().parent().expect("a target directory"))
            .status();
        assert!(built.expect("cargo runs").success(), "cargo builds the worker");
    }
    worker
}

fn compile(source: &str, flags: &[String], into: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("cc")
        .current_dir(here.join("tests/jailed"))
        .args(["-std=gnu11", "-O1", "-w", "-fPIC", "-shared", "-pthread", "-I"])
        .arg(here.join("../plugin-abi/include"))
        .args(["-I", "../../../plugins/dice"])
        .args(flags)
        .arg("-o")
        .arg(into)
        .arg(source)
        .output();
    match built {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("the attacks are in C, and `cc` cannot be started: {error}"),
    }
}

/// How the attacker is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attacker {
    pub(crate) constructor: Option<&'static str>,
    pub(crate) permissions: &'static str,
    pub(crate) manifest: &'static str,
    pub(crate) wall: Option<&'static str>,
    pub(crate) threads: Option<&'static str>,
}

impl Attacker {
    fn build(&self, into: &Path) {
        let quoted = |name: &str, text: &str| {
            format!("-D{name}=\"{}\"", text.replace('"', "\\\"").replace('\n', "\\n"))
        };
        let mut flags = vec![quoted("REQUEST", self.permissions), quoted("ISOLATION", self.manifest)];
        flags.extend(self.threads.map(|threads| quoted("THREADS", threads)));
        flags.extend(self.wall.map(|ms| quoted("WALL", ms)));
        flags.extend(self.constructor.map(|name| format!("-DCTOR={name}")));
        compile("attack.c", &flags, into);
    }
}

/// Plugins that most cases use, built once: the attacker, and a neighbour that does nothing wrong.
fn usual() -> &'static (PathBuf, PathBuf) {
    static BUILT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A static is never dropped, so this is no temporary directory: it lies in cargo's, or, where an ordinary user plays, in the
        // directory that is taken away after the run.
        let cargos = Path::new(env!("CARGO_TARGET_TMPDIR")).join("jailed");
        let dir = match std::fs::create_dir_all(&cargos) {
            Ok(()) if std::env::var_os("TMPDIR").is_none() => cargos,
            _ => std::env::temp_dir(),
        };
        // Another run may build the same at the same time: whole files take their places.
        let draft = |name: &str| dir.join(format!("{name}.{}", std::process::id()));
        let hostile = draft("libhostile.so");
        Attacker::default().build(&hostile);
        let dice = draft("libdice.so");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dice");
        // The manifest is included by a path relative to where the compiler runs.
        let built = Command::new("cc")
            .current_dir(root)
            .args(["-std=c99", "-O2", "-fPIC", "-shared", "-I", "../../plugin-abi/include", "-I", ".", "-o"])
            .arg(&dice)
            .arg("dice.c")
            .status();
        assert!(built.expect("cc runs").success());
        let place = |draft: PathBuf, name: &str| {
            let place = dir.join(name);
            std::fs::rename(draft, &place).expect("in the same directory");
            place
        };
        (place(hostile, "libhostile.so"), place(dice, "libdice.so"))
    })
}

/// The neighbour and the usual attacker.
pub(crate) fn usual_files() -> (&'static Path, &'static Path) {
    let (hostile, dice) = usual();
    (dice, hostile)
}

/// What was refused, as told.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<Denial>>);

/// Told, and written down as in service.
struct Both(Arc<Told>, AuditDenials);

impl Denials for Both {
    fn denied(&self, denial: &Denial) {
        self.0.0.lock().expect("no panic").push(denial.clone());
        self.1.denied(denial);
    }
}

struct Events(Arc<Mutex<Vec<String>>>);

impl PushTo for Events {
    fn push(&self, push: Push) {
        if let Push::Event(event) = push
            && let What::WorkerDied { cause, .. } = event.what
        {
            self.0.lock().expect("no panic").push(cause);
        }
    }

    fn is_abandoned(&self) -> bool {
        false
    }
}

/// A supervisor with the attacker and the neighbour.
pub(crate) struct Arena {
    pub(crate) client: Client,
    pub(crate) supervisor: Supervisor,
    audit: Audit,
    told: Arc<Told>,
    causes: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
    neighbour: Option<croupier_client::blocking::Session>,
    dir: tempfile::TempDir,
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The plugin's own result.
    Result(i64),
    /// Its caller was refused: the text.
    Refused(String),
}

impl Arena {
    /// With the usual attacker.
    pub(crate) fn usual(options: PluginOptions) -> Arena {
        Arena::with(&Attacker::default(), options).expect("the attacker loads")
    }

    /// With this one. The error is why it was not loaded.
    pub(crate) fn with(attacker: &Attacker, options: PluginOptions) -> Result<Arena, (String, Vec<Denial>)> {
        crate::harness::check_inside();
        // It is here to break its bounds, at one table after the other.
        let options = PluginOptions { violations_max: options.violations_max.or(Some(0)), ..options };
        let dir = tempfile::tempdir().expect("a directory");
        let (hostile, dice) = usual();
        let special = dir.path().join("libhostile.so");
        let hostile = if *attacker == Attacker::default() {
            hostile
        } else {
            attacker.build(&special);
            &special
        };
        // What workers say before they end is there when a test fails.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let told = Arc::new(Told::default());
        let audit = Audit::start(dir.path(), &AuditOptions::default()).expect("an audit log");
        let runtime = Runtime::new().expect("a runtime");
        let config = SupervisorConfig::new()
            .worker_binary(worker())
            .audit(audit.clone())
            .denials(Arc::new(Both(told.clone(), AuditDenials(audit.clone()))))
            .isolation_off(IsolationOff::Allowed)
            .plugin("hostile", options);
        let supervisor = Supervisor::start(config, runtime.handle().clone()).expect("a supervisor");
        let causes = Arc::new(Mutex::new(Vec::new()));
        supervisor.follow_events(Box::new(Events(causes.clone())), Turns::Left).expect("room");
        let client = Client::embedded(supervisor.backend());
        client.load(dice.to_str().expect("UTF-8")).expect("the neighbour loads");
        let neighbour = client.open("dice", "{}", OpenOptions::default()).expect("the neighbour opens");
        let loaded = client.load(hostile.to_str().expect("UTF-8"));
        let neighbour = Some(neighbour);
        let arena = Arena { client, supervisor, audit, told, causes, runtime, neighbour, dir };
        match loaded {
            Ok(_) => Ok(arena),
            Err(error) => {
                let denied = arena.denied();
                arena.end();
                Err((error.to_string(), denied))
            }
        }
    }

    /// Has the attacker do it, in a turn.
    pub(crate) fn attack(&self, name: &str) -> Outcome {
        self.attack_in_session(name).1
    }

    /// The same; says in which session. It is that session's turn [`TURN`].
    pub(crate) fn attack_in_session(&self, name: &str) -> (u64, Outcome) {
        let session = self.client.open("hostile", "{}", OpenOptions::default()).expect("opens");
        let outcome = match session.act(Player(1), format!("\"{name}\"")) {
            Ok(done) => {
                let text = String::from_utf8(done.reply.to_vec()).expect("UTF-8");
                Outcome::Result(text.parse().expect("a number"))
            }
            Err(error) => Outcome::Refused(format!("{:?}: {error}", error.code())),
        };
        (session.id().0, outcome)
    }

    /// The records of the audit log so far.
    pub(crate) fn records(&self) -> Vec<Happened> {
        self.audit.settle();
        let mut records = Vec::new();
        let report = verify_each(&directory_in(self.dir.path()), |line| records.extend(line.happened()));
        assert_eq!(report.expect("reads").problem, None, "the chain holds");
        records
    }

    /// What was refused so far.
    pub(crate) fn denied(&self) -> Vec<Denial> {
        self.told.0.lock().expect("no panic").clone()
    }

    /// Why the attacker's workers died so far, at least one.
    pub(crate) fn causes(&self) -> Vec<String> {
        let due = Instant::now() + PATIENCE;
        loop {
            let causes = self.causes.lock().expect("no panic").clone();
            if !causes.is_empty() || Instant::now() > due {
                return causes;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The same, without waiting for one.
    pub(crate) fn causes_so_far(&self) -> Vec<String> {
        self.causes.lock().expect("no panic").clone()
    }

    /// What confines the attacker's worker, and its pid.
    pub(crate) fn isolation(&self) -> (u32, String) {
        let workers = self.client.workers().expect("workers");
        let worker = workers.into_iter().find(|worker| worker.plugin == "hostile").expect("the attacker's");
        (worker.pid, worker.isolation)
    }

    /// Ends it all; the neighbour must have served without noticing.
    pub(crate) fn end(mut self) {
        let neighbour = self.neighbour.take().expect("until here");
        for _ in 0..3 {
            neighbour.act(Player(0), r#"{"roll":true}"#).expect("the neighbour serves on");
        }
        let infos = self.client.plugins(Some("dice")).expect("plugins");
        assert_eq!((infos[0].workers_lost, infos[0].poison), (0, 0), "the neighbour's worker lives");
        drop(neighbour);
        self.runtime.block_on(self.supervisor.shutdown());
    }
}

impl Arena {
    /// Ends it all; the neighbour may have been restarted, but must serve.
    pub(crate) fn end_without_looking(mut self) {
        let neighbour = self.neighbour.take().expect("until here");
        neighbour.act(Player(0), r#"{"roll":true}"#).expect("the neighbour serves on");
        drop(neighbour);
        self.runtime.block_on(self.supervisor.shutdown());
    }
}
