//! Slots by the names of those who are in them, without keeping the names a second time.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Whoever asks says which name belongs to a slot.
#[derive(Debug)]
pub(in crate::engine) struct Names<T> {
    slots: HashTable<T>,
    hasher: RandomState,
}

impl<T: Copy + PartialEq> Names<T> {
    pub(in crate::engine) fn new() -> Self {
        Self { slots: HashTable::new(), hasher: RandomState::new() }
    }

    pub(in crate::engine) fn reserve<'a>(&mut self, more: usize, name_of: impl Fn(T) -> &'a str) {
        let Self { slots, hasher } = self;
        slots.reserve(more, |slot| hasher.hash_one(name_of(*slot)));
    }

    pub(in crate::engine) fn find<'a>(
        &self,
        name: &str,
        name_of: impl Fn(T) -> &'a str,
    ) -> Option<T> {
        let hash = self.hasher.hash_one(name);
        self.slots.find(hash, |slot| name_of(*slot) == name).copied()
    }

    /// A name means this slot from now on, whatever it meant before.
    pub(in crate::engine) fn insert<'a>(
        &mut self,
        name: &str,
        slot: T,
        name_of: impl Fn(T) -> &'a str,
    ) {
        let Self { slots, hasher } = self;
        let hash = hasher.hash_one(name);
        match slots.find_mut(hash, |slot| name_of(*slot) == name) {
            Some(known) => *known = slot,
            None => {
                slots.insert_unique(hash, slot, |slot| hasher.hash_one(name_of(*slot)));
            }
        }
    }

    /// A name means this slot no longer. Whether it did.
    pub(in crate::engine) fn remove(&mut self, name: &str, slot: T) -> bool {
        let known = self.slots.find_entry(self.hasher.hash_one(name), |known| *known == slot);
        known.map(|known| known.remove()).is_ok()
    }
}
