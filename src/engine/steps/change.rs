//! Accounts and keys that are added, changed and removed while requests are under way.
//!
//! A key or an account that is no longer declared takes no new requests, and is removed once its
//! last request has ended. Until then it can be declared again and continues as before. After that
//! its slot is free: no grant and no seat refers to it. A request that excludes the old key names
//! its generation, which no new key has.

use crate::{
    KeyId,
    engine::{
        Engine,
        ids::{AccountIx, KeyIx},
        meter::Meter,
        roster::account::{Account, Key, Life, NewAccount, NewKey, turn_of},
        time::Time,
    },
    event::Event,
};

impl Engine {
    /// The account of a name, declared or leaving.
    pub(crate) fn find_account(&self, name: &str) -> Option<AccountIx> {
        self.by_name.find(name, |slot| &self.accounts[slot].name).map(AccountIx::new)
    }

    /// The key of an id, declared or leaving.
    pub(crate) fn find_key(&self, id: &KeyId) -> Option<KeyIx> {
        let slot = self.by_id.find(id.as_str(), |slot| self.keys[slot].id.as_str())?;
        Some(self.keys[slot].ix)
    }

    /// How many keys are declared.
    pub(crate) fn total_keys(&self) -> usize {
        self.total_keys
    }

    /// Declares an account, without keys so far.
    pub(crate) fn insert_account(&mut self, now: Time, new: NewAccount) -> AccountIx {
        if let Some(ix) = self.find_account(&new.name) {
            self.accounts[ix.index()].is_leaving = false;
            self.place_last(ix);
            self.set_account_weight(ix, new.weight);
            self.set_account_limits(now, ix, new.meters);
            return ix;
        }
        let ix = self.free_accounts.pop().unwrap_or(AccountIx::new(self.accounts.len()));
        self.by_name.insert(&new.name, ix.index(), |slot| &self.accounts[slot].name);
        self.place_last(ix);
        self.note_spending(new.meters.iter());
        let account = Account::new(new);
        self.lanes.seat_new(ix, &account);
        match self.accounts.get_mut(ix.index()) {
            Some(free) => *free = account,
            None => self.accounts.push(account),
        }
        ix
    }

    /// Declares a key.
    pub(crate) fn insert_key(&mut self, now: Time, account: AccountIx, new: NewKey) -> KeyIx {
        let expires = new.expires;
        let leaving = self.find_key(&new.id);
        let leaving = leaving.filter(|ix| self.keys[ix.index()].account == account);
        let ix = match leaving {
            Some(ix) => {
                // It may have another secret: what was said since it was removed is not about that.
                self.forget_refusals(ix);
                let key = &mut self.keys[ix.index()];
                key.life = Life::Good;
                key.secret = key.secret.wrapping_add(1);
                key.turn = turn_of(new.weight);
                self.set_key_limits(now, ix, new.meters);
                ix
            }
            None => {
                let ix = self.free_keys.pop().unwrap_or(KeyIx::new(self.keys.len()));
                let id_of = |slot: usize| self.keys[slot].id.as_str();
                self.by_id.insert(new.id.as_str(), ix.index(), id_of);
                self.note_spending(new.meters.iter());
                let key = Key::new(ix, account, new, &self.accounts[account.index()].round_trip);
                match self.keys.get_mut(ix.index()) {
                    Some(free) => *free = key,
                    None => self.keys.push(key),
                }
                ix
            }
        };
        self.catch_up(ix);
        let keys = &mut self.accounts[account.index()].keys;
        // Most accounts have one key, and there may be very many accounts.
        keys.reserve_exact(usize::from(keys.is_empty()));
        keys.push(ix);
        self.total_keys += 1;
        self.live_keys += 1;
        self.usable_keys += 1;
        self.set_expiry(now, ix, expires);
        self.revive(account);
        ix
    }

    /// A key has a new secret: its standings are cleared.
    pub(crate) fn renew_key(&mut self, now: Time, ix: KeyIx, expires: Option<Time>) {
        self.forget_refusals(ix);
        let key = &mut self.keys[ix.index()];
        key.secret = key.secret.wrapping_add(1);
        let account = key.account;
        if key.life == Life::Expired {
            self.change_key(ix, |key| key.life = Life::Good);
            self.catch_up(ix);
        }
        self.set_expiry(now, ix, expires);
        self.revive(account);
    }

    /// A key is no longer declared.
    pub(crate) fn remove_key(&mut self, ix: KeyIx) {
        self.expiries.forget(ix);
        self.forget_refusals(ix);
        self.change_key(ix, |key| key.life = Life::Leaving);
        let account = self.keys[ix.index()].account;
        self.accounts[account.index()].keys.retain(|other| *other != ix);
        self.total_keys -= 1;
        self.unstall();
        self.let_go(ix);
    }

