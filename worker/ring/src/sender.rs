//! The writing side of one direction.

use crate::Nonsense;
use crate::control::{Lane, Sleep, Wake};

/// Copies bytes into the ring.
#[derive(Debug)]
pub struct Sender<L> {
    lane: L,
    /// Ours; the shared one is a copy.
    head: u32,
    /// The other side's, as it was last seen to make sense.
    tail: u32,
}

impl<L: Lane> Sender<L> {
    pub(crate) fn new(lane: L) -> Sender<L> {
        Sender { lane, head: 0, tail: 0 }
    }

    /// Copies in as many of `bytes` as there is room for, says how many, and what is left to do for the reader.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(usize, Wake), Nonsense> {
        if (self.room() as usize) < bytes.len() {
            self.look()?;
        }
        let fits = bytes.len().min(self.room() as usize);
        if fits == 0 {
            return Ok((0, Wake::Done));
        }
        self.lane.write(self.head, &bytes[..fits]);
        // It fits a ring, and so a u32.
        self.head = self.head.wrapping_add(fits as u32);
        Ok((fits, self.lane.control().publish_head(self.head)))
    }

    /// Says that we want to be woken when there is room. False when there is some now; then it is not said.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn arm(&mut self, how: Sleep) -> Result<bool, Nonsense> {
        self.lane.control().writer_sleeps(how);
        self.look()?;
        if self.room() == 0 {
            return Ok(true);
        }
        self.lane.control().writer_is_awake();
        Ok(false)
    }

    /// Waits in the kernel until there is room, or somebody is to look around.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn wait(&mut self) -> Result<(), Nonsense> {
        if self.arm(Sleep::InKernel)? {
            self.lane.control().wait_for_receiver();
            self.lane.control().writer_is_awake();
        }
        Ok(())
    }

    /// Says that nothing will come any more.
    pub fn go(&self) {
        self.lane.control().go();
    }

    fn room(&self) -> u32 {
        self.lane.len() - self.head.wrapping_sub(self.tail)
    }

    /// Takes over the other side's index, if it makes sense: between where it was and where we are.
    fn look(&mut self) -> Result<(), Nonsense> {
        let tail = self.lane.control().tail();
        if self.head.wrapping_sub(tail) > self.head.wrapping_sub(self.tail) {
            return Err(Nonsense { index: tail, own: self.head, bytes: self.lane.len() });
        }
        self.tail = tail;
        Ok(())
    }
}
