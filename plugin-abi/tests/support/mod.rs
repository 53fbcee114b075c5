//! Runs the machine's C and C++ compilers on small programs.
#![allow(dead_code)] // each test takes what it needs

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the header promises to be clean under.
pub(crate) const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// A language, its compiler and its standard.
pub(crate) struct Language {
    pub(crate) compiler: &'static str,
    pub(crate) standard: &'static str,
    pub(crate) suffix: &'static str,
}

pub(crate) const C99: Language = Language { compiler: "cc", standard: "-std=c99", suffix: "c" };
pub(crate) const CXX11: Language = Language { compiler: "c++", standard: "-std=c++11", suffix: "cpp" };

impl Language {
    /// Whether the compiler is there; if not, says on stderr what is skipped.
    pub(crate) fn is_there(&self) -> bool {
        match Command::new(self.compiler).arg("--version").output() {
            Ok(output) if output.status.success() => true,
            outcome => {
                eprintln!(
                    "SKIPPED: `{0} --version` does not run ({outcome:?}), so the header was not tried as {1}; install a compiler named `{0}`",
                    self.compiler, self.standard
                );
                false
            }
        }
    }

    /// Compiles `source` with the strict flags and `more`, in `dir`; panics with the compiler's words if it does not.
    pub(crate) fn compile(&self, dir: &Path, source: &str, name: &str, more: &[&str]) -> PathBuf {
        let file = dir.join(format!("{name}.{}", self.suffix));
        std::fs::write(&file, source).unwrap();
        let out = dir.join(format!("{name}-{}", self.suffix));
        let output = Command::new(self.compiler)
            .arg(self.standard)
            .args(STRICT)
            .args(more)
            .arg("-I")
            .arg(include_dir())
            .arg("-I")
            .arg(dir)
            .arg("-o")
            .args([&out, &file])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{} does not accept {name}:\n{}",
            self.compiler,
            String::from_utf8_lossy(&output.stderr)
        );
        out
    }
}

pub(crate) fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}
