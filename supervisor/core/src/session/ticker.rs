//! A session's clock: tick k is due at `open + k × period`, whenever it is played.

/// The logical clock of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticker {
    opened_ns: u64,
    period_ns: u64,
    next: u64,
}

/// What the clock wants at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time.
    NotBefore(u64),
    /// One tick, with this time.
    Tick(u64),
    /// Too many are late: leave out this many, then go on.
    Skip(u64),
}

impl Ticker {
    /// A clock that starts at `opened_ns`. A period of 0 is no clock.
    pub fn new(opened_ns: u64, period_ns: u64) -> Option<Ticker> {
        (period_ns > 0).then_some(Ticker { opened_ns, period_ns, next: 1 })
    }

    /// The time between two ticks.
    pub fn period_ns(&self) -> u64 {
        self.period_ns
    }

    /// What is due at `wall_ns`, when at most `catch_up` late ticks are played.
    pub fn due(&self, wall_ns: u64, catch_up: u64) -> Due {
        let at = self.opened_ns.saturating_add(self.next.saturating_mul(self.period_ns));
        if wall_ns < at {
            return Due::NotBefore(at);
        }
        let late = (wall_ns - at) / self.period_ns;
        if late > catch_up { Due::Skip(late) } else { Due::Tick(at) }
    }

    /// `ticks` ticks were played or left out.
    pub fn advance(&mut self, ticks: u64) {
        self.next += ticks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_their_own_time_and_are_skipped_beyond_the_bound() {
        assert_eq!(Ticker::new(0, 0), None);
        let mut ticker = Ticker::new(1_000, 10).unwrap();
        assert_eq!(ticker.due(1_009, 3), Due::NotBefore(1_010));
        assert_eq!(ticker.due(1_010, 3), Due::Tick(1_010));
        assert_eq!(ticker.due(1_045, 3), Due::Tick(1_010));
        ticker.advance(1);
        assert_eq!(ticker.due(1_045, 3), Due::Tick(1_020));
        assert_eq!(ticker.due(2_020, 3), Due::Skip(100));
        ticker.advance(100);
        assert_eq!(ticker.due(2_020, 3), Due::Tick(2_020));
    }
}
