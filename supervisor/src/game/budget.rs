//! CPU time of one turn, watched from outside: the worker's CPU clock is compared with the turns that it has answered, every [`TICK`].
//!
//! A turn's time is counted from the tick after the answer before it, so a turn may use up to one tick more than its budget, and on a busy machine as much as the
//! watching task is late; never less. Pure: clock and counts are arguments.

use std::time::Duration;

/// How often a worker is looked at.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// What a worker has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Turns answered so far.
    pub(super) answered: u64,
    /// Whether a turn is what it works on.
    pub(super) plays: bool,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Spent,
}

/// One worker's budget.
#[derive(Debug)]
pub(super) struct CpuBudget {
    per_turn: Duration,
    /// The CPU clock when the running turn was first seen, and how many were answered then.
    since: Option<(Duration, u64)>,
}

impl CpuBudget {
    pub(super) fn new(per_turn: Duration) -> CpuBudget {
        CpuBudget { per_turn, since: None }
    }

    /// A look at the worker. `clock` is asked for its CPU time only while it plays.
    pub(super) fn tick(&mut self, work: Work, clock: impl FnOnce() -> Option<Duration>) -> Verdict {
        if !work.plays {
            self.since = None;
            return Verdict::Fine;
        }
        let Some(now) = clock() else { return Verdict::Fine };
        match self.since {
            Some((began, answered)) if answered == work.answered => {
                if now.saturating_sub(began) > self.per_turn { Verdict::Spent } else { Verdict::Fine }
            }
            _ => {
                self.since = Some((now, work.answered));
                Verdict::Fine
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_turns_own_time_counts() {
        let ms = Duration::from_millis;
        let mut budget = CpuBudget::new(ms(100));
        let mut tick = |answered, plays, cpu| budget.tick(Work { answered, plays }, || Some(ms(cpu)));
        assert_eq!(tick(0, true, 1000), Verdict::Fine, "whatever was used before");
        assert_eq!(tick(0, true, 1100), Verdict::Fine, "all of it, not more");
        assert_eq!(tick(1, true, 1150), Verdict::Fine, "another turn");
        assert_eq!(tick(1, true, 1249), Verdict::Fine);
        assert_eq!(tick(1, true, 1251), Verdict::Spent);
        assert_eq!(tick(1, false, 5000), Verdict::Fine, "it does not play");
        assert_eq!(tick(1, true, 9000), Verdict::Fine, "counted anew");
    }
}
