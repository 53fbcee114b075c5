//! Bugs on purpose, to see that storms and simulator find them. Without the feature `planted`, which no shipped build has, there are none, and every question about them is
//! answered at compile time.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Answers go out before the disk has what they say.
    AnswerBeforeJournal,
    /// What lies behind a snapshot is forgotten before the disk has the snapshot.
    PruneBeforeDurable,
    /// Answers are not stored with the snapshot.
    AnswersDroppedAtSnapshot,
    /// A turn that is sent again gets a new time.
    FreshNowOnRetry,
    /// A replay gives out again what was given out.
    OutputsOfReplays,
    /// A session is restored elsewhere while its old worker still plays it.
    TwoOwners,
    /// A session is sent turns before it is restored.
    RouteBeforeRestore,
    /// How many turns were poison is forgotten with the supervisor.
    PoisonForgotten,
    /// Keys are forgotten with the supervisor.
    KeysForgotten,
    /// What a loss of power left of an entry is taken for the entry. Not in this crate: where entries become bytes, in the supervisor's `journal::format`.
    TornTailAccepted,
}

/// All of this crate.
pub const BUGS: [Bug; 9] = [
    Bug::AnswerBeforeJournal,
    Bug::PruneBeforeDurable,
    Bug::AnswersDroppedAtSnapshot,
    Bug::FreshNowOnRetry,
    Bug::OutputsOfReplays,
    Bug::TwoOwners,
    Bug::RouteBeforeRestore,
    Bug::PoisonForgotten,
    Bug::KeysForgotten,
];

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in the games of this thread, or takes it out again.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted.
#[inline]
pub fn is(bug: Bug) -> bool {
    #[cfg(feature = "planted")]
    return PLANTED.get() == Some(bug);
    #[cfg(not(feature = "planted"))]
    {
        let _ = bug;
        false
    }
}
