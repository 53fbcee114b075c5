//! The reading side of one direction.

use crate::control::{Lane, Sleep, Wake};
use crate::spin::Spin;
use crate::{Nonsense, cpu};

/// Copies bytes out of the ring.
#[derive(Debug)]
pub struct Receiver<L> {
    lane: L,
    /// The other direction, for what its reader says of itself.
    other: L,
    /// Ours; the shared one is an older copy.
    tail: u32,
    /// What the shared one says.
    published: u32,
    /// The other side's, as it was last seen to make sense.
    head: u32,
}

/// How a wait came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Something is there.
    Bytes,
    /// Nothing yet: look around, then wait on.
    Nothing,
}

impl<L: Lane> Receiver<L> {
    pub(crate) fn new(lane: L, other: L) -> Receiver<L> {
        Receiver { lane, other, tail: 0, published: 0, head: 0 }
    }

    /// Copies out what is there and fits `into`; 0 bytes when nothing is there. Says what is left to do for the writer.
    ///
    /// The room is given back a quarter of the ring at a time, or by [`Receiver::release`]: the writer's line stays its own.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn recv(&mut self, into: &mut [u8]) -> Result<(usize, Wake), Nonsense> {
        if !self.has_bytes()? {
            return Ok((0, Wake::Done));
        }
        let fits = into.len().min(self.head.wrapping_sub(self.tail) as usize);
        self.lane.read(self.tail, &mut into[..fits]);
        // It came out of a ring, and so is a u32.
        self.tail = self.tail.wrapping_add(fits as u32);
        let wake = if self.tail.wrapping_sub(self.published) >= self.lane.len() / 4 {
            self.release()
        } else {
            Wake::Done
        };
        Ok((fits, wake))
    }

    /// Gives all room back. To be called before anything that may take long.
    pub fn release(&mut self) -> Wake {
        if self.tail == self.published {
            return Wake::Done;
        }
        self.published = self.tail;
        self.lane.control().publish_tail(self.tail)
    }

    /// Whether something is there.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn has_bytes(&mut self) -> Result<bool, Nonsense> {
        Ok(self.tail != self.head || self.look()?)
    }

    /// Says that we want to be woken when something comes. False when something is there; then it is not said. Gives all room back first, which is
    /// what the [`Wake`] is about.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn arm(&mut self, how: Sleep) -> Result<(bool, Wake), Nonsense> {
        let wake = self.release();
        self.lane.control().reader_sleeps(how);
        if self.has_bytes()? {
            self.disarm();
            return Ok((false, wake));
        }
        Ok((true, wake))
    }

    /// We look ourselves: nobody needs to wake us.
    pub fn disarm(&self) {
        self.lane.control().reader_is_awake();
    }

    /// Whether the writer has said that nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.lane.control().is_gone()
    }

    /// Looks for a while, as `spin` says and as where the other side runs (by its own word) makes sense; whether something came.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn spin(&mut self, spin: &mut Spin) -> Result<Waited, Nonsense> {
        let looks = self.looks(spin);
        for _ in 0..looks {
            if self.has_bytes()? {
                spin.came();
                return Ok(Waited::Bytes);
            }
            std::hint::spin_loop();
        }
        if looks > 0 {
            spin.missed();
        }
        Ok(Waited::Nothing)
    }

    /// How often to look now. Tells the other side where we run.
    pub fn looks(&self, spin: &Spin) -> u32 {
        let cpu = cpu::current();
        self.lane.control().reader_runs_on(cpu);
        spin.looks(cpu, self.other.control().reader_cpu())
    }

    /// Waits in the kernel until something is there, or somebody is to look around. The [`Wake`] is as of [`Receiver::arm`].
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn wait(&mut self) -> Result<(Waited, Wake), Nonsense> {
        let (nothing, wake) = self.arm(Sleep::InKernel)?;
        // The bell first: whoever waits for room may be the one who is to send. And who has gone may have gone just before we said that we sleep.
        if nothing && wake == Wake::Done && !self.is_over() {
            self.lane.control().wait_for_sender();
        }
        self.disarm();
        let waited = if self.has_bytes()? { Waited::Bytes } else { Waited::Nothing };
        Ok((waited, wake))
    }

    /// Takes over the other side's index, if it makes sense: not before where it was, and no further than the ring is long. Says whether there is something.
    fn look(&mut self) -> Result<bool, Nonsense> {
        let head = self.lane.control().head();
        let (there, known) = (head.wrapping_sub(self.tail), self.head.wrapping_sub(self.tail));
        if there > self.lane.len() || there < known {
            return Err(Nonsense { index: head, own: self.tail, bytes: self.lane.len() });
        }
        self.head = head;
        Ok(there > 0)
    }
}
