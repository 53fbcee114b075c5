//! Files, registers and stacks that no compiler and no crash ever made: reading them ends, and panics nowhere. (The supervisor is built to abort on a panic.)

use croupier::crash::image::Image;
use croupier::crash::unwind::{FRAMES_MAX, Files, Modules, unwind};
use croupier::jail::maps::Mapping;
use croupier::jail::wreck::{RIP, RSP, Wreck};

use crate::table::{USUAL, crasher};

/// Damaged files.
const FILES: u64 = 200;
/// Wrecks for each of them.
const WRECKS: u64 = 20;
const MAPS: &str =
    "10000-20000 r-xp 00000000 00:01 7 /memfd:plugin (deleted)\n80000-90000 rw-p 00000000 00:00 0 [stack]\n";

/// splitmix64: a number from 0 up to, but not, `end`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }

    /// Code, stack, or anything.
    fn word(&mut self) -> u64 {
        match self.roll(4) {
            0 => 0x10000 + self.roll(0x5000),
            1 => 0x80000 + 8 * self.roll(512),
            2 => u64::MAX - self.roll(32),
            _ => self.roll(u64::MAX),
        }
    }

    fn wreck(&mut self) -> Wreck {
        let mut registers = [0; 17];
        registers.iter_mut().for_each(|register| *register = self.word());
        if self.roll(4) > 0 {
            (registers[RIP], registers[RSP]) = (0x10000 + self.roll(0x5000), 0x80000 + self.roll(64));
        }
        let stack = (0..512).flat_map(|_| self.word().to_le_bytes()).collect();
        Wreck {
            signal: 11,
            code: 1,
            address: Some(self.word()),
            registers,
            thread_id: 1,
            thread: None,
            stack_from: 0x80000,
            stack,
            maps: MAPS.into(),
        }
    }
}

struct One(Image);

impl Files for One {
    fn image(&self, _: &Mapping<'_>) -> Option<Image> {
        Some(self.0.clone())
    }
}

#[test]
fn damaged_files_and_forged_stacks_are_gone_through() {
    let dir = tempfile::tempdir().expect("a directory");
    let sound = std::fs::read(crasher(dir.path(), USUAL)).expect("reads");
    let seed = std::process::id().into();
    let mut dice = Dice(seed);
    let (mut deep, mut named) = (0, 0);
    for number in 0..FILES {
        let mut elf = sound.clone();
        for _ in 0..dice.roll(12) {
            let at = dice.roll(elf.len() as u64) as usize;
            elf[at] = dice.roll(256) as u8;
        }
        elf.truncate(if number % 5 == 0 { dice.roll(elf.len() as u64) as usize } else { elf.len() });
        let files = One(Image::read(elf));
        for _ in 0..WRECKS {
            let wreck = dice.wreck();
            let mut modules = Modules::new(&wreck.maps);
            let frames = unwind(&wreck, &mut modules, &files);
            assert!((1..=FRAMES_MAX).contains(&frames.len()), "seed {seed}, file {number}");
            deep = deep.max(frames.len());
            for frame in frames {
                let image = modules.image(frame.instruction(), &files);
                named += usize::from(image.and_then(|(image, address)| image.function(address)).is_some());
            }
        }
    }
    // It was not all refused at the door.
    assert!(deep > 10 && named > 100, "seed {seed}: {deep} {named}");
}
