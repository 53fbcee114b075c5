//! What a worker uses, looked at from outside at a slow pace: memory against its limit, memory that only ever grows, a CPU that it is kept from.
//!
//! ```text
//!  memory:  below ──80 %──▶ high ──95 %──▶ very high          back below a share when it is five percent points less
//!  growth:  the least of each minute, ten times in a row more than of the one before, and no more sessions to explain it
//!  CPU:     throttled for a tenth of ten seconds ──▶ throttled ──for less than a twentieth──▶ not
//! ```
//!
//! Tells changes, not states. Nothing is done about them here: the kernel keeps the limits. Pure: the clock is an argument.

/// Shares of the memory limit that are told, in percent.
const SHARES_PERCENT: [u64; 2] = [80, 95];
/// So many percent points below a share it counts as below again.
const SLACK_PERCENT: u64 = 5;
/// The least of so long is what memory really is: what comes and goes is no growth.
const PERIOD_NS: u64 = 60_000_000_000;
/// Periods with growth in a row that are told.
const PERIODS: u32 = 10;
/// Growth in a period that is none, in bytes; with a limit, a thousandth of it where that is more.
const NOISE_BYTES: u64 = 64 << 10;
/// Throttling is looked at over so long.
const THROTTLE_NS: u64 = 10_000_000_000;
/// Percent of that for which it must be kept from the CPU.
const THROTTLED_PERCENT: u64 = 10;
/// And below which it is not any more.
const FREE_PERCENT: u64 = 5;

/// One look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Resident memory.
    pub rss_bytes: u64,
    /// Microseconds for which its cgroup kept it from the CPU, in all; none without a cgroup that limits it.
    pub throttled_us: Option<u64>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Memory has come over a share of the limit.
    MemoryHigh {
        /// The share, in percent.
        percent: u64,
    },
    /// Memory has grown for ten minutes on end.
    Grows {
        /// By so much.
        bytes: u64,
    },
    /// Its cgroup keeps it from the CPU.
    Throttled {
        /// For so many percent of the time.
        percent: u64,
    },
}

/// What was seen of one worker.
#[derive(Debug, Default)]
pub struct Usage {
    /// How many of [`SHARES_PERCENT`] it is over.
    over: usize,
    period: Option<Period>,
    /// The least of the period before, and the sessions at its end.
    before: Option<(u64, usize)>,
    /// Periods in a row in which it grew, and the least before the first of them.
    growth: (u32, u64),
    /// The percent that were told last.
    throttled: Option<u64>,
    /// When throttling was looked at last, and its total then.
    throttle: Option<(u64, u64)>,
}

/// The minute that goes on.
#[derive(Debug)]
struct Period {
    since_ns: u64,
    least_bytes: u64,
}

impl Usage {
    /// Takes a look in. `limit_bytes` 0 is no limit.
    pub fn look(&mut self, now_ns: u64, limit_bytes: u64, sessions: usize, look: Look) -> Vec<Change> {
        let all = [
            self.memory(limit_bytes, look.rss_bytes),
            self.growth(now_ns, limit_bytes, sessions, look.rss_bytes),
            look.throttled_us.and_then(|total_us| self.throttling(now_ns, total_us)),
        ];
        all.into_iter().flatten().collect()
    }

    fn memory(&mut self, limit_bytes: u64, rss_bytes: u64) -> Option<Change> {
        if limit_bytes == 0 {
            return None;
        }
        let percent = u128::from(rss_bytes) * 100 / u128::from(limit_bytes);
        let over =
            |slack| SHARES_PERCENT.iter().filter(|share| percent >= u128::from(**share - slack)).count();
        let before = self.over;
        // Up by the shares themselves, down by a little less.
        self.over = over(0).max(before.min(over(SLACK_PERCENT)));
        (self.over > before).then(|| Change::MemoryHigh { percent: SHARES_PERCENT[self.over - 1] })
    }

    fn growth(&mut self, now_ns: u64, limit_bytes: u64, sessions: usize, rss_bytes: u64) -> Option<Change> {
        let period = self.period.get_or_insert(Period { since_ns: now_ns, least_bytes: rss_bytes });
        period.least_bytes = period.least_bytes.min(rss_bytes);
        if now_ns.saturating_sub(period.since_ns) < PERIOD_NS {
            return None;
        }
        let least = period.least_bytes;
        *period = Period { since_ns: now_ns, least_bytes: rss_bytes };
        let Some((before, sessions_before)) = self.before.replace((least, sessions)) else {
            self.growth = (0, least);
            return None;
        };
        let noise = NOISE_BYTES.max(limit_bytes / 1000);
        if least < before.saturating_add(noise) || sessions > sessions_before {
            self.growth = (0, least);
            return None;
        }
        self.growth.0 += 1;
        (self.growth.0 == PERIODS).then(|| Change::Grows { bytes: least - self.growth.1 })
    }

