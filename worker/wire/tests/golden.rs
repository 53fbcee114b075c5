//! The bytes of every message, kept in `tests/golden/wire/`: whoever changes them breaks every peer of the same version.
//! `CROUPIER_BLESS=1 cargo test -p croupier-wire` writes them anew.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{again, header_of, samples};
use croupier_wire::frame::HEADER_BYTES;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/wire"))
}

#[test]
fn every_message_has_its_golden_bytes() {
    let bless = std::env::var_os("CROUPIER_BLESS").is_some_and(|value| value == "1");
    let mut names = BTreeSet::new();
    for sample in samples() {
        let file = folder().join(format!("{}.bin", sample.name));
        assert!(names.insert(format!("{}.bin", sample.name)), "two samples are called {}", sample.name);
        if bless {
            std::fs::write(&file, &sample.frame).expect("the golden folder can be written");
        }
        let golden = std::fs::read(&file)
            .unwrap_or_else(|e| panic!("{}: {e}; CROUPIER_BLESS=1 writes it", file.display()));
        assert_eq!(sample.frame, golden, "{}: other bytes than before", sample.name);
        let decoded = again(sample.way, &header_of(&golden), &golden[HEADER_BYTES..]);
        assert_eq!(
            decoded.as_deref(),
            Ok(&golden[..]),
            "{}: does not decode to what was encoded",
            sample.name
        );
    }
    let kept: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the golden folder is there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(kept, names, "golden files without a message, or the other way round");
}

/// Spelled out once, byte by byte, against the page that describes the frame.
#[test]
fn a_ping_is_these_bytes() {
    let mut out = Vec::new();
    croupier_wire::link::ToWorker::Ping.put(&mut out, 0, 0x0102_0304_0506_0708, 64).expect("fits");
    let expected = [17, 0, 0, 0, 0x53, 0, 1, 0, 8, 7, 6, 5, 4, 3, 2, 1, /* variant */ 8];
    assert_eq!(out, expected);
}
