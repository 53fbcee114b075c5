//! Rules for every source file: how it begins, how long it is, what may not be left in it, and where `unsafe` may be.

use crate::breach::Breach;
use crate::lex::{self, Line};

/// Ends of names of the files that these rules are for.
pub(crate) const KINDS: [&str; 7] = ["rs", "c", "h", "cpp", "hpp", "sh", "py"];
/// Most lines of a file.
const LINES_MAX: usize = 700;
/// How far above an unsafe block its SAFETY comment may begin, in lines.
const SAFETY_LINES_MAX: usize = 12;

/// Where unsafe code may be: what touches the kernel or a plugin, and the contract with plugins; and two yardsticks that are only measured.
const UNSAFE_ALLOWED: [&str; 8] = [
    "worker/src/jail/",
    "worker/src/plugin/",
    "worker/notify/src/",
    "worker/ring/src/",
    "plugin-abi/",
    "plugins/faulty/src/",
    "tests/bench/peers/src/ways/native.rs",
    "tests/bench/peers/src/ways/ring.rs",
];
/// Crates that have unsafe code somewhere and so cannot forbid it as a whole.
const UNSAFE_CRATES: [&str; 6] = [
    "croupier-abi",
    "croupier-sdk",
    "croupier-worker",
    "croupier-notify",
    "croupier-ring",
    "croupier-plugin-faulty",
];

/// Checks one file; `kind` is one of [`KINDS`].
pub(crate) fn check(file: &str, kind: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let count = text.lines().count();
    if count > LINES_MAX {
        let advice = format!("{count} lines, more than {LINES_MAX}; split it by idea");
        breaches.push(Breach::new(file, LINES_MAX + 1, "file-length", advice));
    }
    let rust = kind == "rs";
    if rust && !text.starts_with("//!") {
        let advice = "begin with `//!`: what this file is, and what it is not";
        breaches.push(Breach::new(file, 1, "file-head", advice));
    }
    if kind == "sh" || kind == "py" {
        let notes = text.lines().enumerate().filter_map(|(n, line)| Some((n, line.split_once('#')?.1)));
        breaches.extend(notes.filter_map(|(n, note)| leftover(file, n, note)));
        return breaches;
    }
    let lines = lex::split(text);
    for (n, line) in lines.iter().enumerate() {
        breaches.extend(leftover(file, n, &line.comment));
        if rust {
            breaches.extend(left_in_code(file, n, &line.code));
            breaches.extend(unsafe_code(file, n, &lines));
        }
    }
    breaches
}

/// Checks the root file of a crate (lib.rs, main.rs).
pub(crate) fn check_root(package: &str, file: &str, text: &str) -> Option<Breach> {
    let forbids = lex::split(text).iter().any(|line| line.code.contains("#![forbid(unsafe_code)]"));
    if forbids || UNSAFE_CRATES.contains(&package) {
        return None;
    }
    Some(Breach::new(
        file,
        1,
        "forbid-unsafe",
        "add `#![forbid(unsafe_code)]`; unsafe code lives in jail, plugin, plugin-abi and sdk",
    ))
}

fn leftover(file: &str, n: usize, comment: &str) -> Option<Breach> {
    // Split, so that this file does not break its own rule.
    let word = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")]
        .into_iter()
        .find(|word| lex::has_word(comment, word))?;
    Some(Breach::new(file, n + 1, "leftover", format!("`{word}` in a comment; do it now, or write an issue")))
}

fn left_in_code(file: &str, n: usize, code: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for name in ["todo", "unimplemented", "dbg"] {
        if code.contains('!') && lex::has_word(code, name) && code.contains(&format!("{name}!")) {
            breaches.push(Breach::new(
                file,
                n + 1,
                "leftover",
                format!("`{name}!` in code; write what is missing"),
            ));
        }
    }
    let attribute: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if attribute.starts_with("#[ignore") {
        let advice = "an ignored test tests nothing; make it run, or remove it";
        breaches.push(Breach::new(file, n + 1, "ignored-test", advice));
    }
    breaches
}

fn unsafe_code(file: &str, n: usize, lines: &[Line]) -> Option<Breach> {
    let code = &lines[n].code;
    if !lex::has_word(code, "unsafe") {
        return None;
    }
    if !UNSAFE_ALLOWED.iter().any(|folder| file.starts_with(folder)) {
        let advice =
            "unsafe code is only allowed in worker/src/jail, worker/src/plugin, plugin-abi and its sdk";
        return Some(Breach::new(file, n + 1, "unsafe-place", advice));
    }
    let squeezed: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let needs = ["unsafe {", "unsafe{", "unsafe impl"].iter().any(|form| squeezed.contains(form))
        || squeezed.ends_with("unsafe");
    if !needs || explained(n, lines) {
        return None;
    }
    let advice = "say `// SAFETY:` right above: who guarantees what makes this sound";
    Some(Breach::new(file, n + 1, "unsafe-comment", advice))
}

