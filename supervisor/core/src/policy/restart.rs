//! Whether, and when, a dead worker is replaced: the supervision of OTP, with an intensity per cause.
//!
//! ```text
//!  death ─▶ somebody's turn may have done it ─▶ pending ──the turn is poison, or its session held──▶ not the plugin's
//!             │ nobody's                          └──all of them are innocent──▶ the plugin's
//!             └──────────────────────────────────────────────────────────────▶ the plugin's
//!  the plugin's: pauses grow with each one until it was well for a while; too many of one cause in the window: quarantine
//! ```
//!
//! A player who kills workers must not be able to take the game from the others: a death that a turn is convicted of is never the plugin's.
//! Kills from outside, and those that we asked for, are nobody's.

use std::collections::{BTreeMap, VecDeque};

use crate::event::Cause;

/// When a worker that died is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Always.
    #[default]
    Permanent,
    /// Unless it exited with code 0.
    Transient,
    /// Never: an operator restarts the plugin.
    Temporary,
}

/// How patient the supervisor is with one plugin. Times are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// When a worker is replaced at all.
    pub mode: Mode,
    /// Deaths of one cause within the window that are borne; one more is quarantine.
    pub deaths_max: u32,
    /// The window.
    pub window_ns: u64,
    /// The pause before the second replacement in a row; it doubles with each one. The first comes at once.
    pub pause_min_ns: u64,
    /// The longest pause.
    pub pause_max_ns: u64,
    /// After so long without a death of the plugin's own the pauses begin anew.
    pub heal_ns: u64,
}

impl Default for RestartPolicy {
    fn default() -> RestartPolicy {
        const S: u64 = 1_000_000_000;
        RestartPolicy {
            mode: Mode::Permanent,
            deaths_max: 10,
            window_ns: 60 * S,
            pause_min_ns: S / 100,
            pause_max_ns: 10 * S,
            heal_ns: 30 * S,
        }
    }
}

/// Causes that are counted, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A fault signal.
    Signal,
    /// It exited by itself.
    Exit,
    /// CPU time.
    Cpu,
    /// Memory.
    Memory,
    /// A wall deadline.
    Deadline,
    /// The protocol.
    Protocol,
}

impl Class {
    /// The class of a worker's death; none when nobody's plugin can be blamed for it, or when it never came to serve (which is counted elsewhere).
    pub fn of(cause: &Cause) -> Option<Class> {
        match cause {
            Cause::Fault { .. } => Some(Class::Signal),
            Cause::Exit { .. } => Some(Class::Exit),
            Cause::Cpu => Some(Class::Cpu),
            Cause::Memory => Some(Class::Memory),
            Cause::Deadline => Some(Class::Deadline),
            Cause::Protocol(_) => Some(Class::Protocol),
            Cause::External { .. } | Cause::Asked | Cause::Start(_) => None,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Class::Signal => "crash signal",
            Class::Exit => "exit",
            Class::Cpu => "CPU time",
            Class::Memory => "memory",
            Class::Deadline => "wall deadline",
            Class::Protocol => "protocol",
        }
    }
}

/// One death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeathId(u64);

/// What a turn or session that was there when a worker died turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It was played, or restored, and nothing happened.
    Innocent,
    /// It kills workers.
    Guilty,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Replace it, after this pause.
    Replace {
        /// Nanoseconds.
        pause_ns: u64,
    },
    /// Take no turns until an operator says so.
    Quarantine {
        /// Why.
        reason: String,
    },
}

/// A death whose suspects are not all tried yet.
#[derive(Debug)]
struct Pending {
    class: Class,
    suspects: usize,
    convicted: bool,
}

/// What is remembered of one plugin's deaths.
#[derive(Debug, Default)]
pub struct Restarts {
    last: u64,
    pending: BTreeMap<DeathId, Pending>,
    /// The plugin's own deaths within the window.
    deaths: BTreeMap<Class, VecDeque<u64>>,
    /// The plugin's own deaths in a row, without a healthy while in between.
    streak: u32,
    last_death_ns: u64,
}

impl Restarts {
    /// A worker died, and `suspects` turns or sessions may have done it: none, and it is the plugin's death at once.
    pub fn died(&mut self, now_ns: u64, class: Class, suspects: usize) -> Option<DeathId> {
        if suspects == 0 {
            self.count(now_ns, class);
            return None;
        }
        self.last += 1;
        let id = DeathId(self.last);
        self.pending.insert(id, Pending { class, suspects, convicted: false });
        Some(id)
    }