    /// These accounts without keys are no longer declared.
    pub(crate) fn remove_accounts(&mut self, accounts: &[AccountIx]) {
        for ix in accounts {
            self.accounts[ix.index()].is_leaving = true;
        }
        self.order.retain(|ix| !self.accounts[ix.index()].is_leaving);
        self.is_by_slot = self.order.is_sorted();
        self.unstall();
        accounts.iter().for_each(|ix| self.let_go_account(*ix));
    }

    /// Sets the order of the declared accounts.
    pub(crate) fn arrange(&mut self, order: Vec<AccountIx>) {
        self.order = order;
        self.is_by_slot = self.order.is_sorted();
    }

    fn place_last(&mut self, ix: AccountIx) {
        self.is_by_slot &= self.order.last().is_none_or(|last| *last < ix);
        self.order.push(ix);
    }

    pub(crate) fn set_account_weight(&mut self, ix: AccountIx, weight: u32) {
        self.accounts[ix.index()].weight = weight;
        self.lanes.iter_mut().for_each(|lane| lane.seat_mut(ix).weight = weight);
    }

    pub(crate) fn set_key_weight(&mut self, ix: KeyIx, weight: u32) {
        self.keys[ix.index()].turn = turn_of(weight);
    }

    /// Replaces the limits of an account. A limit that is still declared continues to count, even
    /// with another amount. A new one counts the requests that are admitted from now on.
    pub(crate) fn set_account_limits(&mut self, now: Time, ix: AccountIx, new: Vec<Meter>) {
        self.epoch = self.epoch.saturating_add(1);
        self.note_spending(new.iter());
        self.accounts[ix.index()].declare(now, new, self.epoch);
        self.lanes.recount(ix, &self.accounts[ix.index()]);
        self.revive(ix);
    }

    /// Replaces the limits of a key, by the same rules.
    pub(crate) fn set_key_limits(&mut self, now: Time, ix: KeyIx, new: Vec<Meter>) {
        self.epoch = self.epoch.saturating_add(1);
        self.note_spending(new.iter());
        let key = &mut self.keys[ix.index()];
        let account = key.account;
        key.declare(now, new, self.epoch, &self.accounts[account.index()].round_trip);
        self.revive(account);
    }

    /// A new key starts at the load of the others, so that it does not get all requests until it
    /// has caught up.
    pub(in crate::engine) fn catch_up(&mut self, ix: KeyIx) {
        let key = &self.keys[ix.index()];
        let others = self.accounts[key.account.index()].keys.iter().filter(|other| **other != ix);
        let others = others.map(|other| &self.keys[other.index()]);
        let least = others.filter(|other| other.life == Life::Good).map(|other| other.load).min();
        let key = &mut self.keys[ix.index()];
        key.load = key.load.max(least.unwrap_or(0));
    }

    /// Clears the standings of a key and its account, so that both are used at once.
    pub(crate) fn revive_key(&mut self, ix: KeyIx) {
        self.forget_refusals(ix);
        let account = self.keys[ix.index()].account;
        self.accounts[account.index()].standing.revive();
        for lane in self.lanes.iter_mut() {
            let seat = lane.seat_mut(account);
            seat.standing.revive();
            seat.largest = None;
        }
        self.revive(account);
        self.events.push(Event::KeyRevived { key: self.keys[ix.index()].id.clone() });
    }

    /// Switches a key off or on, as a person decided. Returns whether this changes anything.
    pub(crate) fn switch_key(&mut self, now: Time, ix: KeyIx, is_on: bool) -> bool {
        let key = &self.keys[ix.index()];
        let (id, account) = (key.id.clone(), key.account);
        match (key.life, is_on) {
            (Life::Good | Life::Expired, false) => {
                self.change_key(ix, |key| key.life = Life::Disabled);
                self.events.push(Event::KeyDisabled { key: id });
            }
            (Life::Disabled, true) => {
                self.change_key(ix, |key| key.life = Life::Good);
                self.catch_up(ix);
                self.events.push(Event::KeyEnabled { key: id });
                // It may have expired meanwhile.
                self.expire_keys(now);
            }
            _ => return false,
        }
        self.unstall();
        self.revive(account);
        true
    }

    /// Frees the slot of a key that has left.
    #[inline]
    pub(in crate::engine) fn let_go(&mut self, ix: KeyIx) {
        let key = &mut self.keys[ix.index()];
        let account = key.account;
        if key.life == Life::Leaving && key.in_flight == 0 {
            key.life = Life::Gone;
            key.meters = Box::default();
            // Its id may belong to another key by now.
            self.by_id.remove(key.id.as_str(), ix.index());
            self.free_keys.push(ix.next());
        }
        if self.accounts[account.index()].is_leaving {
            self.let_go_account(account);
        }
    }

    fn let_go_account(&mut self, ix: AccountIx) {
        let account = &mut self.accounts[ix.index()];
        if account.in_flight > 0 || !self.by_name.remove(&account.name, ix.index()) {
            return;
        }
        account.meters = Vec::new();
        account.told = None;
        self.lanes.iter_mut().for_each(|lane| lane.unseat(ix));
        self.alike.forget(ix);
        self.free_accounts.push(ix);
    }
}
