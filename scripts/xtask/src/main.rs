//! `cargo xtask tidy`: the project's rules that neither the compiler nor clippy checks.
//!
//! ```text
//!  walk the repository ─▶ each file: sources, bans, links ─┐
//!  cargo metadata ─────▶ arrows between crates, forbid ────┴─▶ file:line: rule: what to do      exit 1 if any
//! ```
//!
//! Every rule is a pure function from text to breaches, tested beside it; only this file reads the disk and runs cargo.
#![forbid(unsafe_code)]

mod arrows;
mod bans;
mod breach;
mod lex;
mod links;
mod sources;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Directories that are not ours to check.
const SKIPPED: [&str; 3] = ["target", ".git", "corpus"];
/// Most files that are looked at; beyond, something else than a source tree was walked.
const FILES_MAX: usize = 20_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words != ["tidy"] {
        eprintln!("usage: cargo xtask tidy");
        return ExitCode::from(2);
    }
    match tidy() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tidy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all rules and prints what they find; returns how many breaches there are.
fn tidy() -> Result<usize, Box<dyn Error>> {
    let root = root()?;
    let mut breaches = Vec::new();
    let packages = arrows::packages(&metadata(&root)?, &root)?;
    breaches.extend(arrows::check(&packages));
    for package in &packages {
        for path in &package.roots {
            breaches.extend(sources::check_root(
                &package.name,
                path,
                &std::fs::read_to_string(root.join(path))?,
            ));
        }
    }
    let files = walk(&root)?;
    let mut checked = 0;
    for path in &files {
        let script = path.extension().is_none() && (path.starts_with("scripts") || path.starts_with(".ci"));
        let kind =
            if script { "sh" } else { path.extension().and_then(|end| end.to_str()).unwrap_or_default() };
        if !sources::KINDS.contains(&kind) && kind != "md" {
            continue;
        }
        checked += 1;
        let text = std::fs::read_to_string(root.join(path))?;
        let name = path.to_str().ok_or("a file name is not UTF-8")?;
        if kind == "md" {
            breaches.extend(links::check(name, &text, |target| root.join(target).exists()));
        } else {
            breaches.extend(sources::check(name, kind, &text));
            breaches.extend(bans::check(name, &text));
        }
    }
    breaches.sort();
    for breach in &breaches {
        println!("{breach}");
    }
    println!("tidy: {checked} files and {} crates checked, {} breaches", packages.len(), breaches.len());
    Ok(breaches.len())
}

/// The repository: the directory of the workspace that this crate belongs to.
fn root() -> Result<PathBuf, Box<dyn Error>> {
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("scripts/xtask"), PathBuf::from);
    let root = here.join("../..").canonicalize()?;
    if root.join("Cargo.toml").is_file() { Ok(root) } else { Err("run it as `cargo xtask tidy`".into()) }
}

fn metadata(root: &Path) -> Result<String, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// All files of the repository, relative to it, in order.
fn walk(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path().strip_prefix(root)?.to_path_buf());
            }
        }
        if files.len() > FILES_MAX {
            return Err(
                format!("more than {FILES_MAX} files; is a build directory among the sources?").into()
            );
        }
    }
    files.sort();
    Ok(files)
}
