//! The ELF reader against real shared objects, each wrong in one way, and against damaged ones.
//!
//! Builds tiny plugins with `cc`; where there is none, these tests say so and pass without testing anything.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use croupier_manifest::elf::{self, ElfError};
use croupier_manifest::{PluginFileError, read_plugin};
use proptest::prelude::*;

const MANIFEST: &str = "manifest = 1\nname = \"tiny\"\nversion = \"1.2.3\"\nauthors = [\"a\"]\ndescription = \"d\"\nlicense = \"MIT\"\nstate_version = 1\n[game]\ntype = \"dice\"\n[players]\nmin = 0\nmax = 4\n";

const PLUGIN: &str = r#"
#include "croupier_plugin.h"
CROUPIER_MANIFEST_FILE("plugin.toml");
static const croupier_descriptor descriptor = { sizeof descriptor, CROUPIER_ABI_MINOR, "tiny", "1.2.3", 1, 0 };
static const croupier_vtable vtable = { sizeof vtable, 0 };
CROUPIER_EXPORT_PLUGIN(descriptor, vtable);
"#;

/// Compiles `source` with `flags` and returns the file's bytes; `None` without a C compiler.
fn build(source: &str, manifest: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("plugin.c"), source).unwrap();
    std::fs::write(dir.path().join("plugin.toml"), manifest).unwrap();
    std::fs::write(dir.path().join("hide.map"), "{ local: *; };\n").unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-abi/include");
    let made = Command::new("cc")
        .args(["-std=gnu99", "-O1", "-fPIC", "-shared", "-o", "out.so", "plugin.c", "-I"])
        .arg(include)
        .args(flags)
        .current_dir(dir.path())
        .output();
    match made {
        Ok(made) if made.status.success() => Some(std::fs::read(dir.path().join("out.so")).unwrap()),
        Ok(made) => panic!("cc failed: {}", String::from_utf8_lossy(&made.stderr)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no `cc` on this machine");
            None
        }
        Err(error) => panic!("cc did not start: {error}"),
    }
}

/// The good plugin, built once.
fn good() -> Option<&'static [u8]> {
    static GOOD: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    GOOD.get_or_init(|| build(PLUGIN, MANIFEST, &[])).as_deref()
}

fn fails(source: &str, manifest: &str, flags: &[&str], expected: &ElfError) {
    if let Some(bytes) = build(source, manifest, flags) {
        assert_eq!(elf::inspect(&bytes).as_ref(), Err(expected), "{flags:?}");
    }
}

#[test]
fn a_good_plugin_is_read() {
    let Some(bytes) = good() else { return };
    let plugin = read_plugin(bytes).unwrap();
    assert_eq!(plugin.manifest.name.as_str(), "tiny");
    assert_eq!(plugin.manifest.version.to_string(), "1.2.3");
    assert_eq!(plugin.elf.manifest, MANIFEST);
    assert!(plugin.elf.needed.iter().all(|library| library == "libc.so.6"));
    assert_eq!(plugin.digest.0, *blake3::hash(bytes).as_bytes());
}

#[test]
fn the_manifest_macro_works_with_its_nul() {
    let source = PLUGIN.replace(
        "CROUPIER_MANIFEST_FILE(\"plugin.toml\")",
        "CROUPIER_MANIFEST(\"manifest = 1\\nname = \\\"tiny\\\"\\n\")",
    );
    let Some(bytes) = build(&source, "", &[]) else { return };
    assert_eq!(elf::inspect(&bytes).unwrap().manifest, "manifest = 1\nname = \"tiny\"\n");
}

#[test]
fn what_is_no_elf_file() {
    let not_elf = |bytes: &[u8]| match elf::inspect(bytes) {
        Err(ElfError::NotElf { looks_like }) => looks_like,
        other => panic!("{other:?}"),
    };
    assert_eq!(elf::inspect(b""), Err(ElfError::Empty));
    assert_eq!(not_elf(b"hello, I am a text file\n"), "text");
    assert_eq!(not_elf(b"#!/bin/sh\n"), "a script");
    assert_eq!(not_elf(b"\0asm\x01\0\0\0"), "a WebAssembly module");
    assert_eq!(not_elf(b"!<arch>\n"), "a static library");
    assert_eq!(not_elf(b"\0\0\0\0"), "unknown data");
    assert_eq!(not_elf(b"\x7fEL"), "a cut-off ELF file");
    assert_eq!(elf::inspect(b"\x7fELF"), Err(ElfError::Truncated { what: "header" }));
    assert_eq!(elf::inspect(b"\x7fELF\x02\x01\x01"), Err(ElfError::Truncated { what: "header" }));
}

