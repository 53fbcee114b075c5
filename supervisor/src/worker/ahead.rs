//! Workers that are made ahead: blank processes in their namespaces, nobody's yet. Whoever wants one of the kind that was wanted last need not wait for the kernel.
//!
//! ```text
//!  launch ─┬─ one of this kind, waiting ─▶ its limits ─▶ away                       8 ms without a launch ─▶ make one more, up to `most`;
//!          └─ none ─▶ made while the caller waits                                   one of another kind gives way
//! ```
//!
//! Nothing of a plugin is in them. They have put on what confines every plugin alike (an empty root, no privileges, Landlock), like any worker that has just been made. Which
//! plugin they get, its limits and its filter are said when they are given away. The launcher's thread makes them ([`super::nursery`]); this only keeps them.

use std::time::{Duration, Instant};

use super::launcher::{Launched, Order};
use crate::jail::plan::Layout;

/// Most that may be kept.
pub const WORKERS_AHEAD_MAX: usize = 16;
/// How many are kept, unless somebody says otherwise.
pub const WORKERS_AHEAD_DEFAULT: usize = 1;
/// Without a launch for so long there is time to make one: whoever was launched last has its plugin by then, and shares its processors with nobody.
const QUIET: Duration = Duration::from_millis(8);

/// What cannot be changed in a worker once it has been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    namespaces: u32,
    layout: Layout,
    has_cgroup: bool,
    first_layers: u32,
}

impl Kind {
    fn of(order: Order) -> Kind {
        Kind {
            namespaces: order.namespaces,
            layout: order.layout,
            has_cgroup: order.cgroup.is_some(),
            first_layers: order.first_layers,
        }
    }
}

/// Those that are there, and when to make another.
pub(super) struct Ahead {
    most: usize,
    /// What was ordered last.
    like: Option<Order>,
    due: Option<Instant>,
    made: Vec<(Kind, Launched)>,
}

impl Ahead {
    /// Keeps this many, 0 for none.
    pub(super) fn new(most: usize) -> Ahead {
        Ahead { most, like: None, due: None, made: Vec::new() }
    }

    /// Somebody ordered a worker, and the next one may want another of the kind.
    pub(super) fn ordered(&mut self, order: Order, now: Instant) {
        if self.most > 0 {
            (self.like, self.due) = (Some(order), Some(now + QUIET));
        }
    }

    /// One for this order, if there is one that waits, is of this zygote, and takes the limits. Those that will not do are ended.
    pub(super) fn take(&mut self, order: Order, zygote: u64) -> Option<Launched> {
        let kind = Kind::of(order);
        while let Some(at) = self.made.iter().position(|(of, _)| *of == kind) {
            let (_, mut launched) = self.made.remove(at);
            if launched.handle.zygote == zygote && waits(&launched) && limited(&mut launched, order) {
                return Some(launched);
            }
        }
        None
    }

    /// When to make one; nothing when there are enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What to make now. Nobody is asked a second time for the same one: see [`Ahead::put`].
    pub(super) fn order(&mut self, zygote: u64) -> Option<Order> {
        self.due = None;
        let order = self.like?;
        self.made.retain(|(_, made)| made.handle.zygote == zygote && waits(made));
        let kinds: Vec<Kind> = self.made.iter().map(|(kind, _)| *kind).collect();
        match room(&kinds, Kind::of(order), self.most) {
            Room::Free => {}
            Room::InPlaceOf(at) => drop(self.made.remove(at)),
            Room::None => return None,
        }
        Some(order)
    }

    /// One was made.
    pub(super) fn put(&mut self, order: Order, launched: Launched, now: Instant) {
        self.made.push((Kind::of(order), launched));
        self.due = (self.made.len() < self.most).then_some(now);
    }

    /// The zygote has died, and they with it.
    pub(super) fn clear(&mut self) {
        self.made.clear();
    }
}

/// Where one more of a kind goes.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    /// There are fewer than there may be.
    Free,
    /// In place of this one, which is of another kind.
    InPlaceOf(usize),
    /// There is one already, and no room for two.
    None,
}

fn room(made: &[Kind], wanted: Kind, most: usize) -> Room {
    if made.len() < most {
        Room::Free
    } else if made.contains(&wanted) {
        Room::None
    } else {
        // The oldest.
        Room::InPlaceOf(0)
    }
}

/// It waits for what comes: neither ended nor stopped. One that is killed or stopped from now on fares like any worker that is.
fn waits(launched: &Launched) -> bool {
    // The number is its own until it is reaped (proc(5): pid, name in brackets, state).
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", launched.handle.pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['S', 'R', 'D']))
}

/// It was made with the limits of whoever was first; now it gets those of whom it is for.
fn limited(launched: &mut Launched, order: Order) -> bool {
    match order.cgroup {
        Some(limits) => launched.handle.limit(limits),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_wanted_in_turn_are_all_kept_if_there_is_room() {
        let kind =
            |namespaces| Kind { namespaces, layout: Layout::Shared, has_cgroup: true, first_layers: 0 };
        let fresh = Kind { layout: Layout::Fresh, ..kind(1) };
        assert_eq!(room(&[], kind(1), 1), Room::Free);
        assert_eq!(room(&[kind(1)], kind(1), 1), Room::None);
        assert_eq!(room(&[kind(1)], fresh, 1), Room::InPlaceOf(0));
        assert_eq!(room(&[kind(1)], fresh, 2), Room::Free);
        assert_eq!(room(&[kind(1), fresh], kind(1), 2), Room::None);
        assert_eq!(room(&[kind(1), fresh], kind(2), 2), Room::InPlaceOf(0));
    }
}
