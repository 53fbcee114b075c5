//! Which crate may know which, and which foreign crates some of them may not have.
//!
//! ```text
//!  supervisor ─▶ wire ◀─ worker ─▶ abi ◀─ sdk ◀─ plugins        supervisor ─▶ core ─▶ fair, client ─▶ wire, manifest
//! ```
//!
//! Arrows hold for tests and build scripts too.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::breach::Breach;

/// A crate and the crates of the workspace that it may depend on. `tests` may depend on all.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("croupier-wire", &[]),
    ("croupier-notify", &[]),
    ("croupier-ring", &[]),
    ("croupier-abi", &[]),
    ("croupier-sdk", &["croupier-abi"]),
    ("croupier-worker", &["croupier-wire", "croupier-ring", "croupier-abi", "croupier-notify"]),
    ("croupier-fair", &[]),
    ("croupier-core", &["croupier-fair"]),
    ("croupier-manifest", &[]),
    ("croupier-client", &["croupier-wire"]),
    (
        "croupier",
        &[
            "croupier-core",
            "croupier-wire",
            "croupier-notify",
            "croupier-ring",
            "croupier-client",
            "croupier-manifest",
            "croupier-fair",
        ],
    ),
    ("xtask", &[]),
    ("croupier-report", &[]),
    // Every crate in plugins/.
    ("croupier-plugin-", &["croupier-sdk"]),
];

/// A crate and foreign crates that it may not have.
const BANNED: [(&str, &[&str], &str); 4] = [
    (
        "croupier-core",
        &["tokio", "nix", "libc", "mio", "rustix", "interprocess"],
        "the core does no I/O and knows no clock",
    ),
    (
        "croupier-fair",
        &["tokio", "nix", "libc", "mio", "rustix", "interprocess"],
        "chance does no I/O and knows no clock",
    ),
    (
        "croupier-wire",
        &["tokio", "nix", "libc", "mio", "rustix", "interprocess"],
        "the wire knows no runtime and no sockets",
    ),
    ("croupier-worker", &["tokio", "interprocess"], "a worker has no async runtime"),
];

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its Cargo.toml, relative to the repository.
    pub(crate) manifest: String,
    /// Root files of its library and its programs, relative to the repository.
    pub(crate) roots: Vec<String>,
    /// What it depends on, for whatever purpose.
    pub(crate) dependencies: Vec<String>,
}

/// Reads `cargo metadata --no-deps`.
pub(crate) fn packages(metadata: &str, root: &Path) -> Result<Vec<Package>, Box<dyn Error>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let relative = |path: &Value| -> Result<String, Box<dyn Error>> {
        let path = Path::new(path.as_str().ok_or("cargo metadata: a path is no text")?);
        Ok(path.strip_prefix(root)?.to_str().ok_or("a file name is not UTF-8")?.to_owned())
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut packages = Vec::new();
    for package in list(&metadata["packages"]) {
        let mut roots = Vec::new();
        for target in list(&package["targets"]) {
            let ours = ["lib", "rlib", "cdylib", "bin", "proc-macro"];
            if list(&target["kind"]).iter().any(|kind| ours.iter().any(|our| kind == our)) {
                roots.push(relative(&target["src_path"])?);
            }
        }
        packages.push(Package {
            name: text(&package["name"]),
            manifest: relative(&package["manifest_path"])?,
            roots,
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        });
    }
    if packages.is_empty() {
        return Err("cargo metadata names no crates".into());
    }
    Ok(packages)
}

/// Checks all crates.
pub(crate) fn check(packages: &[Package]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in packages {
        breaches.extend(check_arrows(package, packages));
        for (name, banned, why) in BANNED.iter().filter(|(name, ..)| *name == package.name) {
            let found =
                package.dependencies.iter().filter(|dependency| banned.contains(&dependency.as_str()));
            breaches.extend(found.map(|dependency| {
                Breach::new(
                    &package.manifest,
                    1,
                    "ban",
                    format!("{name} may not depend on {dependency}: {why}"),
                )
            }));
        }
    }
    breaches
}

fn check_arrows(package: &Package, packages: &[Package]) -> Vec<Breach> {
    let name = package.name.as_str();
    if name == "croupier-tests" {
        return Vec::new();
    }
    let row = ALLOWED.iter().find(|(row, _)| *row == name || (row.ends_with('-') && name.starts_with(row)));
    let Some((_, allowed)) = row else {
        let advice = format!("{name} is new; say in scripts/xtask/src/arrows.rs what it may depend on");
        return vec![Breach::new(&package.manifest, 1, "arrow", advice)];
    };
    let ours = |dependency: &&String| packages.iter().any(|package| package.name == **dependency);
    let mut wrong: Vec<&String> = package.dependencies.iter().filter(ours).collect();
    wrong.retain(|dependency| !allowed.contains(&dependency.as_str()));
    wrong.dedup();
    let advice = |to: &str| match allowed {
        [] => format!("{name} may depend on no crate of the workspace, not on {to}"),
        _ => format!("{name} may only depend on {}, not on {to}", allowed.join(", ")),
    };
    wrong.into_iter().map(|to| Breach::new(&package.manifest, 1, "arrow", advice(to))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|&name| name.to_owned()).collect();
        Package {
            name: name.to_owned(),
            manifest: format!("{name}/Cargo.toml"),
            roots: Vec::new(),
            dependencies,
        }
    }

    fn lines(packages: &[Package]) -> Vec<String> {
        check(packages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arrows_go_one_way() {
        let good = [
            package("croupier-wire", &["bincode"]),
            package("croupier-fair", &[]),
            package("croupier-core", &["croupier-fair"]),
            package("croupier", &["croupier-core", "croupier-wire", "tokio"]),
            package("croupier-tests", &["croupier", "croupier-core"]),
        ];
        assert_eq!(lines(&good), [""; 0]);
        let bad = [
            package("croupier-wire", &["croupier-core"]),
            package("croupier-core", &["croupier-wire", "tokio"]),
        ];
        assert_eq!(
            lines(&bad),
            [
                "croupier-wire/Cargo.toml:1: arrow: croupier-wire may depend on no crate of the workspace, not on croupier-core",
                "croupier-core/Cargo.toml:1: arrow: croupier-core may only depend on croupier-fair, not on croupier-wire",
                "croupier-core/Cargo.toml:1: ban: croupier-core may not depend on tokio: the core does no I/O and knows no clock",
            ]
        );
    }

    #[test]
    fn plugins_know_the_sdk_alone_and_new_crates_are_noticed() {
        let packages = [
            package("croupier-plugin-craps", &["croupier-sdk", "croupier-wire"]),
            package("croupier-wire", &[]),
        ];
        assert_eq!(lines(&packages).len(), 1);
        assert!(lines(&[package("croupier-news", &[])])[0].contains("is new"));
    }

    #[test]
    fn metadata_is_read() {
        let text = r#"{"packages": [{"name": "croupier-core", "manifest_path": "/r/supervisor/core/Cargo.toml",
            "dependencies": [{"name": "croupier-fair"}], "targets": [
                {"kind": ["lib"], "src_path": "/r/supervisor/core/src/lib.rs"},
                {"kind": ["test"], "src_path": "/r/supervisor/core/tests/a.rs"}]}]}"#;
        let packages = packages(text, Path::new("/r")).unwrap();
        assert_eq!(packages[0].manifest, "supervisor/core/Cargo.toml");
        assert_eq!(packages[0].roots, ["supervisor/core/src/lib.rs"]);
        assert_eq!(packages[0].dependencies, ["croupier-fair"]);
    }
}
