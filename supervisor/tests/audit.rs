//! Whatever is done to the audit log, its verification finds it; and what it cannot find, a noted head does.

use std::path::{Path, PathBuf};

use croupier::audit::chain::Hash;
use croupier::audit::log::{Log, Sizes, Tip};
use croupier::audit::verify::{check_head, verify};
use croupier::audit::{Happened, files};
use proptest::prelude::*;

/// Something that somebody does to the files.
#[derive(Debug, Clone)]
enum Deed {
    /// Another value for one byte.
    Edit { at: prop::sample::Index, xor: u8 },
    /// One byte less.
    RemoveByte { at: prop::sample::Index },
    /// One byte more.
    AddByte { at: prop::sample::Index, byte: u8 },
    /// A record goes, but not the last one.
    Drop { record: prop::sample::Index },
    /// Two neighbours change places.
    Swap { record: prop::sample::Index },
    /// A record stands there twice.
    Double { record: prop::sample::Index },
    /// The end is cut off in the middle of a record.
    Tear { at: prop::sample::Index },
    /// A file goes, but not the newest.
    DropFile { file: prop::sample::Index },
}

fn deeds() -> impl Strategy<Value = Deed> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 1..=255u8).prop_map(|(at, xor)| Deed::Edit { at, xor }),
        1 => index().prop_map(|at| Deed::RemoveByte { at }),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Deed::AddByte { at, byte }),
        1 => index().prop_map(|record| Deed::Drop { record }),
        1 => index().prop_map(|record| Deed::Swap { record }),
        1 => index().prop_map(|record| Deed::Double { record }),
        1 => index().prop_map(|at| Deed::Tear { at }),
        1 => index().prop_map(|file| Deed::DropFile { file }),
    ]
}

const RECORDS: u64 = 24;

fn happened(number: u64) -> Happened {
    match number % 3 {
        0 => Happened::Poison { plugin: "p".into(), session: number, seq: number, player: 3 },
        1 => Happened::PluginUnloaded { plugin: format!("plugin-{number}") },
        _ => Happened::Verb {
            uid: Some(1000),
            verb: "restart".into(),
            plugin: "ü \"quoted\"".into(),
            session: 0,
            about: String::new(),
            outcome: "done".into(),
        },
    }
}

/// A log over several files.
fn write_log(dir: &Path) -> Tip {
    let (mut log, _) = Log::open(dir, Sizes { file_bytes_max: 1500, keep_bytes: u64::MAX }).expect("opens");
    for number in 0..RECORDS {
        log.seal(&format!("2026-01-02T03:04:05.{number:09}Z"), &happened(number));
        log.flush().expect("writes");
    }
    assert!(files(dir).expect("reads").len() > 2);
    log.tip()
}

