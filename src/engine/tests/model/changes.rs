//! Accounts and keys that are added, changed and removed.

use crate::Limit;

use super::{
    World,
    meter::{Meter, is_like},
    way::Way,
    world::{Account, Key, Spot},
};

impl World {
    pub(in super::super) fn declared_accounts(&self) -> impl Iterator<Item = usize> {
        (0..self.accounts.len()).filter(|account| self.accounts[*account].declared)
    }

    pub(in super::super) fn declared_keys(&self) -> impl Iterator<Item = usize> {
        (0..self.keys.len()).filter(|key| self.keys[*key].declared)
    }

    /// Whether nothing is left of an account, as if it had never existed.
    pub(in super::super) fn is_gone(&self, account: usize) -> bool {
        let in_use = self.grants.values().any(|grant| grant.account == account);
        !self.accounts[account].declared && !in_use
    }

    pub(in super::super) fn is_key_gone(&self, key: usize) -> bool {
        let in_use = self.grants.values().any(|grant| grant.key == key);
        !self.keys[key].declared && !in_use
    }

    /// Declares an account: one that is still leaving, or a new one.
    pub(in super::super) fn insert_account(
        &mut self,
        now: u64,
        name: usize,
        limits: &[Limit],
    ) -> usize {
        let mut old = (0..self.accounts.len()).rev().filter(|old| self.accounts[*old].name == name);
        if let Some(old) = old.next().filter(|old| !self.is_gone(*old)) {
            self.accounts[old].declared = true;
            self.set_account_limits(now, old, limits);
            return old;
        }
        self.accounts.push(Account {
            name,
            declared: true,
            meters: limits.iter().map(|limit| Meter::new(limit, self.wall)).collect(),
            way: Way::default(),
            failures: Vec::new(),
            rests: 0,
        });
        self.accounts.len() - 1
    }

    /// Declares a key: one that is still leaving, or a new one.
    pub(in super::super) fn insert_key(
        &mut self,
        now: u64,
        account: usize,
        id: usize,
        limits: &[Limit],
        expires: Option<u64>,
    ) -> usize {
        let mut old = (0..self.keys.len()).rev().filter(|old| self.keys[*old].id == id);
        // The last key of that id, if it is of this account.
        let old = old.next().filter(|old| self.keys[*old].account == account);
        if let Some(old) = old.filter(|old| !self.is_key_gone(*old)) {
            self.keys[old].declared = true;
            self.renew(old, expires);
            self.set_key_limits(now, old, limits);
            return old;
        }
        let mut meters: Vec<_> = limits.iter().map(|limit| Meter::new(limit, self.wall)).collect();
        let margin = self.accounts[account].way.margin();
        meters.iter_mut().for_each(|meter| meter.set_margin(margin));
        let key = Key {
            id,
            account,
            meters,
            declared: true,
            alive: true,
            rejected: false,
            accepted: Vec::new(),
            secret: 0,
            expires,
        };
        self.keys.push(key);
        self.keys.len() - 1
    }

    /// A key has a new secret.
    pub(in super::super) fn renew(&mut self, key: usize, expires: Option<u64>) {
        self.forgive(key);
        let key = &mut self.keys[key];
        (key.alive, key.expires) = (true, expires);
        key.secret += 1;
    }

    pub(in super::super) fn remove_key(&mut self, key: usize) {
        self.keys[key].declared = false;
        self.forgive(key);
        self.forget();
    }

    /// Clears the standings of a key.
    fn forgive(&mut self, forgiven: usize) {
        self.keys[forgiven].rejected = false;
        self.places.retain(|spot, _| match spot {
            Spot::Operation { key, .. } | Spot::KeyModel { key, .. } | Spot::Key(key) => {
                *key != forgiven
            }
            _ => true,
        });
    }

    pub(in super::super) fn remove_account(&mut self, account: usize) {
        self.accounts[account].declared = false;
        self.forget();
    }

    /// The refusals of an account count while it exists.
    pub(super) fn forget(&mut self) {
        let gone: Vec<_> = (0..self.accounts.len()).filter(|a| self.is_gone(*a)).collect();
        self.refusals.retain(|(_, account, _)| !gone.contains(account));
    }

    pub(in super::super) fn set_account_limits(
        &mut self,
        now: u64,
        account: usize,
        limits: &[Limit],
    ) {
        let margin = self.accounts[account].way.margin();
        let old = std::mem::take(&mut self.accounts[account].meters);
        self.accounts[account].meters = self.changed(now, old, limits, margin);
    }

    pub(in super::super) fn set_key_limits(&mut self, now: u64, key: usize, limits: &[Limit]) {
        let margin = self.accounts[self.keys[key].account].way.margin();
        let old = std::mem::take(&mut self.keys[key].meters);
        self.keys[key].meters = self.changed(now, old, limits, margin);
    }

    /// Replaces limits: a count continues if its limit still exists, even with another amount.
    fn changed(&self, now: u64, mut old: Vec<Meter>, limits: &[Limit], margin: u64) -> Vec<Meter> {
        let mut kept: Vec<Option<Meter>> = Vec::new();
        for limit in limits {
            let same = old.iter().position(|meter| meter.limit == *limit);
            kept.push(same.map(|same| old.remove(same)));
        }
        let meters = limits.iter().zip(kept).map(|(limit, kept)| {
            let alike = || {
                let alike = old.iter().position(|meter| is_like(&meter.limit, limit))?;
                Some(old.remove(alike))
            };
            if let Some(mut meter) = kept.or_else(alike) {
                meter.declare(now, limit, margin);
                return meter;
            }
            let mut meter = Meter::new(limit, self.wall);
            meter.since = now;
            meter.set_margin(margin);
            meter
        });
        meters.collect()
    }

    /// Expires the keys whose time is over; returns whether any did.
    pub(in super::super) fn pass(&mut self, now: u64) -> bool {
        let mut any = false;
        for ix in 0..self.keys.len() {
            let key = &mut self.keys[ix];
            if key.declared && key.expires.is_some_and(|expires| expires <= now) {
                (key.expires, any) = (None, true);
                if std::mem::replace(&mut key.alive, false) {
                    self.forgive(ix);
                }
            }
        }
        any
    }
}
