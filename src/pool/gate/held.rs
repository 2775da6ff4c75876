//! The reservations and waiting tasks of the gates of a pool.

use std::{
    collections::{BTreeMap, HashMap},
    task::Waker,
};

use crate::engine::{
    AccountIx, Among, Ask, Before, Cost, Engine, Grant, KeyIx, Ordinary, Prior, Time, rank,
};

/// The reservations and waiting tasks of the gates of a pool.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    /// Reservations for the next requests of gates.
    held: BTreeMap<u64, Grant>,
    watchers: HashMap<AccountIx, Vec<(u64, Waker)>>,
    next: u64,
}

impl Gates {
    pub(in crate::pool) fn watch(
        &mut self,
        account: AccountIx,
        known: Option<(AccountIx, u64)>,
        waker: &Waker,
    ) -> (AccountIx, u64) {
        let watchers = self.watchers.entry(account).or_default();
        if let Some((_, id)) = known
            && let Some((_, known)) = watchers.iter_mut().find(|(other, _)| *other == id)
        {
            known.clone_from(waker);
            return (account, id);
        }
        self.next += 1;
        watchers.push((self.next, waker.clone()));
        (account, self.next)
    }

    pub(in crate::pool) fn forget(&mut self, watcher: Option<(AccountIx, u64)>) {
        let Some((account, id)) = watcher else { return };
        if let Some(watchers) = self.watchers.get_mut(&account) {
            watchers.retain(|(other, _)| *other != id);
        }
    }

    pub(in crate::pool) fn opened(
        &mut self,
        account: AccountIx,
    ) -> impl Iterator<Item = Waker> + use<> {
        self.watchers.remove(&account).into_iter().flatten().map(|(_, waker)| waker)
    }

    /// Reserves room for the smallest request of its kind on a key.
    pub(in crate::pool) fn hold(
        &mut self,
        engine: &mut Engine,
        now: Time,
        like: &Ordinary,
        key: KeyIx,
    ) -> Option<u64> {
        let ask = Ask {
            lane: like.lane,
            operation: like.operation,
            generates: false,
            tenant: engine.tenant(None),
            cost: Cost::default(),
            prior: Prior::default(),
            rank: rank(now, 0),
            deadline: now,
            answer_by: None,
            excluded: Vec::new(),
            refused_by: Vec::new(),
            before: Before::default(),
            tag: None,
            budget: None,
            is_unpriced: false,
            bond: None,
            among: Among::One(key),
        };
        let grant = engine.admit(now, &ask)?;
        self.next += 1;
        self.held.insert(self.next, grant);
        Some(self.next)
    }

    pub(in crate::pool) fn let_go_of(&mut self, engine: &mut Engine, now: Time, held: Option<u64>) {
        if let Some(grant) = held.and_then(|held| self.held.remove(&held)) {
            engine.refund(now, grant);
        }
    }

    /// Releases reservations of gates, because waiting requests have precedence over possible ones. Returns
    /// whether that made room.
    pub(in crate::pool) fn let_go(&mut self, engine: &mut Engine, now: Time) -> bool {
        let held = std::mem::take(&mut self.held);
        let any = !held.is_empty();
        held.into_values().for_each(|grant| engine.refund(now, grant));
        any
    }
}
