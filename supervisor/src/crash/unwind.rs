//! A backtrace from a copy of registers and stack: by the files' own unwind tables (.eh_frame), else by frame pointers, else by looking for return addresses.
//!
//! ```text
//!  registers ─▶ frame ─▶ table? ─▶ frame pointer? ─▶ scan? ─▶ the caller's registers ─▶ frame ─▶ …      the stack pointer only grows, so it ends
//! ```
//!
//! Registers, stack and files may all be forged. Nothing is read but the copy and the files; frames, words and bytes are bounded.

use std::collections::HashMap;

use gimli::{CfaRule, Register, RegisterRule};

use super::image::Image;
use super::tables::Row;
use crate::jail::maps::{Mapping, mappings};
use crate::jail::wreck::{REGISTERS, RIP, RSP, Wreck};

/// Most frames that are gone through.
pub const FRAMES_MAX: usize = 4096;
/// Most places that are looked up in the tables; each look-up goes through one entry of them.
const LOOK_UPS_MAX: usize = 256;
/// Most words that one scan looks at.
const SCAN_WORDS_MAX: usize = 1024;
/// Registers of x86_64 in unwind tables (System V ABI, figure 3.36): the place of each in [`REGISTERS`]; the last one is the return address.
const TABLE: [usize; 17] = [13, 12, 14, 11, 9, 8, 10, RSP, 0, 1, 2, 3, 4, 5, 6, 7, RIP];
/// The frame pointer's place in [`REGISTERS`].
const RBP: usize = 10;
/// What the callee must keep (System V ABI): the only registers that an unwound frame still has.
const KEPT: [usize; 6] = [RBP, 11, 4, 5, 6, 7];
const WORD: u64 = 8;

/// How a frame was found: each one is less sure than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The instruction pointer.
    Instruction,
    /// By the tables.
    Table,
    /// By frame pointers.
    FramePointer,
    /// An address of code that lay on the stack.
    Scan,
}

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where it is, or where it will return to.
    pub address: u64,
    /// How it was found.
    pub how: How,
}

impl Frame {
    /// An address in the instruction itself: a return address is behind the call, perhaps in the next function.
    #[must_use]
    pub fn instruction(&self) -> u64 {
        if self.how == How::Instruction { self.address } else { self.address.saturating_sub(1) }
    }
}

/// The files that code is mapped from, as a way to read them.
pub trait Files {
    /// What is known of a mapping's file; none when it cannot be had.
    fn image(&self, mapping: &Mapping<'_>) -> Option<Image>;
}

/// What a wreck's addresses mean.
pub struct Modules<'a> {
    code: Vec<Mapping<'a>>,
    images: HashMap<(&'a str, u64), Option<Image>>,
    /// What the tables say at an address; recursion asks often.
    rows: HashMap<u64, Option<Row>>,
}

impl<'a> Modules<'a> {
    /// Of these maps.
    #[must_use]
    pub fn new(maps: &'a str) -> Modules<'a> {
        let code = mappings(maps).into_iter().filter(Mapping::is_code).collect();
        Modules { code, images: HashMap::new(), rows: HashMap::new() }
    }

    /// The mapping of code that an address is in.
    #[must_use]
    pub fn mapping(&self, address: u64) -> Option<Mapping<'a>> {
        self.code.iter().find(|mapping| mapping.holds(address)).copied()
    }

    /// Its file, and the address in it.
    pub fn image(&mut self, address: u64, files: &dyn Files) -> Option<(&Image, u64)> {
        let mapping = self.mapping(address)?;
        let known = self.images.entry((mapping.path, mapping.inode));
        let image = known.or_insert_with(|| files.image(&mapping)).as_ref()?;
        let address = image.address(mapping.file_offset(address))?;
        Some((image, address))
    }