    fn throttling(&mut self, now_ns: u64, total_us: u64) -> Option<Change> {
        let (since_ns, before_us) = *self.throttle.get_or_insert((now_ns, total_us));
        let span_ns = now_ns.saturating_sub(since_ns);
        if span_ns < THROTTLE_NS {
            return None;
        }
        self.throttle = Some((now_ns, total_us));
        let percent = total_us.saturating_sub(before_us).saturating_mul(100_000) / span_ns;
        match self.throttled {
            None if percent >= THROTTLED_PERCENT => {
                self.throttled = Some(percent);
                Some(Change::Throttled { percent })
            }
            Some(_) if percent < FREE_PERCENT => {
                self.throttled = None;
                None
            }
            Some(_) => {
                self.throttled = Some(percent);
                None
            }
            None => None,
        }
    }

    /// What an operator should know of it now, in words; nothing when all is well.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(share) = self.over.checked_sub(1).map(|at| SHARES_PERCENT[at]) {
            all.push(format!("uses more than {share} % of its memory limit"));
        }
        let (periods, from) = self.growth;
        if periods >= PERIODS {
            let grown = self.before.map_or(0, |(least, _)| least.saturating_sub(from)) >> 10;
            all.push(format!("has used more memory in each of {periods} minutes, {grown} KiB in all"));
        }
        if let Some(percent) = self.throttled {
            all.push(format!("is kept from the CPU for {percent} % of the time (cpu_percent)"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const MIB: u64 = 1 << 20;

    fn rss(bytes: u64) -> Look {
        Look { rss_bytes: bytes, throttled_us: None }
    }

    #[test]
    fn shares_of_the_limit_are_told_once_and_anew_when_it_was_well_below() {
        let mut usage = Usage::default();
        let mut at = 0;
        let mut look = |percent: u64| {
            at += S;
            usage.look(at, 1000 * MIB, 1, rss(percent * 10 * MIB))
        };
        let high = |percent: u64| vec![Change::MemoryHigh { percent }];
        assert_eq!(look(79), []);
        assert_eq!(look(80), high(80));
        assert_eq!(look(94), []);
        assert_eq!(look(77), []);
        assert_eq!(look(81), [], "it hovers");
        assert_eq!(look(96), high(95));
        assert_eq!(look(74), []);
        assert_eq!(look(99), high(95), "both at once, the higher is told");
        let mut usage = Usage::default();
        assert_eq!(usage.look(S, 0, 1, rss(u64::MAX)), [], "without a limit there are no shares");
        assert_eq!(usage.warnings(), Vec::<String>::new());
    }

    #[test]
    fn what_grows_each_minute_is_told_and_what_comes_and_goes_is_not() {
        let run = |usage: &mut Usage,
                   minutes: u64,
                   rss_at: &dyn Fn(u64) -> u64,
                   sessions_at: &dyn Fn(u64) -> usize| {
            let mut told = Vec::new();
            for second in 0..minutes * 60 + 1 {
                told.extend(usage.look(second * S, 1000 * MIB, sessions_at(second), rss(rss_at(second))));
            }
            told
        };
        let mut leaks = Usage::default();
        let told = run(&mut leaks, 30, &|second| 10 * MIB + second / 60 * 2 * MIB, &|_| 1);
        assert_eq!(told, [Change::Grows { bytes: 20 * MIB }], "once");
        assert!(leaks.warnings()[0].contains("KiB in all"), "{:?}", leaks.warnings());
        let saw = run(&mut Usage::default(), 30, &|second| 10 * MIB + second % 600 * MIB, &|_| 1);
        assert_eq!(saw.iter().filter(|change| matches!(change, Change::Grows { .. })).count(), 0, "{saw:?}");
        let busier =
            run(&mut Usage::default(), 30, &|second| 10 * MIB + second * MIB / 10, &|second| second as usize);
        assert_eq!(busier, [], "there are more sessions each minute");
        let noise = run(&mut Usage::default(), 30, &|second| 10 * MIB + second * 1000, &|_| 1);
        assert_eq!(noise, []);
    }

    #[test]
    fn throttling_is_told_from_a_tenth_of_the_time_on() {
        let mut usage = Usage::default();
        let mut look = |second: u64, total_us| {
            usage.look(second * S, 0, 1, Look { rss_bytes: 0, throttled_us: Some(total_us) })
        };
        assert_eq!(look(0, 5_000_000), [], "what was before is not looked at");
        assert_eq!(look(5, 9_000_000), []);
        assert_eq!(look(10, 5_900_000), [], "nine percent");
        assert_eq!(look(20, 8_900_000), [Change::Throttled { percent: 30 }]);
        assert_eq!(look(30, 9_600_000), [], "less, but it goes on");
        assert_eq!(look(40, 9_700_000), []);
        assert_eq!(look(50, 11_700_000), [Change::Throttled { percent: 20 }], "again");
        assert!(usage.warnings()[0].contains("20 %"));
    }
}
