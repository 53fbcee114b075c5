//! A disk that fails: it keeps what was synced, and of what was not, at a power cut, an arbitrary part.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use redb::{Database, DatabaseError, StorageBackend};

use crate::journal::medium::Medium;

/// Repeatable chance.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

#[derive(Debug, Clone)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(offset, data) => {
            let (begin, end) = (*offset as usize, *offset as usize + data.len());
            if image.len() < end {
                image.resize(end, 0);
            }
            image[begin..end].copy_from_slice(data);
        }
        Op::SetLen(len) => image.resize(*len as usize, 0),
    }
}

#[derive(Debug)]
struct State {
    synced: Vec<u8>,
    now: Vec<u8>,
    unsynced: Vec<Op>,
    /// Writes and syncs until the power goes.
    ops_left: u64,
    /// Bytes that may be used: the highest offset ever written counts.
    room: u64,
    used: u64,
    /// One in so many syncs and writes fails; 0 for none.
    fail_one_in: u64,
    dice: Dice,
    /// Syncs wait.
    stuck: bool,
}

/// The disk. Clones are one disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    pub(super) fn new(seed: u64) -> Disk {
        Disk::of(Vec::new(), seed)
    }

    fn of(image: Vec<u8>, seed: u64) -> Disk {
        let state = State {
            synced: image.clone(),
            used: image.len() as u64,
            now: image,
            unsynced: Vec::new(),
            ops_left: u64::MAX,
            room: u64::MAX,
            fail_one_in: 0,
            dice: Dice(seed),
            stuck: false,
        };
        Disk(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        changed
    }

    pub(super) fn power_goes_after(&self, ops: u64) {
        self.change(|state| state.ops_left = ops);
    }

    pub(super) fn has_power(&self) -> bool {
        self.change(|state| state.ops_left > 0)
    }

    pub(super) fn fill_up(&self) {
        self.change(|state| state.room = state.used);
    }

    /// There is room for so much more.
    pub(super) fn leave(&self, bytes: u64) {
        self.change(|state| state.room = state.used + bytes);
    }

    pub(super) fn make_room(&self) {
        self.change(|state| state.room = u64::MAX);
    }

    pub(super) fn fail_one_in(&self, n: u64) {
        self.change(|state| state.fail_one_in = n);
    }

    pub(super) fn stuck(&self, stuck: bool) {
        self.change(|state| state.stuck = stuck);
    }

    /// What is there after the power went: all that was synced, and of the rest each write whole, in part or not at all.
    pub(super) fn after_the_cut(&self) -> Disk {
        self.change(|state| {
            let mut image = state.synced.clone();
            let mut dice = state.dice.clone();
            for op in &state.unsynced {
                match (dice.below(3), op) {
                    (0, _) => {}
                    (1, Op::Write(offset, data)) => {
                        let sectors = (data.len() as u64).div_ceil(512);
                        let torn = (dice.below(sectors + 1) * 512).min(data.len() as u64) as usize;
                        apply(&mut image, &Op::Write(*offset, data[..torn].to_vec()));
                    }
                    _ => apply(&mut image, op),
                }
            }
            Disk::of(image, dice.next())
        })
    }

    pub(super) fn image(&self) -> Vec<u8> {
        self.change(|state| state.now.clone())
    }

    /// Changes what is there.
    pub(super) fn damage(&self, damage: impl FnOnce(&mut [u8])) {
        self.change(|state| {
            damage(&mut state.now);
            state.synced = state.now.clone();
        });
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        if self.ops_left == 0 {
            return Err(io::Error::other("no power"));
        }
        self.ops_left -= 1;
        if self.fail_one_in > 0 && self.dice.below(self.fail_one_in) == 0 {
            return Err(io::Error::other("I/O error"));
        }
        Ok(())
    }

    fn add(&mut self, op: Op) {
        apply(&mut self.now, &op);
        self.unsynced.push(op);
    }
}

#[derive(Debug)]
struct Backend(Disk);

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.change(|state| state.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.change(|state| {
            let there = state.now.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.change(|state| {
            state.step()?;
            state.add(Op::SetLen(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let (state, changed) = &*self.0.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state =
            changed.wait_while(state, |state| state.stuck).unwrap_or_else(PoisonError::into_inner);
        // A sync that fails may have written some of it, or all: the next cut decides.
        state.step()?;
        state.synced = state.now.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.change(|state| {
            state.step()?;
            let end = offset + data.len() as u64;
            if end > state.room {
                // As write(2) does, a part may be there.
                let fits = state.room.saturating_sub(offset).min(data.len() as u64) as usize;
                state.add(Op::Write(offset, data[..fits].to_vec()));
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.used = state.used.max(end);
            state.add(Op::Write(offset, data.to_vec()));
            Ok(())
        })
    }
}

impl Medium for Disk {
    fn open(&self) -> Result<Database, DatabaseError> {
        Database::builder().create_with_backend(Backend(self.clone()))
    }

    fn disk_bytes(&self) -> u64 {
        self.change(|state| state.now.len() as u64)
    }

    fn available(&self) -> u64 {
        self.change(|state| state.room.saturating_sub(state.used))
    }

    fn name(&self) -> String {
        "the disk".to_owned()
    }
}
