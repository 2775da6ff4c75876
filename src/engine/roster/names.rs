//! A hash table from names to slots that does not keep the names: they are in the slots.
//!
//! The standard `HashMap` would keep each name, or a fingerprint of it, a second time. A pool of many keys
//! has no memory for that, so this is a plain table with chains: 8 bytes for each slot.

use std::{
    hash::{BuildHasher, RandomState},
    iter::successors,
};

/// The end of a chain.
const END: u32 = u32::MAX;

/// Slots by name. The calls that compare names take a function that gives the name of a slot.
#[derive(Debug)]
pub(in crate::engine) struct Names<S = RandomState> {
    /// The first slot of each chain. A chain holds the names of one range of hashes.
    heads: Vec<u32>,
    /// For each slot that has a name, the next one of its chain.
    next: Vec<u32>,
    len: usize,
    hasher: S,
}

impl Names {
    pub(in crate::engine) fn new() -> Self {
        Self::with_hasher(RandomState::new())
    }
}

impl<S: BuildHasher> Names<S> {
    fn with_hasher(hasher: S) -> Self {
        Self { heads: Vec::new(), next: Vec::new(), len: 0, hasher }
    }

    /// Allocates room for exactly so many more names.
    pub(in crate::engine) fn reserve<'a>(
        &mut self,
        more: usize,
        name_of: impl Fn(usize) -> &'a str,
    ) {
        self.next.reserve_exact(more);
        if self.len + more > self.heads.len() {
            self.rebuild(self.len + more, name_of);
        }
    }

    pub(in crate::engine) fn find<'a>(
        &self,
        name: &str,
        name_of: impl Fn(usize) -> &'a str,
    ) -> Option<usize> {
        let head = *self.heads.get(self.chain(name))?;
        self.slots(head).find(|slot| name_of(*slot) == name)
    }

    /// Maps a name to this slot, in place of an older one. The slot must have no other name.
    pub(in crate::engine) fn insert<'a>(
        &mut self,
        name: &str,
        slot: usize,
        name_of: impl Fn(usize) -> &'a str,
    ) {
        if let Some(old) = self.find(name, &name_of) {
            self.remove(name, old);
        }
        if self.len == self.heads.len() {
            self.rebuild((2 * self.len).max(4), name_of);
        }
        self.link(name, slot);
        self.len += 1;
    }

    /// Removes a name if it maps to this slot; returns whether it did.
    pub(in crate::engine) fn remove(&mut self, name: &str, slot: usize) -> bool {
        let chain = self.chain(name);
        let Some(&head) = self.heads.get(chain) else { return false };
        let Some(place) = self.slots(head).position(|other| other == slot) else { return false };
        let rest = self.next[slot];
        match place.checked_sub(1).and_then(|before| self.slots(head).nth(before)) {
            Some(before) => self.next[before] = rest,
            None => self.heads[chain] = rest,
        }
        self.len -= 1;
        true
    }

    fn slots(&self, head: u32) -> impl Iterator<Item = usize> {
        let is_slot = |slot: &u32| *slot != END;
        let next = move |slot: &u32| Some(self.next[*slot as usize]).filter(is_slot);
        successors(Some(head).filter(is_slot), next).map(|slot| slot as usize)
    }

    fn chain(&self, name: &str) -> usize {
        // The share of its hash in all hashes is its share in the chains.
        let hash = u128::from(self.hasher.hash_one(name));
        ((hash * self.heads.len() as u128) >> u64::BITS) as usize
    }

    fn link(&mut self, name: &str, slot: usize) {
        let chain = self.chain(name);
        if slot >= self.next.len() {
            self.next.resize(slot + 1, END);
        }
        // Four billion keys do not fit into memory.
        self.next[slot] = std::mem::replace(&mut self.heads[chain], slot as u32);
    }

    fn rebuild<'a>(&mut self, chains: usize, name_of: impl Fn(usize) -> &'a str) {
        let all: Vec<usize> = self.heads.iter().flat_map(|head| self.slots(*head)).collect();
        self.heads = vec![END; chains];
        all.into_iter().for_each(|slot| self.link(name_of(slot), slot));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        hash::{BuildHasherDefault, Hasher},
    };

    use super::*;

    /// All names have one hash.
    #[derive(Default)]
    struct Same;

    impl Hasher for Same {
        fn write(&mut self, _: &[u8]) {}

        fn finish(&self) -> u64 {
            u64::MAX
        }
    }

    /// Compares with a `HashMap`, while names come, go, and move to other slots.
    fn check(mut names: Names<impl BuildHasher>, steps: usize) {
        let mut rng = fastrand::Rng::with_seed(42);
        let mut name_of: Vec<String> = Vec::new();
        let mut model: HashMap<String, usize> = HashMap::new();
        let mut free = Vec::new();
        for step in 0..steps {
            let name = format!("key-{}", rng.usize(..60));
            let known = model.get(&name).copied();
            assert_eq!(names.find(&name, |slot| &name_of[slot]), known, "step {step}");
            match (known, rng.bool()) {
                (Some(slot), true) => {
                    assert!(names.remove(&name, slot) && !names.remove(&name, slot));
                    model.remove(&name);
                    free.push(slot);
                }
                (old, _) => {
                    let slot = free.pop().unwrap_or(name_of.len());
                    names.insert(&name, slot, |slot| &name_of[slot]);
                    match name_of.get_mut(slot) {
                        Some(free) => free.clone_from(&name),
                        None => name_of.push(name.clone()),
                    }
                    model.insert(name.clone(), slot);
                    if let Some(old) = old {
                        assert!(!names.remove(&name, old), "it means another slot by now");
                        free.push(old);
                    }
                }
            }
            if rng.u8(..) == 0 {
                names.reserve(rng.usize(..100), |slot| &name_of[slot]);
            }
        }
        assert_eq!(names.len, model.len());
    }

    #[test]
    fn a_name_finds_its_slot_and_no_other() {
        check(Names::new(), 20_000);
    }

    #[test]
    fn names_with_one_hash_are_told_apart() {
        check(Names::with_hasher(BuildHasherDefault::<Same>::default()), 5_000);
    }
}
