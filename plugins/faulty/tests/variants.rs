//! The C variants in `c/` compile under the strict flags, and each is spoilt where its name says.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles every variant; `None` (after saying why) when there is no C compiler.
fn compile(dir: &Path) -> Option<Vec<(String, Vec<u8>)>> {
    if let Err(err) = Command::new("cc").arg("--version").output() {
        eprintln!(
            "SKIPPED: `cc` does not run ({err}), so the C variants were not compiled; install a C compiler"
        );
        return None;
    }
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(crate_dir.join("c")).unwrap().map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    let compiled = sources.iter().map(|source| {
        let name = source.file_stem().unwrap().to_str().unwrap().to_owned();
        let out = dir.join(format!("lib{name}.so"));
        let output = Command::new("cc")
            .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC", "-shared", "-I"])
            .arg(crate_dir.join("../../plugin-abi/include"))
            .arg("-o")
            .args([&out, source])
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        (name, std::fs::read(&out).unwrap())
    });
    Some(compiled.collect())
}

#[test]
fn each_variant_is_spoilt_in_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let Some(variants) = compile(dir.path()) else { return };
    assert!(variants.len() >= 19, "only {} variants found", variants.len());
    for (name, bytes) in &variants {
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let symbol = holds("\0croupier_plugin_v1\0");
        assert_eq!(symbol, !["missing_symbol", "wrong_major"].contains(&name.as_str()), "{name}: symbol");
        assert_eq!(holds("\0.croupier\0"), name != "no_manifest", "{name}: section");
        let manifest = holds(&format!("name = \"{name}\""));
        assert_eq!(manifest, !["no_manifest", "bad_manifest"].contains(&name.as_str()), "{name}: manifest");
        assert_eq!(holds("undefined_action"), name == "undefined_symbol", "{name}: undefined symbol");
    }
}
