//! The shared memory: made and sealed by the supervisor, mapped by both. The only unsafe code of this crate.
#![allow(unsafe_code)] // mapping memory, and copying to and from what another process may be writing

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::control::{Bytes, Control, Lane};
use crate::{Receiver, Sender, Spin};

/// Bytes of each direction, unless somebody says otherwise. Pages that nothing was written to cost nothing.
pub const RING_BYTES_DEFAULT: u32 = 256 << 10;
/// Fewest bytes of each direction: a page.
pub const RING_BYTES_MIN: u32 = 4 << 10;
/// Most bytes of each direction.
pub const RING_BYTES_MAX: u32 = 1 << 30;
/// Bytes before those of the directions: two [`Control`]s.
const WORDS_BYTES: usize = 4 << 10;
const _: () = assert!(2 * size_of::<Control>() <= WORDS_BYTES && align_of::<Control>() <= 128);

/// Both ends of the directions as one process uses them.
#[derive(Debug)]
pub struct Ring {
    /// To the other process.
    pub sender: Sender<Shared>,
    /// From the other process.
    pub receiver: Receiver<Shared>,
    /// How long to look before sleeping.
    pub spin: Spin,
}

/// Numbers of the directions.
const TO_WORKER: usize = 0;
const FROM_WORKER: usize = 1;

impl Ring {
    fn of(lane: &dyn Fn(usize) -> Shared, out: usize, back: usize) -> Ring {
        Ring {
            sender: Sender::new(lane(out)),
            receiver: Receiver::new(lane(back), lane(out)),
            spin: Spin::default(),
        }
    }
}

/// Why memory from elsewhere is no ring.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It could still become shorter.
    #[error("the ring's memory is not sealed against shrinking and growing")]
    Unsealed,
    /// It is not as long as was said.
    #[error("the ring's memory is {found} bytes long, and should be {wanted}")]
    Length {
        /// What it is.
        found: u64,
        /// What it should be.
        wanted: u64,
    },
    /// No power of two within bounds.
    #[error("a ring cannot be {0} bytes long")]
    Size(u32),
    /// The kernel.
    #[error("the ring's memory: {0}")]
    Kernel(#[from] io::Error),
}

/// Makes a ring of `bytes` each way, and gives what the other process [adopts](adopt) beside our ends.
///
/// # Errors
/// When there is no memory, or `bytes` is no size for a ring.
pub fn create(bytes: u32) -> Result<(OwnedFd, Ring), AdoptError> {
    check_size(bytes)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("croupier-ring", flags | MemfdFlags::NOEXEC_SEAL)
        // Before Linux 6.3.
        .or_else(|_| rustix::fs::memfd_create("croupier-ring", flags))
        .map_err(io::Error::from)?;
    rustix::fs::ftruncate(&fd, total(bytes)).map_err(io::Error::from)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        .map_err(io::Error::from)?;
    let lane = map(fd.as_fd(), bytes)?;
    Ok((fd, Ring::of(&lane, TO_WORKER, FROM_WORKER)))
}

/// The worker's ends of a ring that the supervisor [made](create). The descriptor is not needed any more afterwards.
///
/// # Errors
/// [`AdoptError`].
pub fn adopt(fd: &OwnedFd, bytes: u32) -> Result<Ring, AdoptError> {
    check_size(bytes)?;
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(io::Error::from)?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        return Err(AdoptError::Unsealed);
    }
    let found = u64::try_from(rustix::fs::fstat(fd).map_err(io::Error::from)?.st_size).unwrap_or(0);
    if found != total(bytes) {
        return Err(AdoptError::Length { found, wanted: total(bytes) });
    }
    let lane = map(fd.as_fd(), bytes)?;
    Ok(Ring::of(&lane, FROM_WORKER, TO_WORKER))
}

