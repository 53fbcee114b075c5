//! What the kernel's log says of a fault: address, instruction pointer, stack pointer. From outside, so a plugin cannot forge it; but
//! not everybody may read it, it is limited in rate, and inside containers its process ids are others than ours. So: when it is there, good.
//!
//! A dead process's registers are gone; `/proc` shows none of a zombie's.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::report::Fault;
use crate::jail::maps::mappings;

/// Records that are looked at.
const RECORDS_MAX: usize = 65_536;
/// Longest record.
const RECORD_BYTES_MAX: usize = 8192;

/// The newest line about a fault of this thread, with where in these maps it was; none when there is none, or it cannot be read.
pub fn fault_of(thread: u32, maps: Option<&str>) -> Option<Fault> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut log = std::fs::OpenOptions::new().read(true).custom_flags(nonblock).open("/dev/kmsg").ok()?;
    let mut record = vec![0; RECORD_BYTES_MAX];
    let mut newest = None;
    for _ in 0..RECORDS_MAX {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(read) => {
                let text = String::from_utf8_lossy(&record[..read]);
                newest = parse(&text, thread).or(newest);
            }
            // A record was overwritten while we read: the next one is there.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(_) => break,
        }
    }
    newest.map(|fault| placed(fault, maps))
}

/// `6,1,2,-;faulty[12]: segfault at 0 ip 00007f… sp 00007f… error 6 in …` or `…;traps: faulty[12] trap invalid opcode ip:7f… sp:7f… error:0 …`
fn parse(record: &str, thread: u32) -> Option<Fault> {
    let (_, message) = record.split_once(';')?;
    let line = message.lines().next()?;
    line.contains(&format!("[{thread}]")).then_some(())?;
    let words: Vec<&str> = line.split([' ', ':']).filter(|word| !word.is_empty()).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        let value = words.get(at + 1)?;
        u64::from_str_radix(value, 16).ok().map(|number| format!("{number:#x}"))
    };
    Some(Fault {
        address: after("at"),
        ip: after("ip")?,
        sp: after("sp")?,
        module: None,
        offset: None,
        line: line.chars().take(300).collect(),
    })
}

/// By the kernel's own word, or by the maps.
fn placed(mut fault: Fault, maps: Option<&str>) -> Fault {
    let ip = fault.ip.strip_prefix("0x").and_then(|text| u64::from_str_radix(text, 16).ok());
    let by_maps = || ip.zip(maps).and_then(|(ip, maps)| place(maps, ip));
    if let Some((module, offset)) = by_maps().or_else(|| told(&fault.line)) {
        (fault.module, fault.offset) = (Some(module), Some(format!("{offset:#x}")));
    }
    fault
}

/// `… in memfd:plugin[79597,7f60e4569000+a0000] …`: the offset in the file, as newer kernels tell it.
fn told(line: &str) -> Option<(String, u64)> {
    let (_, place) = line.rsplit_once(" in ")?;
    let (module, rest) = place.split_once('[')?;
    let (offset, _) = rest.split_once(',')?;
    let module = if module.starts_with("memfd:") { format!("/{module}") } else { module.to_owned() };
    Some((module, u64::from_str_radix(offset, 16).ok()?))
}

/// The file that is mapped at an address, and the offset in it.
fn place(maps: &str, address: u64) -> Option<(String, u64)> {
    let mapping = mappings(maps).into_iter().find(|mapping| mapping.holds(address))?;
    (!mapping.path.is_empty()).then(|| (mapping.file().to_owned(), mapping.file_offset(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read_and_placed() {
        let maps = "7f0000000000-7f0000001000 r--p 00000000 00:01 12 /memfd:plugin (deleted)\n\
                    7f0000001000-7f0000003000 r-xp 00001000 00:01 12 /memfd:plugin (deleted)\n";
        let segfault = "6,812,99,-;faulty[12]: segfault at 10 ip 00007f0000001234 sp 00007ffd00000010 error 6 in x[7f00+2]\n SUB=x\n";
        let fault = placed(parse(segfault, 12).unwrap(), Some(maps));
        assert_eq!((fault.address.as_deref(), fault.ip.as_str()), (Some("0x10"), "0x7f0000001234"));
        assert_eq!(
            (fault.module.as_deref(), fault.offset.as_deref()),
            (Some("/memfd:plugin"), Some("0x1234"))
        );
        assert_eq!(parse(segfault, 1), None);
        let trap = "4,1,2,-;traps: faulty[12] trap invalid opcode ip:7f0000001234 sp:7ffd00000010 error:0 in x[7f00+2]";
        let fault = parse(trap, 12).unwrap();
        assert_eq!((fault.address, fault.sp.as_str()), (None, "0x7ffd00000010"));
        let newer = "6,1,2,-;x[12]: segfault at 0 ip 00007f60e4592597 sp 00007ffc907b1340 error 6 in memfd:plugin[79597,7f60e4569000+a0000] likely on CPU 1";
        let fault = placed(parse(newer, 12).unwrap(), None);
        assert_eq!(
            (fault.module.as_deref(), fault.offset.as_deref()),
            (Some("/memfd:plugin"), Some("0x79597"))
        );
        assert_eq!(parse("6,1,2,-;something[12] else", 12), None);
        assert_eq!(place(maps, 0x10), None);
    }
}
