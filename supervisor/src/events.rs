//! Who wants to know what happens in the supervisor, and the telling.
//!
//! Nobody who follows can hold anything up: a [`PushTo`] never blocks, and drops and counts what it has no room for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use croupier_client::PushSink;
use croupier_wire::door::{Event, Push, What};

/// Followers of events at a time.
pub const FOLLOWERS_MAX: usize = 1024;

/// Takes pushes. Never blocks; bounded; drops and counts what it has no room for.
pub trait PushTo: Send + Sync {
    /// A push comes.
    fn push(&self, push: Push);

    /// Whether nobody takes any more.
    fn is_abandoned(&self) -> bool;
}

impl PushTo for PushSink {
    fn push(&self, push: Push) {
        PushSink::push(self, push);
    }

    fn is_abandoned(&self) -> bool {
        PushSink::is_abandoned(self)
    }
}

/// Whether a follower wants to hear of every turn and emit too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Every [`What::TurnDone`] and [`What::Emitted`] too.
    Included,
    /// Only what happens to plugins, workers, sessions and players.
    Left,
}

/// The followers of a supervisor's events.
#[derive(Default)]
pub struct Events {
    followers: Mutex<Vec<Follower>>,
    count: AtomicUsize,
    with_turns: AtomicUsize,
}

struct Follower {
    to: Box<dyn PushTo>,
    turns: Turns,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("followers", &self.count).finish_non_exhaustive()
    }
}

/// There are [`FOLLOWERS_MAX`] followers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{FOLLOWERS_MAX} followers of events are there already; close one of them first")]
pub struct TooManyFollowers;

impl Events {
    /// Adds a follower, from now on.
    ///
    /// # Errors
    /// [`TooManyFollowers`].
    pub fn follow(&self, to: Box<dyn PushTo>, turns: Turns) -> Result<(), TooManyFollowers> {
        let mut followers = crate::lock(&self.followers);
        followers.retain(|follower| !follower.to.is_abandoned());
        if followers.len() >= FOLLOWERS_MAX {
            return Err(TooManyFollowers);
        }
        followers.push(Follower { to, turns });
        self.recount(&followers);
        Ok(())
    }

    /// Whether anybody would hear of a turn.
    pub fn turns_wanted(&self) -> bool {
        self.with_turns.load(Ordering::Relaxed) > 0
    }

    /// Tells everybody.
    pub fn tell(&self, event: Event) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let of_turn = matches!(event.what, What::TurnDone { .. } | What::Emitted { .. });
        let mut followers = crate::lock(&self.followers);
        let before = followers.len();
        followers.retain(|follower| {
            if of_turn && follower.turns == Turns::Left {
                return true;
            }
            if follower.to.is_abandoned() {
                return false;
            }
            follower.to.push(Push::Event(event.clone()));
            true
        });
        if followers.len() != before {
            self.recount(&followers);
        }
    }

    /// Tells everybody that nothing more comes.
    pub fn end(&self) {
        let followers = std::mem::take(&mut *crate::lock(&self.followers));
        self.recount(&[]);
        followers.iter().for_each(|follower| follower.to.push(Push::End));
    }

    fn recount(&self, followers: &[Follower]) {
        let with_turns = followers.iter().filter(|follower| follower.turns == Turns::Included).count();
        self.with_turns.store(with_turns, Ordering::Relaxed);
        self.count.store(followers.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Default)]
    struct Ear {
        heard: Mutex<Vec<Push>>,
        gone: AtomicBool,
    }

    impl PushTo for Arc<Ear> {
        fn push(&self, push: Push) {
            crate::lock(&self.heard).push(push);
        }
        fn is_abandoned(&self) -> bool {
            self.gone.load(Ordering::Relaxed)
        }
    }

    fn event(what: What) -> Event {
        Event { at_ns: 1, plugin: "p".into(), what }
    }

    #[test]
    fn turns_go_only_to_those_who_want_them_and_the_gone_are_forgotten() {
        let (all, some) = (Arc::new(Ear::default()), Arc::new(Ear::default()));
        let events = Events::default();
        assert!(!events.turns_wanted());
        events.follow(Box::new(all.clone()), Turns::Included).unwrap();
        events.follow(Box::new(some.clone()), Turns::Left).unwrap();
        assert!(events.turns_wanted());
        events.tell(event(What::TurnDone { session: 1, seq: 1, status: 0 }));
        events.tell(event(What::PluginSuspended));
        assert_eq!(crate::lock(&all.heard).len(), 2);
        assert_eq!(crate::lock(&some.heard).len(), 1);
        all.gone.store(true, Ordering::Relaxed);
        events.tell(event(What::PluginResumed));
        assert!(!events.turns_wanted());
        events.end();
        assert_eq!(crate::lock(&all.heard).len(), 2);
        assert_eq!(crate::lock(&some.heard).last(), Some(&Push::End));
    }
}
