//! User ids for workers: each gets one that nobody else on this machine has.
//!
//! ```text
//!  range (config) ─▶ blocks of 16384 ids ─▶ the first one that no other supervisor has locked ─▶ one id after another
//! ```
//!
//! The default range lies where nobody else's does: below it are people, services and containers of systemd (up to 1879048191), subordinate ids of `/etc/subuid` (up to 600100000) and
//! what SSSD makes of a directory's users (up to 2000200000); above it systemd's foreign ids (from 2147352576).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::str::FromStr;

use rustix::fs::OFlags;
use thiserror::Error;

/// Ids that one supervisor takes for itself. Blocks begin at whole multiples, whatever the range, so that ranges that overlap meet in the same blocks.
const BLOCK_IDS: u32 = 1 << 14;
/// The lowest id that may be a worker's: below are people, services, and `nobody`.
const FIRST_MIN: u32 = 1 << 16;
/// The highest: 2^32 - 1 means none, and some programs take numbers above 2^31 for negative ones.
const LAST_MAX: u32 = i32::MAX as u32;
/// Fewest ids in a range: workers that live at the same time should not share one.
const IDS_MIN: u32 = 256;
/// Where blocks are locked. Root's alone, like the ids; and nobody's runtime directory, which would go away with its service.
const LOCKS: &str = "/run/croupier-worker-uids";

/// Ids from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    first: u32,
    last: u32,
}

impl Default for UidRange {
    fn default() -> UidRange {
        UidRange { first: 0x7d00_0000, last: 0x7d0f_ffff }
    }
}

impl std::fmt::Display for UidRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Why a text is no range for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RangeError {
    /// Not two numbers.
    #[error("must be the first and the last user id, as in \"2097152000-2098200575\"")]
    Form,
    /// Too few, too low, or too high.
    #[error("must be {IDS_MIN} ids or more, none below {FIRST_MIN} and none above {LAST_MAX}")]
    Bounds,
}

impl FromStr for UidRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<UidRange, RangeError> {
        let (first, last) = text.split_once('-').ok_or(RangeError::Form)?;
        let id = |text: &str| text.trim().parse::<u32>().map_err(|_| RangeError::Form);
        let range = UidRange { first: id(first)?, last: id(last)? };
        let is_right = range.first >= FIRST_MIN
            && range.last <= LAST_MAX
            && range.last.checked_sub(range.first).is_some_and(|more| more >= IDS_MIN - 1);
        if is_right { Ok(range) } else { Err(RangeError::Bounds) }
    }
}

impl UidRange {
    /// Lines of a file like `/etc/subuid` (`NAME:FIRST:COUNT`, subuid(5)) that give somebody ids of this range.
    pub fn given_away(&self, subids: &str) -> Vec<String> {
        let overlaps = |line: &&str| {
            let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>());
            let (Some(Ok(first)), Some(Ok(count))) = (fields.next(), fields.next()) else { return false };
            first <= u64::from(self.last) && first.saturating_add(count) > u64::from(self.first)
        };
        subids.lines().filter(overlaps).map(str::to_owned).collect()
    }

    /// This range, where this process's user namespace has all of it; the default gives way to the highest ids that there are. None where there are none.
    pub fn here(&self) -> Option<UidRange> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        self.among(&read("uid_map"), &read("gid_map"))
    }

    /// The same, with these maps (user_namespaces(7)).
    fn among(&self, uids: &str, gids: &str) -> Option<UidRange> {
        let (uids, gids) = (mapped(uids), mapped(gids));
        // A group of the same number goes with each user.
        let both = uids.iter().flat_map(|uid| gids.iter().filter_map(|gid| uid.common(*gid)));
        let both: Vec<UidRange> = both.collect();
        if both.iter().any(|there| there.first <= self.first && self.last <= there.last) {
            return Some(*self);
        }
        if *self != UidRange::default() {
            return None;
        }
        let highest = both.into_iter().max_by_key(|there| there.last)?;
        let ids = self.last - self.first;
        let first = highest.first.max(FIRST_MIN).max(highest.last.saturating_sub(ids));
        let is_enough = highest.last.checked_sub(first).is_some_and(|more| more >= IDS_MIN - 1);
        is_enough.then_some(UidRange { first, last: highest.last })
    }

    fn common(self, other: UidRange) -> Option<UidRange> {
        let common = UidRange { first: self.first.max(other.first), last: self.last.min(other.last) };
        (common.first <= common.last).then_some(common)
    }

    /// Its part of each block, the largest first.
    fn pieces(&self) -> Vec<UidRange> {
        let blocks = self.first / BLOCK_IDS..=self.last / BLOCK_IDS;
        let piece = |block: u32| UidRange {
            first: self.first.max(block * BLOCK_IDS),
            last: self.last.min(block * BLOCK_IDS + (BLOCK_IDS - 1)),
        };
        let mut pieces: Vec<UidRange> = blocks.map(piece).collect();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.last - piece.first));
        pieces
    }
}

/// The ids of a map that can be a worker's, or less.
fn mapped(map: &str) -> Vec<UidRange> {
    let extent = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().ok());
        let (first, count) = (fields.next()??, fields.nth(1)??);
        let last = first.checked_add(count)?.checked_sub(1)?.min(LAST_MAX.into());
        Some(UidRange { first: u32::try_from(first).ok()?, last: u32::try_from(last).ok()? })
    };
    map.lines().filter_map(extent).filter(|extent| extent.first <= extent.last).collect()
}

/// The ids of one supervisor. They are its own for as long as this lives.
#[derive(Debug)]
pub(super) struct Users {
    ids: UidRange,
    given: u32,
    /// Held, not read.
    _lock: Option<File>,
}

