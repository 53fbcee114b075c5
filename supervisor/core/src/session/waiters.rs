//! Who waits for one answer: nearly always one caller, who needs no memory of their own here.

use crate::ids::RequestId;

/// Callers, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiters {
    first: Option<RequestId>,
    /// Those behind the first one; none without a first one.
    others: Vec<RequestId>,
}

impl Waiters {
    /// This one alone.
    pub fn one(request: RequestId) -> Waiters {
        Waiters { first: Some(request), others: Vec::new() }
    }

    /// Adds one at the end.
    pub fn push(&mut self, request: RequestId) {
        match self.first {
            None => self.first = Some(request),
            Some(_) => self.others.push(request),
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, request: RequestId) {
        if self.first == Some(request) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        } else {
            self.others.retain(|other| *other != request);
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.first.into_iter().chain(self.others.iter().copied())
    }
}

impl IntoIterator for Waiters {
    type Item = RequestId;
    type IntoIter = std::iter::Chain<std::option::IntoIter<RequestId>, std::vec::IntoIter<RequestId>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

impl<const N: usize> PartialEq<[RequestId; N]> for Waiters {
    fn eq(&self, other: &[RequestId; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_in_order_whoever_leaves() {
        let mut waiters = Waiters::default();
        assert!(waiters.is_empty());
        (1..=4).for_each(|id| waiters.push(RequestId(id)));
        waiters.remove(RequestId(1));
        waiters.remove(RequestId(3));
        waiters.remove(RequestId(9));
        assert_eq!(waiters, [RequestId(2), RequestId(4)]);
        assert_eq!(waiters.len(), 2);
        waiters.remove(RequestId(2));
        waiters.push(RequestId(5));
        assert_eq!(waiters.into_iter().collect::<Vec<_>>(), [RequestId(4), RequestId(5)]);
    }
}