/// Whether a SAFETY comment stands on the line, or above it with no other unsafe code in between.
fn explained(n: usize, lines: &[Line]) -> bool {
    let says = |line: &Line| line.comment.contains("SAFETY");
    if says(&lines[n]) {
        return true;
    }
    for line in lines[..n].iter().rev().take(SAFETY_LINES_MAX) {
        if says(line) {
            return true;
        }
        if lex::has_word(&line.code, "unsafe") && !line.code.contains("#[unsafe(") {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<(usize, &'static str)> {
        let kind = file.rsplit('.').next().unwrap_or_default();
        check(file, kind, text).into_iter().map(|breach| (breach.line, breach.rule)).collect()
    }

    #[test]
    fn heads_and_lengths() {
        assert!(rules("a.rs", "//! What it is.\nfn a() {}\n").is_empty());
        assert_eq!(rules("a.rs", "fn a() {}\n"), [(1, "file-head")]);
        let long = format!("//! What it is.\n{}", "\n".repeat(700));
        assert_eq!(rules("a.rs", &long), [(701, "file-length")]);
        assert!(rules("a.rs", &long[..long.len() - 1]).is_empty());
        assert!(rules("a.c", "int a;\n").is_empty());
    }

    #[test]
    fn leftovers() {
        let text = format!(
            "//! A.\nfn a() {{ {}!() }} // {}: b\nlet s = \"{}\";\n",
            "todo",
            concat!("TO", "DO"),
            concat!("FIX", "ME")
        );
        assert_eq!(rules("a.rs", &text), [(2, "leftover"), (2, "leftover")]);
        assert_eq!(rules("a.rs", "//! A.\nfn a() { dbg!(1); unimplemented!() }\n").len(), 2);
        assert!(rules("a.rs", "//! A.\nfn todo() { let dbg = 1 != 2; }\n").is_empty());
        assert_eq!(rules("a.rs", "//! A.\n#[ignore = \"slow\"]\n"), [(2, "ignored-test")]);
        assert!(rules("a.rs", "//! A.\nlet a = \"#[ignore]\";\n").is_empty());
        assert_eq!(rules("a.py", concat!("#!/bin/python3\n# FIX", "ME\n")), [(2, "leftover")]);
        assert_eq!(rules("a.c", concat!("/* TO", "DO */\n")), [(1, "leftover")]);
    }

    #[test]
    fn unsafe_needs_a_place_and_a_reason() {
        let inside = "worker/src/jail/a.rs";
        assert_eq!(rules("supervisor/src/a.rs", "//! A.\nunsafe { b() }\n"), [(2, "unsafe-place")]);
        assert_eq!(rules(inside, "//! A.\nunsafe { b() }\n"), [(2, "unsafe-comment")]);
        assert!(rules(inside, "//! A.\n// SAFETY: the kernel copies.\nunsafe { b() }\n").is_empty());
        assert!(rules(inside, "//! A.\n// SAFETY: c.\nlet x =\n    unsafe { b() };\n").is_empty());
        // One comment is not for two blocks.
        let two = "//! A.\n// SAFETY: c.\nunsafe { b() }\nunsafe { b() }\n";
        assert_eq!(rules(inside, two), [(4, "unsafe-comment")]);
        assert_eq!(rules(inside, "//! A.\nunsafe impl Send for A {}\n"), [(2, "unsafe-comment")]);
        assert!(rules(inside, "//! A.\ntype F = unsafe extern \"C\" fn();\n").is_empty());
        assert!(rules("a.rs", "//! unsafe { }\nlet a = \"unsafe {\";\n").is_empty());
    }

    #[test]
    fn roots_forbid() {
        assert!(check_root("croupier", "supervisor/src/lib.rs", "//! A.\n").is_some());
        assert!(check_root("croupier", "supervisor/src/lib.rs", "//! #![forbid(unsafe_code)]\n").is_some());
        assert!(
            check_root("croupier", "supervisor/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n").is_none()
        );
        assert!(check_root("croupier-sdk", "plugin-abi/sdk/src/lib.rs", "").is_none());
    }
}
