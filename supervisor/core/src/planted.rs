//! Bugs on purpose, to see that the storms find them. Without the feature `planted`, which no shipped build has, there are none, and every question about them is
//! answered at compile time.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Answers go out before the disk has what they say.
    AnswerBeforeJournal = 1,
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
}

/// All of them.
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
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants a bug in this process, or takes it out again.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this bug is planted.
#[inline]
pub(crate) fn is(bug: Bug) -> bool {
    #[cfg(feature = "planted")]
    return PLANTED.load(std::sync::atomic::Ordering::SeqCst) == bug as u8;
    #[cfg(not(feature = "planted"))]
    {
        let _ = bug;
        false
    }
}