#[test]
fn a_file_over_the_size_cap() {
    let bytes = vec![0u8; elf::PLUGIN_BYTES_MAX + 1];
    assert_eq!(elf::inspect(&bytes), Err(ElfError::TooLarge { bytes: bytes.len() }));
}

#[test]
fn the_wrong_kind_of_elf_file() {
    let Some(bytes) = good() else { return };
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        elf::inspect(&bytes).unwrap_err()
    };
    assert!(matches!(patched(4, &[1]), ElfError::WrongClass { .. }));
    assert!(matches!(patched(5, &[2]), ElfError::WrongByteOrder { .. }));
    assert!(matches!(patched(18, &[0xf3, 0]), ElfError::WrongMachine { found: 0xf3, .. }));
    assert_eq!(patched(16, &[1, 0]), ElfError::NotSharedObject { found: "an object file" });
    assert_eq!(patched(16, &[2, 0]), ElfError::NotSharedObject { found: "a program" });
    assert_eq!(patched(16, &[4, 0]), ElfError::NotSharedObject { found: "a core dump" });
    assert!(matches!(patched(56, &[0xff, 0xff]), ElfError::TooMany { what: "program headers", .. }));
    assert!(matches!(patched(60, &[0xff, 0xff]), ElfError::TooMany { what: "sections", .. }));
    assert_eq!(patched(40, &[0; 8]), ElfError::NoManifest);
}

#[test]
fn a_program_is_not_a_plugin() {
    let source = format!("{PLUGIN}\nint main(void) {{ return 0; }}\n");
    let expected = ElfError::NotSharedObject { found: "a program (position-independent)" };
    fails(&source, MANIFEST, &["-no-pie", "-fPIE", "-pie", "-rdynamic"], &expected);
}

#[test]
fn every_truncation_is_told() {
    let Some(bytes) = good() else { return };
    for len in 1..bytes.len() {
        let error = elf::inspect(&bytes[..len]).expect_err("a truncated file passed");
        assert!(
            matches!(
                error,
                ElfError::Truncated { .. } | ElfError::NotElf { looks_like: "a cut-off ELF file" }
            ),
            "{len}: {error}"
        );
    }
}

#[test]
fn dangerous_link_options() {
    fails(PLUGIN, MANIFEST, &["-Wl,-z,execstack"], &ElfError::ExecutableStack);
    fails(
        PLUGIN,
        MANIFEST,
        &["-Wl,--disable-new-dtags,-rpath,/tmp"],
        &ElfError::LibraryPath { tag: "RPATH" },
    );
    fails(
        PLUGIN,
        MANIFEST,
        &["-Wl,--enable-new-dtags,-rpath,/tmp"],
        &ElfError::LibraryPath { tag: "RUNPATH" },
    );
    fails(PLUGIN, MANIFEST, &["-Wl,--auxiliary,evil.so"], &ElfError::ForbiddenTag { tag: "AUXILIARY" });
    fails(PLUGIN, MANIFEST, &["-Wl,--filter,evil.so"], &ElfError::ForbiddenTag { tag: "FILTER" });
    fails(PLUGIN, MANIFEST, &["-Wl,--audit,evil.so"], &ElfError::ForbiddenTag { tag: "AUDIT" });
    fails(PLUGIN, MANIFEST, &["-Wl,--depaudit,evil.so"], &ElfError::ForbiddenTag { tag: "DEPAUDIT" });
}

#[test]
fn writable_code_and_an_unmarked_stack() {
    let Some(bytes) = good() else { return };
    let mut writable = bytes.to_vec();
    let code = program_header(bytes, |kind, flags| kind == 1 && flags & 1 != 0);
    writable[code + 4] |= 2;
    assert!(matches!(elf::inspect(&writable), Err(ElfError::WritableCode { .. })));

    let mut unmarked = bytes.to_vec();
    let stack = program_header(bytes, |kind, _| kind == 0x6474_e551);
    unmarked[stack..stack + 4].copy_from_slice(&0u32.to_le_bytes());
    assert_eq!(elf::inspect(&unmarked), Err(ElfError::StackUnmarked));
}

/// The file offset of the first program header that fits.
fn program_header(bytes: &[u8], fits: impl Fn(u32, u32) -> bool) -> usize {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let table = word(32) as usize;
    (0..usize::from(bytes[56])).map(|n| table + n * 56).find(|&at| fits(word(at), word(at + 4))).unwrap()
}

#[test]
fn text_relocations() {
    if cfg!(target_arch = "x86_64") {
        let source = format!("{PLUGIN}\nextern int there; __asm__(\".text\\n.quad there\\n\");\n");
        fails(&source, MANIFEST, &["-Wl,-z,notext"], &ElfError::TextRelocations);
    }
}

