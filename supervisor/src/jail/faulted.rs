//! What a worker may do after one of its threads faulted: be looked at, once. Pure.
//!
//! ```text
//!  Whole ── it can be looked at ─────────────────────────────────────────────────────────▶ Told ── default action ─▶ Over     what follows is refused like anything else
//!    └───── this user may not look ─▶ Asked ── dumpable ─▶ Open ── looked at ─▶ Closing ── undumpable ─▶ Told
//! ```
//!
//! The default action lets the kernel write its own line about the fault, and lets signals that were sent end the worker. The call's arguments are behind a pointer, so a plugin could
//! set a handler of its own instead: for one signal, and for the few seconds that it has left.
//!
//! Being dumpable lets other processes of the same user look into this worker, for as long as the supervisor looks. They are other workers, whose filters refuse that, and the user's own.

/// `PR_SET_DUMPABLE` (prctl(2)).
const PR_SET_DUMPABLE: u64 = 4;

/// ILL, TRAP, ABRT, BUS, FPE, SEGV (signal(7), x86_64): what is raised by the process's own doing.
const FAULTS: [u64; 6] = [4, 5, 6, 7, 8, 11];

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Faulted {
    /// No thread faulted.
    #[default]
    Whole,
    /// It was asked to let itself be looked into.
    Asked,
    /// It has done so.
    Open,
    /// It was looked at, and is to close itself again.
    Closing,
    /// It may die now.
    Told,
    /// That was it.
    Over,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// Die.
    Done,
    /// Let yourself be looked into, and call again.
    Again,
}

impl Faulted {
    /// A thread says that it faulted. `look` looks at it; it is not called when the worker was looked at before: then the call is one like any other, and the answer none.
    pub(super) fn tell(&mut self, look: impl FnOnce() -> Reply) -> Option<Reply> {
        let (next, reply) = match self {
            Faulted::Whole => match look() {
                Reply::Done => (Faulted::Told, Reply::Done),
                Reply::Again => (Faulted::Asked, Reply::Again),
            },
            Faulted::Open => {
                look();
                (Faulted::Closing, Reply::Done)
            }
            Faulted::Asked | Faulted::Closing | Faulted::Told | Faulted::Over => return None,
        };
        *self = next;
        Some(reply)
    }

    /// Whether a prctl(2) is the next step. If so, it is taken.
    pub(super) fn may_prctl(&mut self, option: u64, value: u64) -> bool {
        *self = match (*self, option, value) {
            (Faulted::Asked, PR_SET_DUMPABLE, 1) => Faulted::Open,
            (Faulted::Closing, PR_SET_DUMPABLE, 0) => Faulted::Told,
            _ => return false,
        };
        true
    }

    /// Whether it may set this signal's action now. If so, that was its last step.
    pub(super) fn may_set_action(&mut self, signal: u64) -> bool {
        let may = *self == Faulted::Told && FAULTS.contains(&signal);
        if may {
            *self = Faulted::Over;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Reply {
        panic!("it was looked at before")
    }

    #[test]
    fn a_worker_is_looked_at_once() {
        let mut faulted = Faulted::default();
        assert!(!faulted.may_prctl(PR_SET_DUMPABLE, 1) && !faulted.may_set_action(11), "nobody faulted");
        assert_eq!(faulted.tell(|| Reply::Done), Some(Reply::Done));
        assert_eq!(faulted.tell(never), None);
        assert!(!faulted.may_prctl(PR_SET_DUMPABLE, 1));
        assert!(!faulted.may_set_action(31), "no fault");
        assert!(faulted.may_set_action(11) && !faulted.may_set_action(11), "once");
        assert_eq!(faulted.tell(never), None);
    }

    #[test]
    fn who_may_not_look_asks_once_and_the_worker_is_closed_again() {
        let mut faulted = Faulted::default();
        assert_eq!(faulted.tell(|| Reply::Again), Some(Reply::Again));
        assert_eq!(faulted.tell(never), None, "not yet open");
        assert!(!faulted.may_prctl(PR_SET_DUMPABLE, 2) && !faulted.may_prctl(1, 1));
        assert!(faulted.may_prctl(PR_SET_DUMPABLE, 1));
        assert!(!faulted.may_prctl(PR_SET_DUMPABLE, 1), "once");
        assert_eq!(faulted.tell(|| Reply::Again), Some(Reply::Done), "not a second time");
        assert!(faulted.may_prctl(PR_SET_DUMPABLE, 0));
        assert_eq!(faulted, Faulted::Told);
    }
}
