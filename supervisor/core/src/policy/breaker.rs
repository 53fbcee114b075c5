//! A circuit breaker in front of a plugin that answers with faults and does not die: callers are told at once instead of made to wait.
//!
//! ```text
//!  closed ──too many of the last turns failed──▶ open ──after a rest──▶ half-open ──enough turns succeed──▶ closed
//!                                                  ▲                        └──one fails──┐
//!                                                  └──────────────────────────────────────┘
//! ```
//!
//! What the rules of the game forbid is no fault, and does not count. And a fault that one table finds is that table's: several must have failed before the
//! others are kept waiting, so that nobody takes the game from all by doing at one table what the plugin cannot bear.

use std::collections::BTreeSet;

use crate::ids::SessionId;

/// When a plugin is given a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Percent of the window's turns that may fail; 0: the breaker is off.
    pub failures_percent: u32,
    /// Turns that are looked at.
    pub window_turns: u32,
    /// How long the plugin rests, in nanoseconds.
    pub rest_ns: u64,
    /// Turns that must succeed after a rest before everybody is let in.
    pub probes: u32,
    /// Sessions in which turns must have failed; all of them when there are fewer.
    pub sessions_min: usize,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            failures_percent: 50,
            window_turns: 100,
            rest_ns: 5_000_000_000,
            probes: 5,
            sessions_min: 3,
        }
    }
}

/// Where the breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until_ns: u64,
    },
    HalfOpen {
        since_ns: u64,
        admitted: u32,
        succeeded: u32,
    },
}

/// A turn as the breaker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It worked, or the rules forbade it.
    Sound,
    /// The plugin is at fault.
    Faulty {
        /// Whose turn it was.
        session: SessionId,
        /// How many sessions there are.
        sessions: usize,
    },
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nobody is let in for a while.
    Opened {
        /// Failed turns.
        failed: u32,
        /// Of so many.
        turns: u32,
    },
    /// Everybody is let in again.
    Closed,
}

/// One plugin's breaker.
#[derive(Debug, Default)]
pub struct Breaker {
    phase: Phase,
    /// Turns and failures in this half of the window, and in the half before.
    this: (u32, u32),
    before: (u32, u32),
    /// Sessions in which turns failed, in this half of the window and in the half before; no more of them than matter.
    failing: (BTreeSet<SessionId>, BTreeSet<SessionId>),
}

impl Breaker {
    /// Whether a fresh turn may be accepted.
    ///
    /// # Errors
    /// How long the plugin still rests, in nanoseconds.
    pub fn admit(&mut self, now_ns: u64, policy: &BreakerPolicy) -> Result<(), u64> {
        match &mut self.phase {
            Phase::Closed => Ok(()),
            Phase::Open { until_ns } if now_ns < *until_ns => Err(*until_ns - now_ns),
            Phase::Open { .. } => {
                self.phase = Phase::HalfOpen { since_ns: now_ns, admitted: 1, succeeded: 0 };
                Ok(())
            }
            Phase::HalfOpen { since_ns, admitted, .. } => {
                // Those that were let in may have been withdrawn, or hang.
                if now_ns.saturating_sub(*since_ns) >= policy.rest_ns {
                    (*since_ns, *admitted) = (now_ns, 0);
                }
                if *admitted >= policy.probes.max(1) {
                    return Err(policy.rest_ns - now_ns.saturating_sub(*since_ns));
                }
                *admitted += 1;
                Ok(())
            }
        }
    }