fn check_size(bytes: u32) -> Result<(), AdoptError> {
    if bytes.is_power_of_two() && (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes) {
        Ok(())
    } else {
        Err(AdoptError::Size(bytes))
    }
}

/// Length of the whole memory.
fn total(bytes: u32) -> u64 {
    WORDS_BYTES as u64 + 2 * u64::from(bytes)
}

fn map(fd: std::os::fd::BorrowedFd<'_>, bytes: u32) -> io::Result<impl Fn(usize) -> Shared + use<>> {
    let length = usize::try_from(total(bytes)).map_err(io::Error::other)?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing that exists. The file is as long as the mapping and sealed against shrinking
    // (`create` has sealed it, `adopt` has checked it), so no access to it can fault.
    let base =
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, fd, 0) }?;
    let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at nowhere"))?;
    let mapping = Arc::new(Mapping { base, length });
    Ok(move |direction| Shared { mapping: mapping.clone(), direction, bytes })
}

#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: it is an address range that stays mapped until the drop; what threads do there is up to `Shared`, which goes through atomics and copies.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` has mapped exactly this, and every `Shared` that points into it holds the Arc around us.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// One direction of a mapped ring.
#[derive(Debug)]
pub struct Shared {
    mapping: Arc<Mapping>,
    /// [`TO_WORKER`] or [`FROM_WORKER`].
    direction: usize,
    bytes: u32,
}

impl Shared {
    /// The part of the ring from index `at` on up to its end, and how long it is.
    fn from(&self, at: u32) -> (*mut u8, usize) {
        let offset = (at & (self.bytes - 1)) as usize;
        let start = WORDS_BYTES + self.direction * self.bytes as usize;
        // SAFETY: `map` has mapped WORDS_BYTES and twice `bytes`; `direction` is 0 or 1 and `offset` is below `bytes`, a power of two.
        let pointer = unsafe { self.mapping.base.as_ptr().add(start + offset) };
        (pointer, self.bytes as usize - offset)
    }

    fn start(&self) -> *mut u8 {
        self.from(0).0
    }
}

impl Bytes for Shared {
    fn len(&self) -> u32 {
        self.bytes
    }

    fn write(&self, at: u32, from: &[u8]) {
        assert!(from.len() <= self.bytes as usize, "more than a whole ring");
        let (pointer, up_to_end) = self.from(at);
        let (first, rest) = from.split_at(from.len().min(up_to_end));
        // SAFETY: both parts are within the direction's bytes: `first` ends at its end at the latest, and `rest` is shorter than the ring. The other process may
        // read or write there at the same time; then it reads garbage, and nobody here reads it back. No reference to the bytes is made.
        unsafe {
            pointer.copy_from_nonoverlapping(first.as_ptr(), first.len());
            self.start().copy_from_nonoverlapping(rest.as_ptr(), rest.len());
        }
    }

    fn read(&self, at: u32, into: &mut [u8]) {
        assert!(into.len() <= self.bytes as usize, "more than a whole ring");
        let (pointer, up_to_end) = self.from(at);
        let split = into.len().min(up_to_end);
        let (first, rest) = into.split_at_mut(split);
        // SAFETY: as in `write`. What the other process writes at the same time makes garbage of the copy, and a copy of bytes is all it is: every value of it is valid,
        // and it is looked at when it lies in private memory.
        unsafe {
            pointer.copy_to_nonoverlapping(first.as_mut_ptr(), first.len());
            self.start().copy_to_nonoverlapping(rest.as_mut_ptr(), rest.len());
        }
    }
}

impl Lane for Shared {
    fn control(&self) -> &Control {
        // SAFETY: `map` has mapped WORDS_BYTES at a page's start, which is enough for two Controls and aligned for them (asserted above). A Control is made of atomics alone, for
        // which every value is valid, also when the other process writes them; the mapping lives as long as `self`.
        unsafe { self.mapping.base.cast::<Control>().add(self.direction).as_ref() }
    }
}
