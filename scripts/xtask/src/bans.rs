//! Words that may only stand in certain places: what keeps the core free of I/O and time, and each foreign library in one module.
//!
//! The tests of a crate may use what its sources may not.

use crate::breach::Breach;
use crate::lex::{self, Line};

/// A word (or path) that is banned in some place.
struct Ban {
    /// Where it is banned: paths that begin so.
    place: &'static str,
    /// Where it is not banned after all.
    except: &'static [&'static str],
    words: &'static [&'static str],
    advice: &'static str,
}

const BANS: [Ban; 4] = [
    Ban {
        place: "supervisor/core/src/",
        except: &[],
        words: &[
            "tokio",
            "nix",
            "libc",
            "mio",
            "rustix",
            "std::time",
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "std::io",
            "std::env",
            "std::os",
            "Instant",
            "SystemTime",
            "println",
            "eprintln",
            "dbg",
        ],
        advice: "the core does no I/O and knows no clock; time and results of I/O are arguments (for lengths of time: core::time::Duration)",
    },
    Ban {
        place: "supervisor/fair/src/",
        except: &[],
        words: &[
            "tokio",
            "nix",
            "libc",
            "rustix",
            "std::time",
            "std::fs",
            "std::net",
            "std::thread",
            "Instant",
            "SystemTime",
        ],
        advice: "chance does no I/O and knows no clock; keys, randomness and time are arguments",
    },
    Ban {
        place: "worker/wire/src/",
        except: &[],
        words: &["tokio", "croupier_abi", "std::net", "std::fs", "std::thread"],
        advice: "the wire knows neither a runtime nor sockets nor the plugin contract",
    },
    Ban {
        place: "",
        except: &["supervisor/src/doors/control", "supervisor/src/control", "tests/"],
        words: &["interprocess"],
        advice: "only the control door uses interprocess",
    },
];

/// Names of bincode that the vocabularies may use: the derives, not the functions.
const BINCODE_DERIVES: [&str; 3] = ["Encode", "Decode", "BorrowDecode"];

/// Checks one source file.
pub(crate) fn check(file: &str, text: &str) -> Vec<Breach> {
    if !file.ends_with(".rs") || file.starts_with("scripts/xtask/") {
        return Vec::new();
    }
    let lines = lex::split(text);
    let mut breaches = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        for ban in BANS.iter().filter(|ban| applies(ban, file)) {
            let word = ban.words.iter().find(|word| names(&lines, n, line, word));
            breaches.extend(
                word.map(|word| Breach::new(file, n + 1, "ban", format!("`{word}`: {}", ban.advice))),
            );
        }
        breaches.extend(bincode(file, n, &line.code));
    }
    breaches
}

fn applies(ban: &Ban, file: &str) -> bool {
    file.starts_with(ban.place) && !ban.except.iter().any(|place| file.starts_with(place))
}

/// Whether the line names `word`, outright or inside of `use std::{…}`.
fn names(lines: &[Line], n: usize, line: &Line, word: &str) -> bool {
    if lex::has_word(&line.code, word) {
        return true;
    }
    let Some(module) = word.strip_prefix("std::") else { return false };
    let Some((_, group)) = line.code.split_once("std::{") else { return false };
    let mut group = group.to_owned();
    for next in lines[n + 1..].iter().take(20) {
        if group.contains(';') {
            break;
        }
        group.push_str(&next.code);
    }
    let group = group.split(';').next().unwrap_or_default();
    lex::has_word(group, module)
}

fn bincode(file: &str, n: usize, code: &str) -> Option<Breach> {
    // The peers measure a bare socket with bincode, as a yardstick.
    let free = file == "worker/wire/src/codec.rs" || file.starts_with("tests/bench/peers/");
    if free || !lex::has_word(code, "bincode") {
        return None;
    }
    if !file.starts_with("worker/wire/") {
        return Some(Breach::new(file, n + 1, "ban", "`bincode`: only worker/wire knows it; use its codec"));
    }
    let names = code.split_once("bincode::").map(|(_, names)| names.trim_matches(['{', '}', ';', ' ']));
    let derives = names.is_some_and(|names| {
        names.split(',').all(|name| {
            let name = name.trim_matches(|c: char| !c.is_alphanumeric());
            BINCODE_DERIVES.contains(&name)
        })
    });
    (!derives).then(|| {
        Breach::new(file, n + 1, "ban", "`bincode`: its functions are for codec.rs alone; derives are free")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(file: &str, text: &str) -> Vec<usize> {
        check(file, text).into_iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn the_core_knows_no_clock_and_no_io() {
        let core = "supervisor/core/src/a.rs";
        assert_eq!(broken(core, "use std::time::Instant;"), [1]);
        assert_eq!(broken(core, "use std::{collections::BTreeMap, time::Duration};"), [1]);
        assert_eq!(broken(core, "use std::{\n    collections::BTreeMap,\n    fs,\n};"), [1]);
        let pure = "use std::collections::BTreeMap;\nuse core::time::Duration;\nfn time() {}";
        assert!(broken(core, pure).is_empty());
        assert!(broken(core, "// std::fs and tokio\nlet a = \"std::fs\";").is_empty());
        assert!(broken("supervisor/src/a.rs", "use std::time::Instant;").is_empty());
        assert!(broken("supervisor/core/tests/a.rs", "use std::time::Instant;").is_empty());
    }

    #[test]
    fn the_wire_knows_no_runtime() {
        assert_eq!(broken("worker/wire/src/reader.rs", "use tokio::io::AsyncRead;"), [1]);
        assert!(broken("supervisor/src/a.rs", "use tokio::io::AsyncRead;").is_empty());
    }

    #[test]
    fn one_module_knows_bincode() {
        assert!(broken("worker/wire/src/link.rs", "use bincode::{BorrowDecode, Encode};").is_empty());
        assert!(broken("worker/wire/src/link.rs", "#[derive(bincode::Encode)]").is_empty());
        assert_eq!(broken("worker/wire/src/link.rs", "bincode::encode_to_vec(a, b)"), [1]);
        assert_eq!(broken("worker/wire/src/link.rs", "use bincode::{Encode, config};"), [1]);
        assert!(broken("worker/wire/src/codec.rs", "bincode::encode_to_vec(a, b)").is_empty());
        assert_eq!(broken("supervisor/src/a.rs", "use bincode::Encode;"), [1]);
    }

    #[test]
    fn one_door_uses_interprocess() {
        assert!(broken("supervisor/src/doors/control.rs", "use interprocess::local_socket;").is_empty());
        assert_eq!(broken("supervisor/src/doors/traffic.rs", "use interprocess::local_socket;"), [1]);
    }
}
