//! How many descriptors the system gives us, and what part of them connections may have.
//!
//! A worker needs half a dozen. If clients could use all of them up, no fresh worker could take over when one dies.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::doors::CONNECTIONS_MAX;

/// Of all descriptors, connections on one door may have one in this many: half of all is left for workers and files.
const SHARE_OF_A_DOOR: u64 = 4;

/// Raises the limit as far as an ordinary user may (getrlimit(2)), and says how many connections each door takes.
pub(super) fn connections_max() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let max = share(limit.current);
    if max < CONNECTIONS_MAX {
        tracing::warn!(
            descriptors = limit.current,
            connections = max,
            "few descriptors: each socket takes fewer connections; raise the limit (ulimit -n, LimitNOFILE) for more"
        );
    }
    max
}

/// Connections of one door; no limit is `None`.
fn share(descriptors: Option<u64>) -> usize {
    let max = CONNECTIONS_MAX as u64;
    descriptors.map_or(max, |all| (all / SHARE_OF_A_DOOR).clamp(1, max)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_descriptors_to_others() {
        assert_eq!(share(Some(1024)), 256);
        assert_eq!(share(Some(1)), 1);
        assert_eq!(share(Some(1 << 20)), CONNECTIONS_MAX);
        assert_eq!(share(None), CONNECTIONS_MAX);
    }
}
