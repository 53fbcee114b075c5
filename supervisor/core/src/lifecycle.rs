//! The life-cycle of a plugin.
//!
//! ```text
//!              load                  (worker loaded it)   (init succeeded)
//!  Unloaded ─────────▶ (starting) ───────▶ Loaded ─────────▶ Initialized ─────▶ Running ◀──resume── Suspended
//!      ▲                                                                          │ └────suspend──────▶ │
//!      └──────────────────────────────── unload ◀── Unloading ◀───────────────────┴─────────────────────┘
//! ```
//!
//! Every step that is not drawn is refused by name.

use std::fmt;

use crate::refusal::Refusal;

/// Where a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Known, but nothing runs.
    Unloaded,
    /// A first worker is on its way.
    Starting,
    /// The worker holds the plugin's code.
    Loaded,
    /// The plugin's `init` succeeded.
    Initialized,
    /// Turns are played.
    Running,
    /// Turns wait.
    Suspended,
    /// On its way out.
    Unloading,
}

/// What may be asked of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Bring it up.
    Load,
    /// Let turns wait.
    Suspend,
    /// Go on.
    Resume,
    /// Replace its workers.
    Restart,
    /// Change how many workers serve.
    Scale,
    /// Take it down.
    Unload,
    /// Open a session.
    Open,
}

/// All states, for tests and tables.
pub const STATES: [State; 7] = [
    State::Unloaded,
    State::Starting,
    State::Loaded,
    State::Initialized,
    State::Running,
    State::Suspended,
    State::Unloading,
];

/// All steps, for tests and tables.
pub const STEPS: [Step; 7] =
    [Step::Load, Step::Suspend, Step::Resume, Step::Restart, Step::Scale, Step::Unload, Step::Open];

impl State {
    /// Whether `step` may be taken from here.
    pub fn allows(self, step: Step) -> bool {
        matches!(
            (self, step),
            (State::Unloaded, Step::Load)
                | (State::Running, Step::Suspend | Step::Restart | Step::Scale | Step::Unload | Step::Open)
                | (State::Suspended, Step::Resume | Step::Restart | Step::Scale | Step::Unload)
        )
    }

    /// Refuses a step that is not allowed from here.
    ///
    /// # Errors
    /// [`Refusal::WrongState`], naming both.
    pub fn check(self, step: Step) -> Result<(), Refusal> {
        if self.allows(step) { Ok(()) } else { Err(Refusal::WrongState { step, state: self }) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Unloaded => "unloaded",
            State::Starting => "starting",
            State::Loaded => "loaded",
            State::Initialized => "initialized",
            State::Running => "running",
            State::Suspended => "suspended",
            State::Unloading => "unloading",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Load => "load",
            Step::Suspend => "suspend",
            Step::Resume => "resume",
            Step::Restart => "restart",
            Step::Scale => "scale",
            Step::Unload => "unload",
            Step::Open => "open a session of",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_from_every_state_is_allowed_or_refused_by_name() {
        let mut allowed = 0;
        for state in STATES {
            for step in STEPS {
                match state.check(step) {
                    Ok(()) => allowed += 1,
                    Err(refusal) => {
                        let text = refusal.to_string();
                        assert!(text.contains(&step.to_string()), "{text}");
                        assert!(text.contains(&state.to_string()), "{text}");
                    }
                }
            }
        }
        assert_eq!(allowed, 10);
    }
}