/// The same files again, without waiting for the disk so often.
fn copy_log(dir: &Path) {
    static FILES: std::sync::OnceLock<Vec<(PathBuf, Vec<u8>)>> = std::sync::OnceLock::new();
    let files = FILES.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        write_log(dir.path());
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).expect("reads");
            (PathBuf::from(path.file_name().expect("a name")), bytes)
        };
        files(dir.path()).expect("reads").into_iter().map(|(_, path)| read(path)).collect()
    });
    files.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).expect("writes"));
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Does it. Says whether anything is different now.
fn perform(dir: &Path, deed: &Deed) -> bool {
    let paths: Vec<PathBuf> = files(dir).expect("reads").into_iter().map(|(_, path)| path).collect();
    let all: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("reads")).collect();
    let total: usize = all.iter().map(Vec::len).sum();
    let of_byte = |mut at: usize| {
        let file = all.iter().position(|bytes| {
            if at < bytes.len() {
                true
            } else {
                at -= bytes.len();
                false
            }
        });
        (file.expect("within"), at)
    };
    // A file with at least two records.
    let of_record = |record: &prop::sample::Index| {
        let file = record.index(paths.len());
        let lines = lines(&all[file]);
        let at = record.index(lines.len().max(2) - 1);
        (file, lines, at)
    };
    let (file, bytes) = match deed {
        Deed::Edit { at, xor } => {
            let (file, at) = of_byte(at.index(total));
            let mut bytes = all[file].clone();
            bytes[at] ^= xor;
            (file, bytes)
        }
        Deed::RemoveByte { at } => {
            let (file, at) = of_byte(at.index(total));
            let mut bytes = all[file].clone();
            bytes.remove(at);
            (file, bytes)
        }
        Deed::AddByte { at, byte } => {
            let (file, at) = of_byte(at.index(total));
            let mut bytes = all[file].clone();
            bytes.insert(at, *byte);
            (file, bytes)
        }
        Deed::Drop { record } => {
            let (file, mut lines, at) = of_record(record);
            if file == paths.len() - 1 && lines.len() == 1 {
                return false;
            }
            lines.remove(at);
            (file, lines.concat())
        }
        Deed::Swap { record } => {
            let (file, mut lines, at) = of_record(record);
            if lines.len() < 2 {
                return false;
            }
            lines.swap(at, at + 1);
            (file, lines.concat())
        }
        Deed::Double { record } => {
            let (file, mut lines, at) = of_record(record);
            lines.insert(at, lines[at].clone());
            (file, lines.concat())
        }
        Deed::Tear { at } => {
            let last = lines(all.last().expect("files"));
            let record = last.last().expect("records");
            let cut = 1 + at.index(record.len() - 1);
            let bytes = all.last().expect("files");
            (paths.len() - 1, bytes[..bytes.len() - cut].to_vec())
        }
        Deed::DropFile { file } => {
            std::fs::remove_file(&paths[file.index(paths.len() - 1)]).expect("removes");
            return true;
        }
    };
    let changed = bytes != all[file];
    std::fs::write(&paths[file], bytes).expect("writes");
    changed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_to_the_log_is_found(deed in deeds()) {
        let dir = tempfile::tempdir().expect("a directory");
        copy_log(dir.path());
        prop_assert_eq!(verify(dir.path()).expect("reads").problem, None);
        if perform(dir.path(), &deed) {
            let report = verify(dir.path()).expect("reads");
            prop_assert!(report.problem.is_some(), "{:?} was not found: {:?}", deed, report);
        }
    }
}

/// Every byte of one record, every bit: no need for luck.
#[test]
fn no_bit_of_a_file_can_be_flipped() {
    let dir = tempfile::tempdir().expect("a directory");
    write_log(dir.path());
    let (_, path) = files(dir.path()).expect("reads").remove(1);
    let bytes = std::fs::read(&path).expect("reads");
    let second_line_end = 1 + bytes.iter().position(|byte| *byte == b'\n').expect("a line");
    for at in 0..second_line_end {
        for bit in 0..8 {
            let mut edited = bytes.clone();
            edited[at] ^= 1 << bit;
            std::fs::write(&path, edited).expect("writes");
            let problem =
                verify(dir.path()).expect("reads").problem.unwrap_or_else(|| panic!("byte {at}, bit {bit}"));
            assert_eq!(problem.file, path, "the file is named");
            assert!(problem.line == 1 || problem.line == 2, "the line is named: {problem}");
        }
    }
}

#[test]
fn whole_records_missing_at_the_end_and_a_chain_written_anew_are_found_by_a_noted_head_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let head = write_log(dir.path());
    assert_eq!(check_head(dir.path(), head).expect("reads"), None);
    let older = Tip { seq: 1, hash: Hash([9; 32]) };
    assert!(check_head(dir.path(), older).expect("reads").is_some(), "a head that never was");

    let (_, newest) = files(dir.path()).expect("reads").pop().expect("a file");
    let mut kept = lines(&std::fs::read(&newest).expect("reads"));
    kept.pop();
    std::fs::write(&newest, kept.concat()).expect("writes");
    assert_eq!(verify(dir.path()).expect("reads").problem, None, "this cannot be seen from the files alone");
    let problem = check_head(dir.path(), head).expect("reads").expect("found");
    assert!(problem.to_string().contains("missing"), "{problem}");

    // Written anew, with other words in record 5.
    let forged = tempfile::tempdir().expect("a directory");
    let (mut log, _) =
        Log::open(forged.path(), Sizes { file_bytes_max: 1500, keep_bytes: u64::MAX }).expect("opens");
    for number in 0..RECORDS {
        let what = if number == 4 { happened(5) } else { happened(number) };
        log.seal(&format!("2026-01-02T03:04:05.{number:09}Z"), &what);
        log.flush().expect("writes");
    }
    drop(log);
    assert_eq!(verify(forged.path()).expect("reads").problem, None);
    let problem = check_head(forged.path(), head).expect("reads").expect("found");
    assert!(problem.to_string().contains("written anew"), "{problem}");
}