impl Users {
    /// Takes a block of the range; none where this user namespace has no such ids. When it cannot be had for this supervisor alone it is taken all the same, and said: shared ids are better than root's.
    pub(super) fn take(range: UidRange) -> Option<Users> {
        let here = range.here();
        if here.is_none() {
            tracing::warn!(
                %range,
                "workers get no users of their own: this user namespace has none of the range to give (`worker_uids` in the config, and the map of this container)"
            );
        }
        here.map(|here| Users::take_in(Path::new(LOCKS), here))
    }

    fn take_in(locks: &Path, range: UidRange) -> Users {
        let pieces = range.pieces();
        for ids in &pieces {
            match lock(locks, ids.first / BLOCK_IDS) {
                Ok(Some(lock)) => return Users { ids: *ids, given: 0, _lock: Some(lock) },
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(
                        locks = %locks.display(), %error,
                        "nothing keeps another supervisor from giving its workers the same user ids: let this one make files there, or give each a range of its own \
                         (`worker_uids` in the config)"
                    );
                    return Users { ids: *ids, given: 0, _lock: None };
                }
            }
        }
        tracing::warn!(
            %range,
            "other supervisors have all user ids of the range, and some worker here may have the same as one of theirs: give this one a range of its own (`worker_uids` in the \
             config)"
        );
        Users { ids: pieces[0], given: 0, _lock: None }
    }

    /// One id. It is given again when as many workers have been made as there are ids.
    pub(super) fn next(&mut self) -> u32 {
        let id = self.ids.first + self.given;
        self.given = (self.given + 1) % (self.ids.last - self.ids.first + 1);
        id
    }
}

/// Locks a block; none when somebody else has it. The kernel lets go of it when this process ends, however it does.
fn lock(locks: &Path, block: u32) -> io::Result<Option<File>> {
    DirBuilder::new().recursive(true).mode(0o755).create(locks)?;
    let path = locks.join((block * BLOCK_IDS).to_string());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisors_do_not_give_out_the_same_ids_as_long_as_there_are_enough() {
        let dir = tempfile::tempdir().unwrap();
        let take = |range: &str| Users::take_in(&dir.path().join("locks"), range.parse().unwrap());
        // Three blocks, of which the first is cut short.
        let range = "100000-147455";
        let mut all: Vec<Users> = (0..3).map(|_| take(range)).collect();
        let firsts: Vec<u32> = all.iter_mut().map(Users::next).collect();
        assert_eq!(firsts, [114_688, 131_072, 100_000]);
        assert_eq!(all[0].next(), 114_689);
        // Another range that overlaps: only what nobody has.
        assert_eq!(take("131000-147712").next(), 147_456);
        assert!(take(range)._lock.is_none(), "shared, and said");
        drop(all.remove(1));
        assert_eq!(take(range).next(), 131_072, "free again");
    }

    #[test]
    fn ids_come_round() {
        let dir = tempfile::tempdir().unwrap();
        let mut users = Users::take_in(dir.path(), "70000-70255".parse().unwrap());
        let ids: Vec<u32> = (0..257).map(|_| users.next()).collect();
        assert_eq!((ids[0], ids[255], ids[256]), (70_000, 70_255, 70_000));
    }

    #[test]
    fn without_a_place_for_locks_there_are_ids_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let users = Users::take_in(&dir.path().join("file"), UidRange::default());
        assert!(users._lock.is_none() && users.ids.first == UidRange::default().first);
    }

    #[test]
    fn ranges_are_read_and_bounded() {
        let read = |text: &str| text.parse::<UidRange>();
        assert_eq!(read(&UidRange::default().to_string()), Ok(UidRange::default()));
        assert_eq!(read("100000 - 100255").unwrap().to_string(), "100000-100255");
        for text in ["", "100000", "a-b", "1-", "-5-7", "0x10-0x20"] {
            assert_eq!(read(text), Err(RangeError::Form), "{text}");
        }
        for text in ["1000-2000", "65535-70000", "100255-100000", "100000-100254", "70000-4294967294"] {
            assert_eq!(read(text), Err(RangeError::Bounds), "{text}");
        }
    }

    #[test]
    fn a_container_has_what_it_has() {
        let among = |range: &str, uids: &str, gids: &str| {
            let range: UidRange = range.parse().unwrap();
            range.among(uids, gids).map(|range| range.to_string())
        };
        let default = UidRange::default().to_string();
        let all = "         0          0 4294967295\n";
        assert_eq!(among(&default, all, all), Some(default.clone()));
        assert_eq!(among("100000-100999", all, all), Some("100000-100999".to_owned()));
        // What there is: above the usual ones, and the highest.
        assert_eq!(among(&default, "0 0 200000", "0 0 200000"), Some("65536-199999".to_owned()));
        assert_eq!(among(&default, "0 500000 10000000", all), Some("8951424-9999999".to_owned()));
        assert_eq!(among(&default, "0 0 200000", "0 0 100000"), Some("65536-99999".to_owned()));
        for (uids, gids) in [("0 0 1", "0 0 1"), ("0 100000 65536", all), (all, ""), ("", ""), ("x y z", all)]
        {
            assert_eq!(among(&default, uids, gids), None, "{uids}; {gids}");
        }
        assert_eq!(among("300000-300999", "0 0 200000", all), None, "what was named is not replaced");
    }

    #[test]
    fn who_was_given_the_same_ids_is_found() {
        let range: UidRange = "100000-165535".parse().unwrap();
        let file = "# people\nann:100000:65536\nbob:165536:65536\ncarol:99999:1\ndan:165535:1\nodd:x:1\n";
        assert_eq!(range.given_away(file), ["ann:100000:65536", "dan:165535:1"]);
        assert!(UidRange::default().given_away(file).is_empty());
    }
}