    fn row(&mut self, instruction: u64, files: &dyn Files) -> Option<Row> {
        if let Some(known) = self.rows.get(&instruction) {
            return known.clone();
        }
        if self.rows.len() >= LOOK_UPS_MAX {
            return None;
        }
        let row =
            self.image(instruction, files).and_then(|(image, address)| image.eh_frame.as_ref()?.row(address));
        self.rows.insert(instruction, row.clone());
        row
    }
}

/// The state of one frame: those registers that are known.
#[derive(Clone, Copy)]
struct Cursor {
    registers: [Option<u64>; 17],
}

impl Cursor {
    fn get(&self, table: Register) -> Option<u64> {
        *self.registers.get(*TABLE.get(usize::from(table.0))?)?
    }
}

/// The frames of a wreck, innermost first.
pub fn unwind(wreck: &Wreck, modules: &mut Modules<'_>, files: &dyn Files) -> Vec<Frame> {
    let stack = Stack { from: wreck.stack_from, bytes: &wreck.stack };
    let mut cursor = Cursor { registers: wreck.registers.map(Some) };
    let mut how = How::Instruction;
    let mut frames = Vec::new();
    while let (Some(address), true) = (cursor.registers[RIP], frames.len() < FRAMES_MAX) {
        if address == 0 && how != How::Instruction {
            break;
        }
        let frame = Frame { address, how };
        frames.push(frame);
        let Some((caller, found)) = caller(&cursor, frame, &stack, modules, files) else { break };
        // Whoever is further out stands higher: without this a forged stack could go round in circles.
        if caller.registers[RSP] <= cursor.registers[RSP] {
            break;
        }
        (cursor, how) = (caller, found);
    }
    frames
}

fn caller(
    cursor: &Cursor,
    frame: Frame,
    stack: &Stack<'_>,
    modules: &mut Modules<'_>,
    files: &dyn Files,
) -> Option<(Cursor, How)> {
    let pointer = cursor.registers[RSP]?;
    if modules.mapping(frame.instruction()).is_none() {
        // It jumped to where no code is. A call left the way back on top of the stack.
        let back = stack.word(pointer).filter(|back| modules.mapping(*back).is_some());
        return match back {
            Some(back) if frame.how == How::Instruction => {
                Some((with(cursor, back, pointer.wrapping_add(WORD)), How::Table))
            }
            _ => scan(cursor, pointer, stack, modules),
        };
    }
    match by_table(cursor, frame, stack, modules, files) {
        Tables::Caller(caller) => return Some((*caller, How::Table)),
        Tables::Outermost => return None,
        Tables::Silent => {}
    }
    // A function that calls nobody makes no frame: then the way back is on top of the stack, and the frame pointer is its caller's.
    if let Some(back) = stack.word(pointer).filter(|back| modules.mapping(*back).is_some())
        && frame.how == How::Instruction
    {
        return Some((with(cursor, back, pointer.wrapping_add(WORD)), How::Scan));
    }
    if let Some(base) = cursor.registers[RBP].filter(|base| *base >= pointer && base % WORD == 0)
        && let (Some(outer), Some(back)) = (stack.word(base), stack.word(base.wrapping_add(WORD)))
        && modules.mapping(back).is_some()
    {
        let mut caller = with(cursor, back, base.wrapping_add(2 * WORD));
        caller.registers[RBP] = Some(outer);
        return Some((caller, How::FramePointer));
    }
    scan(cursor, pointer, stack, modules)
}

fn with(cursor: &Cursor, instruction: u64, pointer: u64) -> Cursor {
    let mut caller = *cursor;
    (caller.registers[RIP], caller.registers[RSP]) = (Some(instruction), Some(pointer));
    caller
}

/// The next word on the stack that could be a return address. What else the registers held is not known any more.
fn scan(cursor: &Cursor, pointer: u64, stack: &Stack<'_>, modules: &Modules<'_>) -> Option<(Cursor, How)> {
    let first = pointer.checked_next_multiple_of(WORD)?;
    let places = (0..SCAN_WORDS_MAX as u64).map_while(|word| first.checked_add(word * WORD));
    let mut words = places.map_while(|place| Some((place, stack.word(place)?)));
    let (place, back) = words.find(|(_, word)| modules.mapping(*word).is_some())?;
    let mut caller = with(cursor, back, place.wrapping_add(WORD));
    KEPT.iter().for_each(|register| caller.registers[*register] = None);
    Some((caller, How::Scan))
}

enum Tables {
    Caller(Box<Cursor>),
    /// The tables say that nobody called it.
    Outermost,
    /// They say nothing, or something that is not understood.
    Silent,
}

fn by_table(
    cursor: &Cursor,
    frame: Frame,
    stack: &Stack<'_>,
    modules: &mut Modules<'_>,
    files: &dyn Files,
) -> Tables {
    let Some(row) = modules.row(frame.instruction(), files) else { return Tables::Silent };
    let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return Tables::Silent };
    let Some(cfa) = cursor.get(*register).map(|base| base.wrapping_add_signed(*offset)) else {
        return Tables::Silent;
    };
    let mut caller = Cursor { registers: [None; 17] };
    caller.registers[RSP] = Some(cfa);
    for (number, place) in TABLE.iter().enumerate() {
        let register = Register(u16::try_from(number).expect("seventeen"));
        let value = match row.register(register) {
            Some(RegisterRule::Offset(offset)) => stack.word(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::ValOffset(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(RegisterRule::Register(other)) => cursor.get(other),
            Some(RegisterRule::SameValue) => cursor.registers[*place],
            Some(RegisterRule::Undefined) if *place == RIP => return Tables::Outermost,
            // Unsaid: kept by the callee, or lost.
            None if KEPT.contains(place) => cursor.registers[*place],
            _ => None,
        };
        if *place != RSP {
            caller.registers[*place] = value;
        }
    }
    if caller.registers[RIP].is_some() { Tables::Caller(Box::new(caller)) } else { Tables::Silent }
}

/// A copy of a stack.
struct Stack<'a> {
    from: u64,
    bytes: &'a [u8],
}

impl Stack<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.from)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

