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
    fn no_span_overflows_a_time() {
        assert_eq!(ms_to_ns(3), 3_000_000);
        assert_eq!(ms_to_ns(u64::MAX), SPAN_NS_MAX);
        assert!(wall_ns().checked_add(ms_to_ns(u64::MAX)).is_some());
    }
}
