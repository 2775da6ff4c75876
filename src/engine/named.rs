//! A bounded table of things that callers name.
//!
//! Callers choose the names and the table keeps them, so their number and length are bounded. If
//! the table is full, an entry that may be forgotten makes room. Otherwise all further names share
//! one entry.

use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
    sync::Arc,
};

/// The name of the shared entry. A caller that uses this name shares it, too.
pub(crate) const OTHERS: &str = "(other)";

/// The longest name with an entry of its own, in bytes.
const MAX_NAME_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct Named<T> {
    slots: Vec<Slot<T>>,
    by_name: HashMap<Arc<str>, usize>,
    /// The most entries, beside kept ones and the shared one.
    max: usize,
    own: usize,
    others: Option<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    name: Option<Arc<str>>,
    /// Never forgotten.
    is_kept: bool,
    thing: T,
}

impl<T> Named<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { slots: Vec::new(), by_name: HashMap::new(), max, own: 0, others: None }
    }

    /// Lowers the maximum number of entries. Existing entries stay.
    pub(crate) fn allow_at_most(&mut self, max: usize) {
        self.max = self.max.min(max);
    }

    /// Adds an entry that is never forgotten and does not count: a declared one, or the one of
    /// requests without a name.
    pub(crate) fn keep(&mut self, name: Option<Arc<str>>, thing: T) -> usize {
        self.add(name, true, thing)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The index of a name. `make` makes a new entry. `worth` gives the value of an entry, the
    /// least valuable is forgotten first; `None` for entries that must stay.
    pub(crate) fn resolve<W: Ord>(
        &mut self,
        name: &str,
        worth: impl Fn(&T) -> Option<W>,
        make: impl FnOnce(&Arc<str>) -> T,
    ) -> usize {
        if let Some(known) = self.find(name) {
            return known;
        }
        if name.len() > MAX_NAME_BYTES || name == OTHERS {
            return self.others(make);
        }
        let is_full = self.own >= self.max;
        let forgotten = if is_full { self.least(worth) } else { None };
        if is_full && forgotten.is_none() {
            return self.others(make);
        }
        let name: Arc<str> = Arc::from(name);
        let thing = make(&name);
        let Some(place) = forgotten else {
            self.own += 1;
            return self.add(Some(name), false, thing);
        };
        let new = Slot { name: Some(Arc::clone(&name)), is_kept: false, thing };
        let old = std::mem::replace(&mut self.slots[place], new);
        old.name.and_then(|name| self.by_name.remove(&name));
        self.by_name.insert(name, place);
        place
    }

    fn others(&mut self, make: impl FnOnce(&Arc<str>) -> T) -> usize {
        if let Some(others) = self.others {
            return others;
        }
        let name: Arc<str> = Arc::from(OTHERS);
        let thing = make(&name);
        let others = self.add(Some(name), true, thing);
        self.others = Some(others);
        others
    }

    fn add(&mut self, name: Option<Arc<str>>, is_kept: bool, thing: T) -> usize {
        let place = self.slots.len();
        self.by_name.extend(name.clone().map(|name| (name, place)));
        self.slots.push(Slot { name, is_kept, thing });
        place
    }

    /// The least valuable entry.
    fn least<W: Ord>(&self, worth: impl Fn(&T) -> Option<W>) -> Option<usize> {
        let own = self.slots.iter().enumerate().filter(|(_, slot)| !slot.is_kept);
        let worth = own.filter_map(|(place, slot)| Some((worth(&slot.thing)?, place)));
        worth.min().map(|(_, place)| place)
    }

    /// The index of the shared entry, if it exists.
    pub(crate) fn others_place(&self) -> Option<usize> {
        self.others
    }

    pub(crate) fn name(&self, place: usize) -> Option<&Arc<str>> {
        self.slots[place].name.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&Arc<str>>, &T)> {
        self.slots.iter().map(|slot| (slot.name.as_ref(), &slot.thing))
    }

    pub(crate) fn things(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.thing)
    }

    pub(crate) fn things_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().map(|slot| &mut slot.thing)
    }
}

impl<T> Index<usize> for Named<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.slots[place].thing
    }
}

impl<T> IndexMut<usize> for Named<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.slots[place].thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_forgets_the_least_valuable_entry_or_shares_one() {
        let mut table = Named::new(2);
        let kept = table.keep(None, 0);
        let add = |table: &mut Named<u32>, name: &str, worth: u32| {
            table.resolve(name, |worth| Some(*worth).filter(|worth| *worth < 100), |_| worth)
        };
        let (a, b) = (add(&mut table, "a", 200), add(&mut table, "b", 7));
        assert_eq!(add(&mut table, "c", 300), b, "it was worth less than a hundred");
        assert_eq!((table.find("b"), table.find("c")), (None, Some(b)));
        let others = add(&mut table, "d", 1);
        assert_eq!(add(&mut table, "e", 1), others);
        assert_eq!(add(&mut table, OTHERS, 1), others);
        assert_eq!(add(&mut table, &"x".repeat(257), 1), others);
        assert_eq!((table.find("d"), table.name(others).map(|name| &**name)), (None, Some(OTHERS)));
        assert_eq!(table.len(), 4);
        assert_eq!((kept, a), (0, 1));
    }

    #[test]
    fn the_name_of_the_shared_entry_is_shared_from_the_start() {
        let mut table = Named::new(1);
        let own = table.resolve(OTHERS, |()| Some(()), |_| ());
        assert_eq!(table.resolve(&"x".repeat(300), |()| Some(()), |_| ()), own);
        assert_eq!(table.others_place(), Some(own));
    }
}
