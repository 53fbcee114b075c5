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
    /// Too many are late: leave some out, then go on.
    Skip {
        /// How many.
        ticks: u64,
        /// The time of the last one that is left out: the next one follows one period later.
        last_ns: u64,
    },
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

    /// What is due at `now_ns` of the session's own time, when at most `catch_up` late ticks are played.
    pub fn due(&self, now_ns: u64, catch_up: u64) -> Due {
        let at = self.opened_ns.saturating_add(self.next.saturating_mul(self.period_ns));
        // Time itself ends at `u64::MAX`: there is no tick then.
        if now_ns < at || at == u64::MAX {
            return Due::NotBefore(at);
        }
        let late = (now_ns - at) / self.period_ns;
        if late <= catch_up {
            return Due::Tick(at);
        }
        Due::Skip { ticks: late, last_ns: at + (late - 1) * self.period_ns }
    }

    /// `ticks` ticks were played or left out.
    pub fn advance(&mut self, ticks: u64) {
        self.next = self.next.saturating_add(ticks);
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
        assert_eq!(ticker.due(2_020, 3), Due::Skip { ticks: 100, last_ns: 2_010 });
        ticker.advance(100);
        assert_eq!(ticker.due(2_020, 3), Due::Tick(2_020));
    }

    #[test]
    fn absurd_periods_never_tick() {
        let mut ticker = Ticker::new(1_000, u64::MAX - 5).unwrap();
        assert_eq!(ticker.due(u64::MAX, 3), Due::NotBefore(u64::MAX));
        ticker.advance(u64::MAX);
        assert_eq!(ticker.due(u64::MAX, 3), Due::NotBefore(u64::MAX));
    }
}
