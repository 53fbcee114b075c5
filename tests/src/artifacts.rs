//! What the tests start: binaries and plugins from cargo's target directory, built once per test process, and plugins in C.
//!
//! The target directory and the profile are those of the running test, so `CARGO_TARGET_DIR` and `--release` count here as well.
//! `CROUPIER_TESTS_PREBUILT=1` says that everything is built and current.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The plugins of this repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// Hold'em, in Rust.
    Holdem,
    /// Craps, in Rust.
    Craps,
    /// The misbehaving one, in Rust.
    Faulty,
    /// Dice, in C; needs a C compiler.
    Dice,
}

impl Plugin {
    /// Its name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Plugin::Holdem => "holdem",
            Plugin::Craps => "craps",
            Plugin::Faulty => "faulty",
            Plugin::Dice => "dice",
        }
    }

    /// Its `.so`.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn file(self) -> PathBuf {
        match self {
            Plugin::Dice => dice(),
            rust => artifacts().directory.join(format!("lib{}.so", rust.name())),
        }
    }
}

/// Where cargo puts what it builds.
#[derive(Debug)]
pub struct Artifacts {
    /// `target/PROFILE`.
    pub directory: PathBuf,
}

impl Artifacts {
    /// The `croupier` binary.
    pub fn croupier(&self) -> PathBuf {
        self.directory.join("croupier")
    }

    /// The `croupier-worker` binary.
    pub fn worker(&self) -> PathBuf {
        self.directory.join("croupier-worker")
    }
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the repository").to_owned()
}

/// Binaries and Rust plugins, built and current.
///
/// # Panics
/// When cargo cannot build them.
pub fn artifacts() -> &'static Artifacts {
    static BUILT: OnceLock<Artifacts> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path");
        let directory = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_owned();
        if std::env::var_os("CROUPIER_TESTS_PREBUILT").is_none() {
            build(&directory);
        }
        Artifacts { directory }
    })
}

fn build(directory: &Path) {
    let profile = match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let target = directory.parent().expect("the target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = [
        "croupier",
        "croupier-worker",
        "croupier-plugin-holdem",
        "croupier-plugin-craps",
        "croupier-plugin-faulty",
    ];
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(repository());
    for package in packages {
        command.args(["-p", package]);
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "cargo could not build what the tests start: {command:?}");
}

/// The C compiler: `$CC`, else `cc`; `None` when there is none.
pub fn c_compiler() -> Option<String> {
    let name = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    Command::new(&name).arg("--version").output().ok().filter(|output| output.status.success()).map(|_| name)
}

/// Builds a plugin from C source with these arguments besides the usual ones.
///
/// # Panics
/// When there is no compiler, or it refuses.
pub fn compile(source: &Path, out: &Path, arguments: &[String]) {
    let compiler = c_compiler().expect("a C compiler: install one, or set CC");
    let root = repository();
    let output = Command::new(compiler)
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-O2",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
        ])
        .arg("-I")
        .arg(root.join("plugin-abi/include"))
        .args(arguments)
        .arg("-o")
        .arg(out)
        .arg(source)
        .output()
        .expect("the C compiler runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A directory for what this test process builds itself; it goes with the process's temporary files.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let directory = artifacts().directory.join(format!("e2e-c/{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for plugins in C");
        remove_old(directory.parent().expect("e2e-c"));
        directory
    })
}

/// Removes what test processes that are gone have left.
fn remove_old(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let gone = name.to_str().is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if gone {
            // Another test process may do the same at the moment.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn dice() -> PathBuf {
    static DICE: OnceLock<PathBuf> = OnceLock::new();
    DICE.get_or_init(|| {
        let out = scratch().join("libdice.so");
        let home = repository().join("plugins/dice");
        compile(&home.join("dice.c"), &out, &["-I".to_owned(), home.display().to_string()]);
        out
    })
    .clone()
}

/// The dice plugin under another name, `copy000` to `copy99`.
///
/// # Panics
/// When `number` is over 99, or the compiler refuses.
pub fn dice_copy(number: usize, directory: &Path) -> PathBuf {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| {
        let home = repository().join("plugins/dice");
        let source = std::fs::read_to_string(home.join("dice.c")).expect("dice.c");
        let manifest = std::fs::read_to_string(home.join("plugin.toml")).expect("plugin.toml");
        let place = scratch();
        let renamed = source.replace("\"dice\"", "\"copy000\"");
        assert_ne!(renamed, source, "dice.c names itself");
        std::fs::write(place.join("copy.c"), renamed).expect("room on the disk");
        std::fs::write(
            place.join("plugin.toml"),
            manifest.replace("\"dice\"\nversion", "\"copy000\"\nversion"),
        )
        .expect("room on the disk");
        let out = place.join("copy000.so");
        compile(&place.join("copy.c"), &out, &["-I".to_owned(), place.display().to_string()]);
        std::fs::read(out).expect("what was just built")
    });
    assert!(number < 1000, "three digits");
    let name = format!("copy{number:03}");
    let mut bytes = pattern.clone();
    let places: Vec<usize> =
        bytes.windows(7).enumerate().filter(|(_, window)| *window == b"copy000").map(|(at, _)| at).collect();
    assert!(places.len() >= 2, "the descriptor and the manifest name the plugin");
    for at in places {
        bytes[at..at + 7].copy_from_slice(name.as_bytes());
    }
    let file = directory.join(format!("{name}.so"));
    std::fs::write(&file, bytes).expect("room on the disk");
    file
}
