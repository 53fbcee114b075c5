//! No byte and no line of a transcript changes unnoticed.

use croupier_fair::transcript::Reveal;
use proptest::prelude::*;

use crate::support::*;

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn reveal(which: u8) -> Reveal {
    match which % 3 {
        0 => Reveal::Public(seed()),
        1 => sealed(),
        _ => Reveal::Withheld,
    }
}

/// Every byte of a transcript that has everything, with its lowest bit, its case bit and its highest bit turned.
#[test]
fn every_byte_of_the_golden_session_counts() {
    for which in 0..3 {
        let file = transcript(header(), &everything(), reveal(which));
        check(&file).expect("it is fine before it is edited");
        for at in 0..file.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut edited = file.clone();
                edited[at] ^= bit;
                assert!(check(&edited).is_err(), "byte {at} ^ {bit:#04x} went unnoticed");
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_found() {
    let file = transcript(header(), &everything(), Reveal::Public(seed()));
    for length in 0..file.len() {
        assert!(check(&file[..length]).is_err(), "cut to {length} bytes and unnoticed");
    }
}

proptest! {
    #[test]
    fn a_random_session_verifies(entries in any_session(), which in 0..3u8) {
        let turns = entries.len() as u64;
        let verified = check(&transcript(header(), &entries, reveal(which))).unwrap();
        prop_assert_eq!(verified.report.counts.turns, turns);
        prop_assert!(verified.report.nothing_failed());
    }

    #[test]
    fn an_edited_byte_is_found(entries in any_session(), which in 0..3u8, at: prop::sample::Index, to: u8) {
        let mut file = transcript(header(), &entries, reveal(which));
        let at = at.index(file.len());
        prop_assume!(file[at] != to);
        file[at] = to;
        prop_assert!(check(&file).is_err());
    }

    #[test]
    fn an_inserted_byte_is_found(entries in any_session(), at: prop::sample::Index, new: u8) {
        let mut file = transcript(header(), &entries, Reveal::Public(seed()));
        let at = at.index(file.len() + 1);
        file.insert(at, new);
        prop_assert!(check(&file).is_err());
    }

    #[test]
    fn a_dropped_line_is_found(entries in any_session(), which in 0..3u8, at: prop::sample::Index) {
        let mut lines = lines(&transcript(header(), &entries, reveal(which)));
        lines.remove(at.index(lines.len()));
        prop_assert!(check(&lines.concat()).is_err());
    }

    #[test]
    fn a_doubled_line_is_found(entries in any_session(), which in 0..3u8, from: prop::sample::Index, to: prop::sample::Index) {
        let mut lines = lines(&transcript(header(), &entries, reveal(which)));
        let copy = lines[from.index(lines.len())].clone();
        lines.insert(to.index(lines.len() + 1), copy);
        prop_assert!(check(&lines.concat()).is_err());
    }

    #[test]
    fn swapped_lines_are_found(entries in any_session(), one: prop::sample::Index, other: prop::sample::Index) {
        let mut lines = lines(&transcript(header(), &entries, Reveal::Public(seed())));
        let (one, other) = (one.index(lines.len()), other.index(lines.len()));
        prop_assume!(one != other);
        lines.swap(one, other);
        prop_assert!(check(&lines.concat()).is_err());
    }

    #[test]
    fn a_line_of_another_session_is_found(entries in any_session(), at: prop::sample::Index) {
        let mut ours = lines(&transcript(header(), &entries, Reveal::Public(seed())));
        let mut other = header();
        other.session = SESSION + 1;
        let theirs = lines(&transcript(other, &entries, Reveal::Public(seed())));
        let at = at.index(ours.len());
        ours[at] = theirs[at].clone();
        prop_assert!(check(&ours.concat()).is_err());
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check(&file).is_err());
    }
}