#[test]
fn libraries_beside_the_c_run_time() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("libother.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-x", "c", "/dev/null", "-Wl,-soname,libother.so.1", "-o"])
        .arg(&library)
        .status();
    if made.is_err() {
        return;
    }
    let flags = ["-Wl,--no-as-needed", library.to_str().unwrap()];
    fails(PLUGIN, MANIFEST, &flags, &ElfError::LibraryNotAllowed { library: "libother.so.1".into() });
    if let Some(bytes) = build(PLUGIN, MANIFEST, &["-Wl,--no-as-needed", "-lm"]) {
        assert!(elf::inspect(&bytes).unwrap().needed.contains(&"libm.so.6".to_owned()));
    }
}

#[test]
fn symbols_that_are_not_the_plugins() {
    let with = |replacement: &str| PLUGIN.replace("CROUPIER_EXPORT_PLUGIN(descriptor, vtable);", replacement);
    let keep = "const void *keep[2] = { &descriptor, &vtable };\n";
    fails(&with(keep), MANIFEST, &[], &ElfError::MissingSymbol);
    fails(
        &with("const void *croupier_plugin_v2[3] = { 0, &descriptor, &vtable };"),
        MANIFEST,
        &[],
        &ElfError::WrongAbiVersion { found: "croupier_plugin_v2".into() },
    );
    fails(
        &with("int croupier_plugin_v1(void) { return !&descriptor || !&vtable; }"),
        MANIFEST,
        &[],
        &ElfError::BadSymbol { what: "not data" },
    );
    fails(
        &with("const void *croupier_plugin_v1[2] = { &descriptor, &vtable };"),
        MANIFEST,
        &[],
        &ElfError::BadSymbol { what: "too small for the struct croupier_plugin" },
    );
    // Imported, not defined.
    let import = format!(
        "{keep}extern const croupier_plugin croupier_plugin_v1; const void *use(void) {{ return &croupier_plugin_v1; }}"
    );
    fails(&with(&import), MANIFEST, &[], &ElfError::MissingSymbol);
    // Not exported.
    fails(PLUGIN, MANIFEST, &["-Wl,--version-script=hide.map"], &ElfError::MissingSymbol);
}

#[test]
fn manifests_that_are_not_there_or_not_text() {
    let without = PLUGIN.replace("CROUPIER_MANIFEST_FILE(\"plugin.toml\");", "");
    fails(&without, MANIFEST, &[], &ElfError::NoManifest);
    // Linkers drop an empty section.
    fails(PLUGIN, "", &[], &ElfError::NoManifest);
    fails(PLUGIN, "\0\0\0", &[], &ElfError::ManifestEmpty);
    let two = ElfError::ManifestNotText { what: "a NUL (are there two manifests?)", at: 1 };
    fails(PLUGIN, "a\0b", &[], &two);
    let large = "#".repeat(elf::MANIFEST_BYTES_MAX + 1);
    fails(PLUGIN, &large, &[], &ElfError::ManifestTooLarge { bytes: large.len() as u64 });
    let source = PLUGIN.replace("CROUPIER_MANIFEST_FILE(\"plugin.toml\")", "CROUPIER_MANIFEST(\"ok\\xff\")");
    fails(&source, "", &[], &ElfError::ManifestNotText { what: "bytes that are not UTF-8", at: 2 });
}

#[test]
fn a_bad_manifest_in_a_good_file() {
    let Some(bytes) = build(PLUGIN, &MANIFEST.replace("max = 4", "max = 0"), &[]) else { return };
    let error = read_plugin(&bytes).unwrap_err();
    assert!(matches!(error, PluginFileError::Manifest(_)));
    assert_eq!(error.to_string(), "bad manifest: players.max: 0 is out of bounds; it may be 1 to 10000");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read_plugin(&bytes);
    }

    #[test]
    fn random_bytes_behind_a_good_header_never_panic(tail in prop::collection::vec(any::<u8>(), 0..4096)) {
        if let Some(good) = good() {
            let bytes = [&good[..64], &tail].concat();
            let _ = read_plugin(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Single bytes, and whole 64-bit fields with values from the corners.
    #[test]
    fn a_damaged_plugin_never_panics(
        bytes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        fields in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(
            vec![0, 1, 0xff, 0x1000, 1 << 31, 1 << 32, 1 << 47, 1 << 63, u64::MAX, u64::MAX - 0xfff])), 0..4),
        odd in 0usize..8,
    ) {
        let Some(good) = good() else { return Ok(()) };
        // An odd start address: the reader may not count on alignment.
        let mut all = vec![0; odd];
        all.extend_from_slice(good);
        let damaged = &mut all[odd..];
        for (at, value) in bytes {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        for (at, value) in fields {
            let at = at.index(damaged.len() / 8 - 1) * 8;
            damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let _ = read_plugin(damaged);
    }
}
