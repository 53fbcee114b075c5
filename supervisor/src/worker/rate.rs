//! How much of something may come in the long run: so much per second, saved up for some seconds.
//!
//! Pure: the clock and the counts are arguments.

use std::time::Duration;

/// For how long what does not come is saved up, in seconds.
pub const BURST_S: u64 = 10;

/// The part of what is saved up that may go before the clock is asked.
const UNASKED: f64 = 1.0 / 16.0;

/// Whether it is within its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It is.
    Within,
    /// It is over it.
    Over,
}

/// One thing's rate, and what is left of it.
#[derive(Debug)]
pub struct Rate {
    per_s: u64,
    /// Most that can be saved.
    most: f64,
    left: f64,
    /// When that was left.
    at: Duration,
}

impl Rate {
    /// So much per second. What may come at once is [`BURST_S`] seconds' worth, and at least `at_once`.
    pub fn new(per_s: u64, at_once: u64) -> Rate {
        let most = per_s.saturating_mul(BURST_S).max(at_once) as f64;
        Rate { per_s, most, left: most, at: Duration::ZERO }
    }

    /// So much comes, at this time of any clock that does not go back. The clock is asked only when more than a small part of what is saved up is gone; so much
    /// more may come at once.
    pub fn spend(&mut self, count: u64, now: impl FnOnce() -> Duration) -> Spent {
        let count = count as f64;
        if self.left - count < self.most * (1.0 - UNASKED) {
            let now = now();
            let earned = now.saturating_sub(self.at).as_secs_f64() * self.per_s as f64;
            self.left = (self.left + earned).min(self.most);
            self.at = now;
        }
        self.left -= count;
        if self.left < 0.0 { Spent::Over } else { Spent::Within }
    }

    /// How much per second.
    pub fn per_s(&self) -> u64 {
        self.per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_saved_up_for_and_a_rate_is_not_exceeded_for_long() {
        let s = Duration::from_secs_f64;
        let mut rate = Rate::new(100, 256);
        assert_eq!(rate.spend(1000, || s(0.0)), Spent::Within, "all that is saved up at the start");
        assert_eq!(rate.spend(0, || s(0.0)), Spent::Within);
        assert_eq!(rate.spend(50, || s(0.5)), Spent::Within, "what half a second gives");
        assert_eq!(rate.spend(51, || s(1.0)), Spent::Over);
        let mut rate = Rate::new(100, 256);
        for second in 0..1000 {
            assert_eq!(rate.spend(100, || s(f64::from(second))), Spent::Within, "for ever");
        }
        assert_eq!(rate.spend(1000, || s(1e6)), Spent::Within);
        assert_eq!(rate.spend(1, || s(1e6)), Spent::Over, "no more than ten seconds' worth is saved");
    }

    #[test]
    fn the_clock_is_not_asked_for_every_little_thing() {
        let mut rate = Rate::new(100, 256);
        let mut asked = 0;
        for turn in 0..1000_u32 {
            let _ = rate.spend(1, || {
                asked += 1;
                Duration::from_millis(turn.into()) * 100
            });
        }
        assert!((10..30).contains(&asked), "{asked} times");
    }

    #[test]
    fn what_may_come_at_once_is_never_too_much_alone() {
        let mut rate = Rate::new(1, 4096);
        assert_eq!(rate.spend(4096, || Duration::ZERO), Spent::Within);
        assert_eq!(rate.spend(1, || Duration::ZERO), Spent::Over);
    }
}
