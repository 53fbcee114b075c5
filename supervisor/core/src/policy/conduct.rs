//! How often a plugin has broken its bounds of late: system calls that its jail refused, the protocol, its memory limit. Too often, and it is suspended.
//!
//! What one table does is that table's: the violations must come from several, or from none (from the plugin's own threads and constructors), before
//! all are kept waiting. However much one turn does, and however often it is tried, it counts once. Where nobody can say whose turn it was, it only counts towards the number.
//!
//! Pure: the clock is an argument.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::SessionId;

/// Violations of one window that are told one by one.
const TOLD_MAX: u32 = 10;

/// When a plugin is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConductPolicy {
    /// Violations within the window that are borne; one more and it is suspended. 0: it never is.
    pub violations_max: u32,
    /// The window.
    pub window_ns: u64,
    /// Sessions that they must come from.
    pub sessions_min: usize,
}

impl Default for ConductPolicy {
    fn default() -> ConductPolicy {
        ConductPolicy { violations_max: 100, window_ns: 60_000_000_000, sessions_min: 3 }
    }
}

/// Whose turn a violation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This turn of this session: nothing else was in flight.
    Turn(SessionId, u64),
    /// Nobody's: nothing was in flight.
    Nobody,
    /// One of several.
    Unclear,
}

/// Whether a violation is worth an event of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It is.
    Tell,
    /// There were enough of them.
    Enough,
}

/// What one plugin did.
#[derive(Debug, Default)]
pub struct Conduct {
    seen: VecDeque<(u64, By)>,
    /// When the window of those that were told began, and how many they are.
    told: (u64, u32),
}

impl Conduct {
    /// One more. Says whether to tell it, and why the plugin is to be suspended if it is.
    pub fn violated(
        &mut self,
        now_ns: u64,
        policy: &ConductPolicy,
        by: By,
        what: &str,
    ) -> (Telling, Option<String>) {
        let again = |(at, known): &(u64, By)| *known == by && !is_old(*at, now_ns, policy);
        if matches!(by, By::Turn(..)) && self.seen.iter().any(again) {
            return (Telling::Enough, None);
        }
        let telling = self.telling(now_ns, policy);
        if policy.violations_max == 0 {
            return (telling, None);
        }
        self.seen.push_back((now_ns, by));
        let most = policy.violations_max as usize;
        while self.seen.len() > most + 1
            || self.seen.front().is_some_and(|(at, _)| is_old(*at, now_ns, policy))
        {
            self.seen.pop_front();
        }
        let from: BTreeSet<SessionId> = self
            .seen
            .iter()
            .filter_map(|(_, by)| if let By::Turn(session, _) = by { Some(*session) } else { None })
            .collect();
        let own = self.seen.iter().filter(|(_, by)| *by == By::Nobody).count();
        let is_widespread = from.len() >= policy.sessions_min || own > most / 2;
        let reason = (self.seen.len() > most && is_widespread).then(|| {
            let s = policy.window_ns / 1_000_000_000;
            format!("it broke its bounds more than {most} times within {s} s (violations_max), the last time: {what}")
        });
        (telling, reason)
    }

    fn telling(&mut self, now_ns: u64, policy: &ConductPolicy) -> Telling {
        if self.told.1 == 0 || is_old(self.told.0, now_ns, policy) {
            self.told = (now_ns, 0);
        }
        self.told.1 = self.told.1.saturating_add(1);
        if self.told.1 <= TOLD_MAX { Telling::Tell } else { Telling::Enough }
    }

    /// An operator says that all is well.
    pub fn forgive(&mut self) {
        *self = Conduct::default();
    }
}

fn is_old(at_ns: u64, now_ns: u64, policy: &ConductPolicy) -> bool {
    now_ns.saturating_sub(at_ns) > policy.window_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const POLICY: ConductPolicy = ConductPolicy { violations_max: 4, window_ns: 10 * S, sessions_min: 3 };
    /// No violation is the one too many.
    const NEVER: [usize; 0] = [];

    /// Which of these, at their seconds, are too many.
    fn reasons(each: impl IntoIterator<Item = (u64, By)>) -> Vec<usize> {
        let mut conduct = Conduct::default();
        let convicted = each.into_iter().enumerate().filter_map(|(at, (second, by))| {
            conduct.violated(second * S, &POLICY, by, "openat").1.map(|_| at)
        });
        convicted.collect()
    }

    #[test]
    fn one_more_than_are_borne_within_the_window_is_too_much() {
        let tables = |at: u64| By::Turn(SessionId(at % 3), at);
        assert_eq!(reasons((0..5).map(|at| (at, tables(at)))), [4]);
        assert_eq!(reasons((0..50).map(|at| (at * 3, tables(at)))), NEVER, "four within ten seconds");
        assert_eq!(reasons((0..5).map(|at| (at, By::Nobody))), [4], "the plugin's own doing");
    }

    #[test]
    fn one_or_two_tables_take_the_game_from_nobody() {
        assert_eq!(reasons((0..50).map(|at| (1, By::Turn(SessionId(at % 2), at)))), NEVER);
        assert_eq!(reasons((0..50).map(|at| (1, By::Turn(SessionId(at % 3), 7)))), NEVER, "three turns");
        assert_eq!(reasons((0..50).map(|_| (1, By::Unclear))), NEVER);
    }

    #[test]
    fn it_can_be_left_off_and_only_the_first_are_told() {
        let off = ConductPolicy { violations_max: 0, ..POLICY };
        let mut conduct = Conduct::default();
        let mut told = 0;
        for at in 0..100 {
            let (telling, reason) = conduct.violated(at, &off, By::Nobody, "openat");
            assert_eq!(reason, None);
            told += u32::from(telling == Telling::Tell);
        }
        assert_eq!(told, TOLD_MAX);
        let (telling, _) = conduct.violated(11 * S, &off, By::Nobody, "openat");
        assert_eq!(telling, Telling::Tell, "another window");
        let patient = ConductPolicy { violations_max: 1, ..POLICY };
        let (_, reason) = Conduct::default().violated(0, &patient, By::Nobody, "x");
        assert_eq!(reason, None, "one is borne");
        let mut conduct = Conduct::default();
        let again = [1, 2, 3].map(|_| conduct.violated(0, &POLICY, By::Turn(SessionId(1), 2), "x").0);
        assert_eq!(again, [Telling::Tell, Telling::Enough, Telling::Enough], "a turn is told once");
    }
}
