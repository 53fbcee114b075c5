//! What CPU time a worker may use up. (Effects and bytes per second have a [`Rate`](crate::worker::rate::Rate).)
//!
//! CPU time of one turn is watched from outside: the worker's CPU clock is compared with the turns that it has answered, every [`TICK`].
//!
//! A turn's time is counted from the tick after the answer before it, so a turn may use up to one tick more than its budget, and on a busy machine as much as the
//! watching task is late; never less. CPU time of the worker's whole life is watched by the same look,
//! and ends it only where it has just come on with its work: what does not come on has the other limits, which say whose fault that is. (RLIMIT_CPU knows whole seconds, cannot
//! tell these apart, and pid 1 of a namespace does not hear its warning.)
//!
//! Pure: clock and counts are arguments.

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
    /// Whether it has nothing to do.
    pub(super) idle: bool,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Spent,
    /// Of its whole life.
    Old,
}

/// One worker's budget.
#[derive(Debug)]
pub(super) struct CpuBudget {
    per_turn: Duration,
    /// None for as much as it likes.
    per_life: Option<Duration>,
    /// The CPU clock when the running turn was first seen, and how many were answered then.
    since: Option<(Duration, u64)>,
}

impl CpuBudget {
    pub(super) fn new(per_turn: Duration, per_life: Option<Duration>) -> CpuBudget {
        CpuBudget { per_turn, per_life, since: None }
    }

    /// A look at the worker. `clock` is asked for its CPU time only while it plays, or where its whole life counts.
    pub(super) fn tick(&mut self, work: Work, clock: impl FnOnce() -> Option<Duration>) -> Verdict {
        let comes_on = work.idle || self.since.is_some_and(|(_, answered)| answered != work.answered);
        if !work.plays {
            self.since = None;
        }
        if !work.plays && (self.per_life.is_none() || !comes_on) {
            return Verdict::Fine;
        }
        let Some(now) = clock() else { return Verdict::Fine };
        if comes_on && self.per_life.is_some_and(|most| now >= most) {
            return Verdict::Old;
        }
        if !work.plays {
            return Verdict::Fine;
        }
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
    fn a_whole_life_ends_even_without_a_turn() {
        let ms = Duration::from_millis;
        let idle = Work { answered: 7, plays: false, idle: true };
        let mut budget = CpuBudget::new(ms(100), Some(ms(2000)));
        assert_eq!(budget.tick(idle, || Some(ms(1999))), Verdict::Fine);
        assert_eq!(budget.tick(idle, || Some(ms(2000))), Verdict::Old);
        let mut endless = CpuBudget::new(ms(100), None);
        assert_eq!(endless.tick(idle, || unreachable!("nobody need look")), Verdict::Fine);
    }

    #[test]
    fn a_whole_lifes_end_is_nobodys_fault_so_it_waits_for_an_answer() {
        let ms = Duration::from_millis;
        let busy = |answered| Work { answered, plays: true, idle: false };
        let mut budget = CpuBudget::new(ms(100), Some(ms(2000)));
        assert_eq!(budget.tick(busy(1), || Some(ms(1990))), Verdict::Fine);
        assert_eq!(budget.tick(busy(1), || Some(ms(2050))), Verdict::Fine, "the turn may be why");
        assert_eq!(budget.tick(busy(2), || Some(ms(2060))), Verdict::Old);
        let mut stuck = CpuBudget::new(ms(100), Some(ms(2000)));
        assert_eq!(stuck.tick(busy(1), || Some(ms(1990))), Verdict::Fine);
        assert_eq!(stuck.tick(busy(1), || Some(ms(2091))), Verdict::Spent, "it is why");
        let restores = Work { answered: 1, plays: false, idle: false };
        assert_eq!(stuck.tick(restores, || unreachable!("it has a wall deadline")), Verdict::Fine);
    }

    #[test]
    fn only_one_turns_own_time_counts() {
        let ms = Duration::from_millis;
        let mut budget = CpuBudget::new(ms(100), None);
        let mut tick =
            |answered, plays, cpu| budget.tick(Work { answered, plays, idle: !plays }, || Some(ms(cpu)));
        assert_eq!(tick(0, true, 1000), Verdict::Fine, "whatever was used before");
        assert_eq!(tick(0, true, 1100), Verdict::Fine, "all of it, not more");
        assert_eq!(tick(1, true, 1150), Verdict::Fine, "another turn");
        assert_eq!(tick(1, true, 1249), Verdict::Fine);
        assert_eq!(tick(1, true, 1251), Verdict::Spent);
        assert_eq!(tick(1, false, 5000), Verdict::Fine, "it does not play");
        assert_eq!(tick(1, true, 9000), Verdict::Fine, "counted anew");
    }
}
