//! How often a plugin has broken its bounds of late: system calls that its jail refused, the protocol, its memory limit. Too often, and it is suspended.
//!
//! As with the breaker, what one table does is that table's: the violations must come from several, or from none (from the plugin's own threads and constructors), before
//! the others are kept waiting. Where nobody can say whose turn it was, it only counts towards the number.
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
    /// Sessions that they must come from; all of them when there are fewer.
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
    /// This session's: nothing else was in flight.
    Session(SessionId),
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
        (by, sessions): (By, usize),
        what: &str,
    ) -> (Telling, Option<String>) {
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
            .filter_map(|(_, by)| if let By::Session(session) = by { Some(*session) } else { None })
            .collect();
        let own = self.seen.iter().filter(|(_, by)| *by == By::Nobody).count();
        let is_widespread = from.len() >= policy.sessions_min.min(sessions) || own > most / 2;
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

    /// How many there were within the window.
    #[must_use]
    pub fn recent(&self, now_ns: u64, policy: &ConductPolicy) -> usize {
        self.seen.iter().filter(|(at, _)| !is_old(*at, now_ns, policy)).count()
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

    fn reasons(each: impl IntoIterator<Item = (u64, By)>, sessions: usize) -> Vec<usize> {
        let mut conduct = Conduct::default();
        let convicted = each.into_iter().enumerate().filter_map(|(at, (second, by))| {
            conduct.violated(second * S, &POLICY, (by, sessions), "openat").1.map(|_| at)
        });
        convicted.collect()
    }

    #[test]
    fn one_more_than_are_borne_within_the_window_is_too_much() {
        let tables = |at: u64| By::Session(SessionId(at % 3));
        assert_eq!(reasons((0..5).map(|at| (at, tables(at))), 9), [4]);
        assert_eq!(reasons((0..50).map(|at| (at * 3, tables(at))), 9), NEVER, "four within ten seconds");
        assert_eq!(reasons((0..5).map(|at| (at, By::Nobody)), 9), [4], "the plugin's own doing");
    }

    #[test]
    fn one_table_takes_the_game_from_nobody() {
        let villain = By::Session(SessionId(7));
        assert_eq!(reasons((0..50).map(|_| (1, villain)), 9), NEVER);
        assert_eq!(reasons((0..5).map(|_| (1, villain)), 1), [4], "there is nobody else");
        assert_eq!(reasons((0..50).map(|_| (1, By::Unclear)), 9), NEVER);
    }

    #[test]
    fn it_can_be_left_off_and_only_the_first_are_told() {
        let off = ConductPolicy { violations_max: 0, ..POLICY };
        let mut conduct = Conduct::default();
        let mut told = 0;
        for at in 0..100 {
            let (telling, reason) = conduct.violated(at, &off, (By::Nobody, 0), "openat");
            assert_eq!(reason, None);
            told += u32::from(telling == Telling::Tell);
        }
        assert_eq!(told, TOLD_MAX);
        let (telling, _) = conduct.violated(11 * S, &off, (By::Nobody, 0), "openat");
        assert_eq!(telling, Telling::Tell, "another window");
        let (_, reason) = Conduct::default().violated(
            0,
            &ConductPolicy { violations_max: 1, ..POLICY },
            (By::Nobody, 0),
            "x",
        );
        assert_eq!(reason, None, "one is borne");
    }
}
