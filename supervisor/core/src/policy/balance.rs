//! Which worker gives a session to which, so that all that serve have about as many.
//!
//! A session counts as one, however much is played there: what it costs is known only afterwards, and changes.

use crate::ids::WorkerId;

/// What is looked at of one worker that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The worker.
    pub worker: WorkerId,
    /// Its sessions: those that are on their way to it counted, those on their way out not.
    pub sessions: usize,
    /// Whether it may be given sessions.
    pub takes: bool,
    /// Whether it is to have none left.
    pub leaves: bool,
}

/// Whether this is a time to even out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Even {
    /// Everybody has their place.
    Now,
    /// Workers are on their way, or sessions have to be placed first: what is uneven now may be even then.
    Later,
}

/// From where to where a session is to be moved next; none when all is well, or nobody takes any.
///
/// A worker that leaves gives all that it has. Of the others the one with the most gives, as long as it has more than an eighth above the one with the
/// fewest: evening out the last of them would cost more than it brings, and would never end where sessions come and go.
pub fn next_move(loads: &[Load], even: Even) -> Option<(WorkerId, WorkerId)> {
    let to = loads.iter().filter(|load| load.takes && !load.leaves).min_by_key(|load| load.sessions)?;
    if let Some(from) = loads.iter().find(|load| load.leaves && load.sessions > 0) {
        return Some((from.worker, to.worker));
    }
    if even == Even::Later {
        return None;
    }
    let from = loads.iter().filter(|load| !load.leaves).max_by_key(|load| load.sessions)?;
    is_uneven(from.sessions, to.sessions).then_some((from.worker, to.worker))
}

/// Whether a worker with so many sessions gives some to one with so many.
pub fn is_uneven(most: usize, fewest: usize) -> bool {
    most > fewest + 1 + most / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(worker: u64, sessions: usize) -> Load {
        Load { worker: WorkerId(worker), sessions, takes: true, leaves: false }
    }

    /// Carries moves out until there are none.
    fn settle(loads: &mut [Load]) -> usize {
        let mut moves = 0;
        while let Some((from, to)) = next_move(loads, Even::Now) {
            assert_ne!(from, to);
            for load in loads.iter_mut() {
                load.sessions -= usize::from(load.worker == from);
                load.sessions += usize::from(load.worker == to);
            }
            moves += 1;
            assert!(moves < 10_000, "{loads:?}");
        }
        moves
    }

    #[test]
    fn a_fresh_worker_is_given_its_share_and_no_more() {
        let mut loads = [serves(1, 100), serves(2, 0)];
        assert_eq!(settle(&mut loads), 47);
        assert_eq!(loads.map(|load| load.sessions), [53, 47]);
        let mut loads = [serves(1, 90), serves(2, 90), serves(3, 0)];
        settle(&mut loads);
        assert!(loads.iter().all(|load| (54..=64).contains(&load.sessions)), "{loads:?}");
        assert_eq!(
            next_move(&[serves(1, 1), serves(2, 0)], Even::Now),
            None,
            "it would only be somewhere else"
        );
        assert_eq!(next_move(&[serves(1, 2), serves(2, 0)], Even::Now), Some((WorkerId(1), WorkerId(2))));
        assert_eq!(next_move(&[serves(1, 100)], Even::Now), None);
        assert_eq!(next_move(&[], Even::Now), None);
    }

    #[test]
    fn a_worker_that_leaves_gives_everything_and_is_given_nothing() {
        let leaves = Load { leaves: true, ..serves(1, 7) };
        let mut loads = [leaves, serves(2, 100), serves(3, 94)];
        assert_eq!(settle(&mut loads), 7);
        assert_eq!(loads[0].sessions, 0);
        let out = Some((WorkerId(1), WorkerId(2)));
        assert_eq!(next_move(&[leaves, serves(2, 0)], Even::Later), out, "it waits for nobody");
        assert_eq!(next_move(&[serves(1, 9), serves(2, 0)], Even::Later), None);
        assert_eq!(next_move(&[leaves], Even::Now), None, "there is nowhere to go");
        assert_eq!(next_move(&[leaves, Load { takes: false, ..serves(2, 0) }], Even::Now), None);
    }

    #[test]
    fn a_worker_that_takes_nothing_now_may_still_give() {
        let full = Load { takes: false, ..serves(1, 9) };
        assert_eq!(next_move(&[full, serves(2, 0)], Even::Now), Some((WorkerId(1), WorkerId(2))));
    }
}
