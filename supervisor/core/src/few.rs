//! A map for what is mostly one: that one lies in the map itself, and needs no memory of its own.
//!
//! Most sessions have one client, most clients one turn that runs, most turns one caller who waits. A tree with one leaf for each of those was the largest part of a session's memory, and
//! three more places that a turn had to fetch from far away.

use std::collections::BTreeMap;
use std::ops::Bound;

/// A map by an ordered key.
#[derive(Debug, Clone)]
pub(crate) struct Few<K, V> {
    one: Option<(K, V)>,
    /// None of them has the key of `one`.
    others: BTreeMap<K, V>,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Few<K, V> {
        Few { one: None, others: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V> Few<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.one.is_none() && self.others.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.one.is_some()) + self.others.len()
    }

    pub(crate) fn contains_key(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        match &self.one {
            Some((one, value)) if *one == key => Some(value),
            _ => self.others.get(&key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match &mut self.one {
            Some((one, value)) if *one == key => Some(value),
            _ => self.others.get_mut(&key),
        }
    }

    /// Adds one that is not there, or replaces it.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match &mut self.one {
            Some((one, known)) if *one == key => *known = value,
            None if !self.others.contains_key(&key) => self.one = Some((key, value)),
            _ => drop(self.others.insert(key, value)),
        }
    }

    /// The one with this key; a new one, when there is none.
    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if self.one.is_none() && !self.others.contains_key(&key) {
            return &mut self.one.insert((key, V::default())).1;
        }
        match &mut self.one {
            Some((one, value)) if *one == key => value,
            _ => self.others.entry(key).or_default(),
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        match self.one.take_if(|(one, _)| *one == key) {
            Some((_, value)) => Some(value),
            None => self.others.remove(&key),
        }
    }

    /// The highest key.
    pub(crate) fn last_key(&self) -> Option<K> {
        let one = self.one.as_ref().map(|(key, _)| *key);
        one.max(self.others.last_key_value().map(|(key, _)| *key))
    }

    /// All of them, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> + '_ {
        let one = self.one.as_ref().map(|(key, value)| (*key, value));
        let (below, above) = match one {
            None => (Bound::Unbounded, None),
            Some((key, _)) => (Bound::Excluded(key), Some((Bound::Excluded(key), Bound::Unbounded))),
        };
        let pair = |(key, value): (&K, _)| (*key, value);
        let below = self.others.range((Bound::Unbounded, below)).map(pair);
        below.chain(one).chain(above.into_iter().flat_map(move |above| self.others.range(above)).map(pair))
    }

    /// All values, by key.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> + '_ {
        self.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u8, u32),
        Default(u8),
        Change(u8, u32),
        Remove(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few keys, so that each step often meets one that is there.
        let key = 0..6_u8;
        prop_oneof![
            (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            key.clone().prop_map(Step::Default),
            (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Change(key, value)),
            key.prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn as_a_map(steps in proptest::collection::vec(step(), 0..60)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        few.insert(key, value);
                        map.insert(key, value);
                    }
                    Step::Default(key) => {
                        prop_assert_eq!(&*few.get_or_default(key), &*map.entry(key).or_default());
                    }
                    Step::Change(key, value) => {
                        let change = |known: Option<&mut u32>| known.map(|known| std::mem::replace(known, value));
                        prop_assert_eq!(change(few.get_mut(key)), change(map.get_mut(&key)));
                    }
                    Step::Remove(key) => prop_assert_eq!(few.remove(key), map.remove(&key)),
                }
                prop_assert_eq!(few.iter().collect::<Vec<_>>(), map.iter().map(|(k, v)| (*k, v)).collect::<Vec<_>>());
                prop_assert_eq!(few.values().collect::<Vec<_>>(), map.values().collect::<Vec<_>>());
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!(few.last_key(), map.last_key_value().map(|(key, _)| *key));
                for key in 0..6 {
                    prop_assert_eq!(few.get(key), map.get(&key));
                    prop_assert_eq!(few.contains_key(key), map.contains_key(&key));
                }
            }
        }
    }
}
