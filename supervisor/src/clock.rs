//! What time it is, for everything that asks: one monotonic clock from the supervisor's start, and the wall clock beside it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use croupier_core::ids::Now;

/// The longest span that anybody can ask for: a century, in nanoseconds. Added to any time it is still a time.
pub const SPAN_NS_MAX: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// Milliseconds as nanoseconds, at most [`SPAN_NS_MAX`].
pub fn ms_to_ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000).min(SPAN_NS_MAX)
}

/// Counts from when it was made. Copies agree with each other.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at 0.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Now, on both clocks.
    pub fn now(&self) -> Now {
        Now { mono_ns: self.mono_ns(), wall_ns: wall_ns() }
    }

    /// Nanoseconds since the start.
    pub fn mono_ns(&self) -> u64 {
        saturating_ns(self.start.elapsed())
    }

    /// The instant at which [`Clock::mono_ns`] is this.
    pub fn instant(&self, mono_ns: u64) -> Instant {
        let far = Duration::from_secs(365 * 24 * 3600);
        self.start + Duration::from_nanos(mono_ns).min(self.start.elapsed() + far)
    }
}

/// Both clocks for somebody who asks at every turn: the wall clock itself is read once in [`Pair::FRESH_NS`], and goes with the other one until then.
/// Reading it costs a good part of what a turn does.
#[derive(Debug, Default)]
pub struct Pair {
    /// Wall clock minus monotonic clock, in nanoseconds, modulo 2⁶⁴; and when that was. None before the first time.
    ahead: Option<(u64, u64)>,
}

impl Pair {
    /// How old the difference of the clocks may be: a step of the wall clock is seen that much later.
    pub const FRESH_NS: u64 = 1_000_000;

    /// Now, on both clocks. When the wall clock is read anew it may be behind what was said before, by less than that: whoever stamps with it takes the later one.
    pub fn now(&mut self, clock: &Clock) -> Now {
        self.at(clock.mono_ns(), wall_ns)
    }

    fn at(&mut self, mono_ns: u64, wall_ns: impl FnOnce() -> u64) -> Now {
        let ahead_ns = match self.ahead {
            Some((ahead_ns, read_mono_ns)) if mono_ns.saturating_sub(read_mono_ns) < Pair::FRESH_NS => {
                ahead_ns
            }
            _ => {
                let ahead_ns = wall_ns().wrapping_sub(mono_ns);
                self.ahead = Some((ahead_ns, mono_ns));
                ahead_ns
            }
        };
        Now { mono_ns, wall_ns: mono_ns.wrapping_add(ahead_ns) }
    }
}

/// Nanoseconds since the Unix epoch; 0 before it.
pub fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, saturating_ns)
}

fn saturating_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_goes_with_the_other_one_and_is_read_again_when_that_is_old() {
        let mut pair = Pair::default();
        let mut now = |mono_ns, wall_ns| pair.at(mono_ns, || wall_ns).wall_ns;
        assert_eq!(now(5, 1000), 1000);
        assert_eq!(now(7, 9_999), 1002, "as it was read before");
        assert_eq!(now(5 + Pair::FRESH_NS, 400), 400, "it was put back meanwhile");
        assert_eq!(now(6 + Pair::FRESH_NS, 9_999), 401);
    }

    #[test]
    fn no_span_overflows_a_time() {
        assert_eq!(ms_to_ns(3), 3_000_000);
        assert_eq!(ms_to_ns(u64::MAX), SPAN_NS_MAX);
        assert!(wall_ns().checked_add(ms_to_ns(u64::MAX)).is_some());
    }
}