const _: () = assert!(REGISTERS.len() == 17);

#[cfg(test)]
mod tests {
    use super::*;

    struct NoFiles;
    impl Files for NoFiles {
        fn image(&self, _: &Mapping<'_>) -> Option<Image> {
            None
        }
    }

    const MAPS: &str =
        "1000-2000 r-xp 00000000 00:01 7 /memfd:plugin (deleted)\n8000-9000 rw-p 00000000 00:00 0 [stack]\n";

    fn wreck(rip: u64, rbp: u64, words: &[u64]) -> Wreck {
        let mut registers = [0; 17];
        (registers[RIP], registers[RBP], registers[RSP]) = (rip, rbp, 0x8000);
        let stack = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Wreck {
            signal: 11,
            code: 1,
            address: Some(0),
            registers,
            thread_id: 1,
            thread: None,
            stack_from: 0x8000,
            stack,
            maps: MAPS.into(),
        }
    }

    fn frames(wreck: &Wreck) -> Vec<(u64, How)> {
        let frames = unwind(wreck, &mut Modules::new(&wreck.maps), &NoFiles);
        frames.iter().map(|frame| (frame.address, frame.how)).collect()
    }

    #[test]
    fn without_tables_frame_pointers_lead_and_then_the_stack_is_searched() {
        let all = frames(&wreck(0x1100, 0x8010, &[1, 2, 0x9999, 0x1200, 3, 0x1300]));
        assert_eq!(all, [(0x1100, How::Instruction), (0x1200, How::FramePointer), (0x1300, How::Scan)]);
        // In a function without a frame.
        let all = frames(&wreck(0x1100, 0x8010, &[0x1400, 2, 0x9999, 0x1200]));
        assert_eq!(all, [(0x1100, How::Instruction), (0x1400, How::Scan), (0x1200, How::FramePointer)]);
    }

    #[test]
    fn a_call_to_nowhere_came_from_what_is_on_top_of_the_stack() {
        let all = frames(&wreck(0, 0, &[0x1200, 5]));
        assert_eq!(all, [(0, How::Instruction), (0x1200, How::Table)]);
    }

    #[test]
    fn a_forged_stack_ends_somewhere() {
        // Frame pointers in a circle, and a stack full of return addresses.
        let circle = frames(&wreck(0x1100, 0x8000, &[0x8000, 0x1200, 0x8000, 0x1200]));
        assert!(circle.len() <= 3, "{circle:?}");
        let many = frames(&wreck(0x1100, 7, &[0x1234; 2 * FRAMES_MAX]));
        assert_eq!(many.len(), FRAMES_MAX);
        let far = Wreck { registers: [u64::MAX; 17], ..wreck(0, 0, &[]) };
        assert_eq!(frames(&far).len(), 1);
    }
}