    /// One of a death's suspects was tried. When all of them were, and none did it, it is the plugin's own.
    pub fn tried(&mut self, now_ns: u64, id: DeathId, finding: Finding) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.suspects = pending.suspects.saturating_sub(1);
        pending.convicted |= finding == Finding::Guilty;
        if pending.suspects > 0 {
            return;
        }
        if let Some(pending) = self.pending.remove(&id).filter(|pending| !pending.convicted) {
            self.count(now_ns, pending.class);
        }
    }

    fn count(&mut self, now_ns: u64, class: Class) {
        self.deaths.entry(class).or_default().push_back(now_ns);
        self.streak = self.streak.saturating_add(1);
        self.last_death_ns = now_ns;
    }

    /// What is to be done now. `luck` is any number, and spreads the pauses of many plugins.
    pub fn judge(&mut self, now_ns: u64, policy: &RestartPolicy, luck: u64) -> Verdict {
        self.forget(now_ns, policy);
        let worst = self.deaths.iter().max_by_key(|(_, deaths)| deaths.len());
        if let Some((class, deaths)) = worst
            && deaths.len() > policy.deaths_max as usize
        {
            let reason = format!(
                "{} deaths by {} within {} s, and {} are borne",
                deaths.len(),
                class.word(),
                policy.window_ns / 1_000_000_000,
                policy.deaths_max
            );
            return Verdict::Quarantine { reason };
        }
        Verdict::Replace { pause_ns: pause(self.streak, policy, luck) }
    }

    fn forget(&mut self, now_ns: u64, policy: &RestartPolicy) {
        let since = now_ns.saturating_sub(policy.window_ns);
        for deaths in self.deaths.values_mut() {
            while deaths.front().is_some_and(|at| *at < since) {
                deaths.pop_front();
            }
        }
        self.deaths.retain(|_, deaths| !deaths.is_empty());
        if now_ns.saturating_sub(self.last_death_ns) >= policy.heal_ns {
            self.streak = 0;
        }
    }

    /// The plugin's own deaths over all causes, within the window as of the last judgement.
    pub fn recent(&self) -> usize {
        self.deaths.values().map(VecDeque::len).sum()
    }

    /// An operator forgives everything.
    pub fn forgive(&mut self) {
        self.deaths.clear();
        self.pending.clear();
        self.streak = 0;
    }
}

/// None for the first death in a row, then doubling, a quarter of it by luck.
fn pause(streak: u32, policy: &RestartPolicy, luck: u64) -> u64 {
    let Some(doublings) = streak.checked_sub(2) else { return 0 };
    let whole = policy.pause_min_ns.saturating_mul(1 << doublings.min(40)).min(policy.pause_max_ns);
    whole - luck % (whole / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn policy() -> RestartPolicy {
        RestartPolicy { deaths_max: 3, ..RestartPolicy::default() }
    }

    fn pause_ns(verdict: &Verdict) -> u64 {
        match verdict {
            Verdict::Replace { pause_ns } => *pause_ns,
            Verdict::Quarantine { reason } => panic!("{reason}"),
        }
    }

    #[test]
    fn pauses_grow_heal_and_end_in_quarantine_by_one_cause() {
        let mut restarts = Restarts::default();
        let mut last = 0;
        for death in 0..3 {
            assert_eq!(restarts.died(death * S, Class::Signal, 0), None);
            let pause = pause_ns(&restarts.judge(death * S, &policy(), 0));
            assert!(death == 0 && pause == 0 || pause > last, "{pause} after {last}");
            last = pause;
        }
        restarts.died(3 * S, Class::Memory, 0);
        assert!(
            matches!(restarts.judge(3 * S, &policy(), 0), Verdict::Replace { .. }),
            "each cause by itself"
        );
        restarts.died(4 * S, Class::Signal, 0);
        let Verdict::Quarantine { reason } = restarts.judge(4 * S, &policy(), 0) else { panic!("too many") };
        assert!(reason.contains("4 deaths by crash signal within 60 s"), "{reason}");
        restarts.forgive();
        assert_eq!(pause_ns(&restarts.judge(4 * S, &policy(), 0)), 0);
    }

    #[test]
    fn a_healthy_while_and_the_window_forget() {
        let mut restarts = Restarts::default();
        for death in 0..3 {
            restarts.died(death, Class::Cpu, 0);
        }
        assert!(pause_ns(&restarts.judge(S, &policy(), 0)) > 0);
        assert_eq!(pause_ns(&restarts.judge(31 * S, &policy(), 0)), 0, "healed");
        assert_eq!(restarts.recent(), 3);
        restarts.died(61 * S, Class::Cpu, 0);
        assert_eq!(pause_ns(&restarts.judge(61 * S, &policy(), 0)), 0, "the first in a row again");
        assert_eq!(restarts.recent(), 1);
    }

    #[test]
    fn a_player_who_kills_workers_does_not_count_against_the_plugin() {
        let mut restarts = Restarts::default();
        for now in 0..100 {
            let death = restarts.died(now, Class::Signal, 3).unwrap();
            restarts.tried(now, death, Finding::Innocent);
            restarts.tried(now, death, Finding::Guilty);
            restarts.tried(now, death, Finding::Innocent);
        }
        assert_eq!(restarts.judge(100, &policy(), 7), Verdict::Replace { pause_ns: 0 });
        let death = restarts.died(200, Class::Signal, 2).unwrap();
        restarts.tried(200, death, Finding::Innocent);
        assert_eq!(restarts.recent(), 0, "one is not tried yet");
        restarts.tried(200, death, Finding::Innocent);
        assert_eq!(restarts.recent(), 1, "nobody did it, so the plugin did");
        assert!(restarts.pending.is_empty());
    }

    #[test]
    fn luck_takes_a_quarter_at_most() {
        for luck in [0, 1, u64::MAX, 123_456_789] {
            let pause = pause(60, &policy(), luck);
            assert!((10 * S * 3 / 4..=10 * S).contains(&pause), "{pause}");
        }
    }
}