    /// A turn has its outcome.
    pub fn played(&mut self, now_ns: u64, policy: &BreakerPolicy, turn: Seen) -> Option<Change> {
        if policy.failures_percent == 0 {
            return None;
        }
        let failed = turn != Seen::Sound;
        match &mut self.phase {
            Phase::Closed => {
                self.this.0 += 1;
                self.this.1 += u32::from(failed);
                let Seen::Faulty { session, sessions } = turn else {
                    return self.look(now_ns, policy, usize::MAX);
                };
                if self.failing.0.len() < policy.sessions_min {
                    self.failing.0.insert(session);
                }
                self.look(now_ns, policy, sessions)
            }
            // It was accepted before.
            Phase::Open { .. } => None,
            Phase::HalfOpen { .. } if failed => Some(self.open(now_ns, policy, (1, 1))),
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded < policy.probes.max(1) {
                    return None;
                }
                *self = Breaker::default();
                Some(Change::Closed)
            }
        }
    }

    fn look(&mut self, now_ns: u64, policy: &BreakerPolicy, sessions: usize) -> Option<Change> {
        let half = (policy.window_turns / 2).max(1);
        let (turns, failed) = (self.this.0 + self.before.0, self.this.1 + self.before.1);
        let is_too_much = u64::from(failed) * 100 > u64::from(turns) * u64::from(policy.failures_percent);
        let is_widespread =
            self.failing.0.union(&self.failing.1).count() >= policy.sessions_min.min(sessions);
        if turns >= half && is_too_much && is_widespread {
            return Some(self.open(now_ns, policy, (turns, failed)));
        }
        if self.this.0 >= half {
            self.before = std::mem::take(&mut self.this);
            self.failing.1 = std::mem::take(&mut self.failing.0);
        }
        None
    }

    fn open(&mut self, now_ns: u64, policy: &BreakerPolicy, (turns, failed): (u32, u32)) -> Change {
        *self = Breaker {
            phase: Phase::Open { until_ns: now_ns.saturating_add(policy.rest_ns) },
            ..Breaker::default()
        };
        Change::Opened { failed, turns }
    }

    /// An operator says that all is well.
    pub fn close(&mut self) {
        *self = Breaker::default();
    }

    /// `closed`, `open` or `half-open`.
    pub fn word(&self) -> &'static str {
        match self.phase {
            Phase::Closed => "closed",
            Phase::Open { .. } => "open",
            Phase::HalfOpen { .. } => "half-open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy =
        BreakerPolicy { failures_percent: 50, window_turns: 10, rest_ns: 1000, probes: 2, sessions_min: 3 };

    /// A turn of the only session there is.
    fn turn(failed: bool) -> Seen {
        if failed { Seen::Faulty { session: SessionId(1), sessions: 1 } } else { Seen::Sound }
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let changes: Vec<_> = (0..5).filter_map(|now| breaker.played(now, &POLICY, turn(true))).collect();
        assert_eq!(changes, [Change::Opened { failed: 5, turns: 5 }]);
        breaker
    }

    #[test]
    fn it_opens_rests_tries_and_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(504, &POLICY), Err(500));
        assert_eq!(breaker.played(600, &POLICY, turn(false)), None, "accepted before");
        assert_eq!((breaker.admit(1004, &POLICY), breaker.word()), (Ok(()), "half-open"));
        assert_eq!(breaker.admit(1004, &POLICY), Ok(()));
        assert_eq!(breaker.admit(1104, &POLICY), Err(900), "two are tried");
        assert_eq!(breaker.played(1200, &POLICY, turn(false)), None);
        assert_eq!(breaker.played(1200, &POLICY, turn(false)), Some(Change::Closed));
        assert_eq!(breaker.admit(1200, &POLICY), Ok(()));
    }

    #[test]
    fn one_failure_after_a_rest_is_enough() {
        let mut breaker = opened();
        breaker.admit(1004, &POLICY).unwrap();
        assert!(breaker.played(1005, &POLICY, turn(true)).is_some());
        assert_eq!(breaker.admit(1006, &POLICY), Err(999));
    }

    #[test]
    fn those_who_were_let_in_and_never_come_back_do_not_keep_it_half_open() {
        let mut breaker = opened();
        for now in [1004, 1005] {
            breaker.admit(now, &POLICY).unwrap();
        }
        assert!(breaker.admit(2000, &POLICY).is_err());
        assert_eq!(breaker.admit(2004, &POLICY), Ok(()));
    }

    #[test]
    fn a_third_of_the_turns_may_fail_for_ever() {
        let mut breaker = Breaker::default();
        for number in 0..1000 {
            assert_eq!(breaker.played(number, &POLICY, turn(number % 3 == 2)), None, "turn {number}");
        }
        let mut breaker = Breaker::default();
        let off = BreakerPolicy { failures_percent: 0, ..POLICY };
        for number in 0..1000 {
            assert_eq!(breaker.played(number, &off, turn(true)), None);
        }
    }

    #[test]
    fn one_table_or_two_do_not_close_the_game_to_the_others() {
        let mut breaker = Breaker::default();
        let faulty = |session| Seen::Faulty { session: SessionId(session), sessions: 10 };
        for number in 0..1000 {
            assert_eq!(breaker.played(number, &POLICY, faulty(number % 2)), None);
        }
        assert!(breaker.played(1000, &POLICY, faulty(2)).is_some(), "three are many");
    }
}
