//! Fences left out on purpose, to see that the model checker misses each of them. Without `cfg(loom)`, which no shipped build has, none is, and every question about them is answered
//! at compile time.

/// A full fence of [`Control`](crate::Control).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Between publishing a head and looking whether the receiver sleeps.
    AfterHead = 1,
    /// Between publishing a tail and looking whether the sender waits.
    AfterTail,
    /// Between saying that the receiver sleeps and looking once more.
    BeforeReaderSleeps,
    /// Between saying that the sender waits and looking once more.
    BeforeWriterSleeps,
    /// Between saying that nothing will come any more and looking whether the receiver sleeps.
    AfterGone,
}

/// All of them.
pub const MISSING: [Missing; 5] = [
    Missing::AfterHead,
    Missing::AfterTail,
    Missing::BeforeReaderSleeps,
    Missing::BeforeWriterSleeps,
    Missing::AfterGone,
];

/// Not one of loom's: it is not part of what is checked.
#[cfg(loom)]
static PLANTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Leaves a fence out, or puts it back.
#[cfg(loom)]
pub fn plant(missing: Option<Missing>) {
    PLANTED.store(missing.map_or(0, |missing| missing as u32), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this fence is left out.
#[inline]
pub(crate) fn is(missing: Missing) -> bool {
    #[cfg(loom)]
    return PLANTED.load(std::sync::atomic::Ordering::SeqCst) == missing as u32;
    #[cfg(not(loom))]
    {
        let _ = missing;
        false
    }
}
