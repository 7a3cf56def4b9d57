//! A bounded map that forgets what was used longest ago.

use std::borrow::Borrow;
use std::hash::{Hash, RandomState};

use lru::LruCache;

/// At most `capacity` entries; every operation but [`Bounded::iter`] and [`Bounded::clear`] takes constant time.
///
/// Strangers choose the keys (by the credentials they show), so the hash is the standard library's keyed one. Memory
/// grows with use: a full table set aside at start would cost every VM of every Envoy.
pub struct Bounded<K: Hash + Eq, V> {
    entries: LruCache<K, V, RandomState>,
    capacity: usize,
}

impl<K: Hash + Eq, V> Bounded<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { entries: LruCache::unbounded_with_hasher(RandomState::new()), capacity }
    }

    /// Finds an entry and makes it the most recently used.
    pub fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// Like [`Self::get`], to change the entry.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// Keeps an entry. Returns what had to go for it: the entry that had this key, or the least recently used one if
    /// the map was full; the entry itself if the capacity is 0.
    pub fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if self.capacity == 0 {
            return Some((key, value));
        }
        let replaced = self.entries.push(key, value);
        if self.entries.len() > self.capacity { self.entries.pop_lru() } else { replaced }
    }

    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        self.entries.pop_entry(key)
    }

    /// Removes the least recently used entry if there are more than `capacity`; to be called until it returns `None`
    /// after the capacity was lowered.
    pub fn pop_excess(&mut self) -> Option<(K, V)> {
        (self.entries.len() > self.capacity).then(|| self.entries.pop_lru()).flatten()
    }

    /// Removes the least recently used entry.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        self.entries.pop_lru()
    }

    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, the most recently used first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }
}

/// Prints sizes only: keys and values may be secret.
impl<K: Hash + Eq, V> std::fmt::Debug for Bounded<K, V> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Bounded({} of {})", self.len(), self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;
    use proptest::prelude::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut map = Bounded::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("b", 2), None);
        assert_eq!(map.get("a"), Some(&1));
        assert_eq!(map.insert("c", 3), Some(("b", 2)));
        assert_eq!(map.insert("a", 4), Some(("a", 1)));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"a", &4), (&"c", &3)]);
        map.set_capacity(1);
        assert_eq!((map.pop_excess(), map.pop_excess()), (Some(("c", 3)), None));
        assert_eq!(Bounded::new(0).insert("a", 1), Some(("a", 1)));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(
            capacity in 0_usize..5,
            steps in proptest::collection::vec((0_u8..3, 0_u8..8), 0..60),
        ) {
            let mut map = Bounded::new(capacity);
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (turn, (action, key)) in steps.into_iter().enumerate() {
                let position = list.iter().position(|(other, _)| *other == key);
                let before = position.map(|position| list.remove(position));
                match action {
                    0 => {
                        prop_assert_eq!(map.get(&key).copied(), before.map(|(_, value)| value));
                        list.extend(before);
                    }
                    1 => prop_assert_eq!(map.remove(&key), before),
                    _ => {
                        list.push((key, turn));
                        let gone = if list.len() > capacity { Some(list.remove(0)) } else { before };
                        prop_assert_eq!(map.insert(key, turn), gone);
                    }
                }
                prop_assert!(map.len() <= capacity);
                prop_assert_eq!(map.len(), list.len());
            }
        }
    }
}
