//! Affinity: which account has the beginning of a prompt in its cache.
//!
//! An LRU cache in two generations. A used entry moves to the young generation. When that is full,
//! the old generation is dropped and the young one becomes old.

use std::{collections::HashMap, sync::Arc};

use crate::{
    affinity::{Affinity, Kin},
    engine::{
        ask::Bond,
        ids::AccountIx,
        time::{Time, nanos},
    },
    snapshot::AffinityState,
};

/// The accounts that answered requests well, by the hashes of their prompts, in two generations.
#[derive(Debug)]
pub(in crate::engine) struct Affinities {
    young: HashMap<u64, Bound>,
    old: HashMap<u64, Bound>,
    stayed: u64,
    moved: u64,
    lifetime: u64,
    max_young: usize,
}

#[derive(Clone, Debug)]
struct Bound {
    /// Its name, because accounts change and their slots are used again.
    account: Arc<str>,
    until: Time,
}

impl Affinities {
    pub(in crate::engine) fn new(affinity: &Affinity) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            stayed: 0,
            moved: 0,
            lifetime: affinity.lifetime.map_or(0, nanos),
            max_young: affinity.capacity.div_ceil(2),
        }
    }

    /// The account with the longest known beginning of this prompt.
    pub(in crate::engine) fn find(
        &self,
        now: Time,
        kin: &Kin,
        find_account: impl FnOnce(&str) -> Option<AccountIx>,
    ) -> Option<Bond> {
        let hash = kin.whole().filter(|_| self.max_young > 0)?;
        let bound = kin.iter().find_map(|hash| {
            let bound = self.young.get(&hash).or_else(|| self.old.get(&hash))?;
            Some(bound).filter(|bound| bound.until > now)
        });
        let account = bound.and_then(|bound| find_account(&bound.account));
        Some(Bond { hash, account, patient_until: Time::ZERO })
    }

    /// An account answered a request well, so it has the whole prompt in its cache now.
    pub(in crate::engine) fn bind(&mut self, now: Time, bond: Bond, account: &Arc<str>) {
        if self.young.len() >= self.max_young && !self.young.contains_key(&bond.hash) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let bound = Bound { account: Arc::clone(account), until: now.plus(self.lifetime) };
        self.young.insert(bond.hash, bound);
    }

    /// A request is sent with an account: counts whether it stayed on its account.
    pub(in crate::engine) fn sent(&mut self, bond: Bond, account: AccountIx) {
        self.stayed += u64::from(bond.account == Some(account));
        self.moved += u64::from(bond.account.is_some_and(|kin| kin != account));
    }

    pub(in crate::engine) fn state(&self) -> AffinityState {
        let remembered = self.young.len() + self.old.len();
        AffinityState { remembered, stayed: self.stayed, moved: self.moved }
    }
}
