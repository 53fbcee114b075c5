//! All sessions of a game: found by id at once, and gone through in the order of their ids.
//!
//! A turn looks its session up a dozen times, and hardly anything ever goes through all of them.

use std::collections::{BTreeSet, HashMap};

use super::Session;
use crate::ids::{IdHash, SessionId};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<SessionId, Box<Session>, IdHash>,
    /// The same ids: what is done to all of them is done in an order that does not depend on a hash.
    in_order: BTreeSet<SessionId>,
}

impl Sessions {
    pub(crate) fn get(&self, id: &SessionId) -> Option<&Session> {
        self.by_id.get(id).map(|session| &**session)
    }

    pub(crate) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(id).map(|session| &mut **session)
    }

    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        self.in_order.insert(id);
        self.by_id.insert(id, Box::new(session));
    }

    pub(crate) fn remove(&mut self, id: &SessionId) -> Option<Session> {
        self.in_order.remove(id);
        self.by_id.remove(id).map(|session| *session)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &SessionId> {
        self.in_order.iter()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Session> {
        self.in_order.iter().filter_map(|id| self.get(id))
    }

    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&mut Session)) {
        for id in &self.in_order {
            if let Some(session) = self.by_id.get_mut(id) {
                change(session);
            }
        }
    }
}
