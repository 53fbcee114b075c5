//! Traps that spring later: at a restore, or at a replay.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // the replay trap looks at the clock on purpose

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use croupier_sdk::Turn;
use croupier_sdk::serde::{Deserialize, Deserializer, Serialize};

/// When this library was loaded, nanoseconds since the Unix epoch.
static LOADED_NS: AtomicU64 = AtomicU64::new(0);

extern "C" fn note_the_time() {
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LOADED_NS.store(age.as_nanos() as u64, Ordering::Relaxed);
}

// SAFETY: the loader calls what stands in `.init_array` once, before anything else of this library; the function takes no argument that it reads
// and needs nothing that is set up later.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_THE_TIME: extern "C" fn() = note_the_time;

/// Whether the turn was made before this process had loaded the plugin: so it is played again, in another process than the first time.
pub(crate) fn older_than_this_process(turn: &Turn<'_>) -> bool {
    turn.now_ns() < LOADED_NS.load(Ordering::Relaxed)
}

/// Whether a session's snapshot can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(crate = "croupier_sdk::serde")]
pub(crate) enum OnRestore {
    Calm,
    Crash,
}

impl<'de> Deserialize<'de> for OnRestore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OnRestore, D::Error> {
        #[derive(Deserialize)]
        #[serde(crate = "croupier_sdk::serde")]
        enum Written {
            Calm,
            Crash,
        }
        match Written::deserialize(deserializer)? {
            Written::Calm => Ok(OnRestore::Calm),
            Written::Crash => crate::deeds::segv(),
        }
    }
}
