//! A line for what is mostly one at a time: the first lies in the line itself, and needs no memory of its own.
//!
//! A session has one turn in flight, mostly, and one that has come and has no number yet, for a moment.

use std::collections::{VecDeque, vec_deque};
use std::iter::Chain;
use std::option;

/// First in, first out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line<T> {
    /// None when nobody is in it.
    first: Option<T>,
    others: VecDeque<T>,
}

impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        Line { first: None, others: VecDeque::new() }
    }
}

impl<T> Line<T> {
    /// This one alone.
    pub(crate) fn of(first: T) -> Line<T> {
        Line { first: Some(first), others: VecDeque::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn push_back(&mut self, last: T) {
        match self.first {
            None => self.first = Some(last),
            Some(_) => self.others.push_back(last),
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        std::mem::replace(&mut self.first, self.others.pop_front())
    }

    /// The first one, if it is such a one.
    pub(crate) fn pop_front_if(&mut self, is_such: impl FnOnce(&T) -> bool) -> Option<T> {
        if self.front().is_some_and(is_such) { self.pop_front() } else { None }
    }

    /// Puts one before the one at this place, 0 being the first; at the end, when there are not so many.
    pub(crate) fn insert(&mut self, at: usize, one: T) {
        match (at, &mut self.first) {
            (_, None) => self.first = Some(one),
            (0, Some(first)) => self.others.push_front(std::mem::replace(first, one)),
            _ => self.others.insert((at - 1).min(self.others.len()), one),
        }
    }

    /// Takes out the one at this place, 0 being the first.
    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        if at == 0 { self.pop_front() } else { self.others.remove(at - 1) }
    }

    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        let first = self.first.take().filter(&mut stays);
        self.others.retain(stays);
        self.first = first.or_else(|| self.others.pop_front());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.first.iter().chain(self.others.iter())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> + '_ {
        self.first.iter_mut().chain(self.others.iter_mut())
    }
}

impl<T> IntoIterator for Line<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec_deque::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Pop,
        PopIf(u8),
        Insert(usize, u8),
        Remove(usize),
        Retain(u8),
        Change(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u8>().prop_map(Step::Push),
            2 => Just(Step::Pop),
            1 => any::<u8>().prop_map(Step::PopIf),
            1 => (0..8_usize, any::<u8>()).prop_map(|(at, one)| Step::Insert(at, one)),
            1 => (0..8_usize).prop_map(Step::Remove),
            1 => (1..5_u8).prop_map(Step::Retain),
            1 => any::<u8>().prop_map(Step::Change),
        ]
    }

    proptest! {
        #[test]
        fn as_a_deque(steps in proptest::collection::vec(step(), 0..60)) {
            let (mut line, mut deque) = (Line::default(), VecDeque::new());
            for step in steps {
                match step {
                    Step::Push(one) => {
                        line.push_back(one);
                        deque.push_back(one);
                    }
                    Step::Pop => prop_assert_eq!(line.pop_front(), deque.pop_front()),
                    Step::PopIf(most) => {
                        let popped = deque.pop_front_if(|one| *one <= most);
                        prop_assert_eq!(line.pop_front_if(|one| *one <= most), popped);
                    }
                    Step::Insert(at, one) => {
                        line.insert(at, one);
                        deque.insert(at.min(deque.len()), one);
                    }
                    Step::Remove(at) => prop_assert_eq!(line.remove(at), deque.remove(at)),
                    Step::Retain(by) => {
                        line.retain(|one| one % by != 0);
                        deque.retain(|one| one % by != 0);
                    }
                    Step::Change(add) => {
                        line.iter_mut().for_each(|one| *one = one.wrapping_add(add));
                        deque.iter_mut().for_each(|one| *one = one.wrapping_add(add));
                    }
                }
                prop_assert!(line.iter().eq(deque.iter()), "{:?} is not {:?}", line, deque);
                prop_assert!(line.clone().into_iter().eq(deque.iter().copied()));
                prop_assert_eq!((line.len(), line.is_empty(), line.front()), (deque.len(), deque.is_empty(), deque.front()));
            }
        }

        #[test]
        fn one_alone_is_in_it(one in any::<u8>()) {
            prop_assert_eq!(Line::of(one).into_iter().collect::<Vec<_>>(), vec![one]);
        }
    }
}
