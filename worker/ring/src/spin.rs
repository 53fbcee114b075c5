//! How long to look before sleeping. Pure.
//!
//! Waking a sleeper costs a system call here and tens of microseconds there; looking costs the processor. So: look for about as long as a wake-up takes, if the other side can be
//! running at all, and look less when it is in vain.
//!
//! Both say where they run, and on the same processor nobody looks; on a machine with one processor that is always so. How many processors a side may use itself says nothing: one that is
//! pinned to its own looks for one that is pinned to another.

/// Looks before the first sleep and after each quick wake-up; some 50 µs where one takes 28 ns.
const LOOKS_MAX: u32 = 2000;
/// It never looks less than that while the other side may be running: an answer to something small takes less.
const LOOKS_MIN: u32 = 32;

/// Learns from what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spin {
    looks: u32,
}

impl Default for Spin {
    fn default() -> Spin {
        Spin { looks: LOOKS_MAX }
    }
}

impl Spin {
    /// How often to look now, on processor `cpu`, when the other side was last seen on `peer`.
    pub fn looks(&self, cpu: u32, peer: u32) -> u32 {
        if cpu == peer { 0 } else { self.looks }
    }

    /// Something came while looking.
    pub fn came(&mut self) {
        self.looks = (self.looks * 2).min(LOOKS_MAX);
    }

    /// Nothing came while looking.
    pub fn missed(&mut self) {
        self.looks = (self.looks / 2).max(LOOKS_MIN);
    }

    /// After a sleep that was short: it would have come while looking, had that not become so little. Without this the budget falls below what an answer takes, and sticks there.
    pub fn woken_soon(&mut self) {
        self.looks = LOOKS_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_both_ways_and_does_not_stick() {
        let mut spin = Spin::default();
        assert_eq!(spin.looks(0, 1), LOOKS_MAX);
        (0..20).for_each(|_| spin.missed());
        assert_eq!(spin.looks(0, 1), LOOKS_MIN);
        spin.came();
        assert_eq!(spin.looks(0, 1), 2 * LOOKS_MIN);
        spin.woken_soon();
        assert_eq!(spin.looks(0, 1), LOOKS_MAX);
    }

    #[test]
    fn who_shares_a_processor_does_not_look() {
        assert_eq!(Spin::default().looks(1, 1), 0);
    }
}
