//! The steps from one declaration of accounts and keys to the next.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use jiff::Timestamp;

use crate::{
    KeyId, Limit,
    changes::Changes,
    engine::{Counts, Meter, NewAccount, NewKey, Time},
    pool::{
        credentials::Credential,
        roster::declared::{Declared, DeclaredAccount, DeclaredKey},
    },
};

/// One change of the engine. All slow work was done when the step was made.
#[derive(Debug)]
pub(in crate::pool) enum Step {
    InsertAccount(NewAccount),
    AccountWeight(Arc<str>, u32),
    AccountLimits(Arc<str>, Vec<Meter>),
    RemoveAccounts(Vec<Arc<str>>),
    InsertKey(NewKey, Arc<Credential>),
    Renew(Arc<Credential>, Option<Time>),
    KeyWeight(KeyId, u32),
    KeyLimits(KeyId, Vec<Meter>),
    KeyExpiry(KeyId, Option<Time>),
    RemoveKey(KeyId),
    /// Puts the accounts into this order.
    Arrange(Vec<Arc<str>>),
}

/// The steps in their order, and the changes to report.
#[derive(Debug)]
pub(in crate::pool) struct Plan {
    pub(in crate::pool) steps: Vec<Step>,
    pub(in crate::pool) changes: Changes,
    counts: Counts,
    wall: Timestamp,
}

impl Plan {
    /// An empty plan. `wall` is the wall-clock time at the start of the engine.
    pub(in crate::pool) fn new(wall: Timestamp) -> Self {
        let (steps, changes) = (Vec::new(), Changes::default());
        Self { steps, changes, counts: Counts::new(wall), wall }
    }

    /// The plan from one declaration to another. A key whose secret stays keeps its credential.
    pub(in crate::pool) fn between(old: &Declared, new: &mut Declared, wall: Timestamp) -> Self {
        let mut plan = Self::new(wall);
        let mut keys: HashMap<_, _> = old.keys().map(|key| (key.id().clone(), key)).collect();
        let mut accounts: HashMap<_, _> =
            old.accounts.iter().map(|account| (Arc::clone(&account.name), account)).collect();
        // Removals come first, because they free slots for new keys.
        let stays: HashMap<_, _> = new.keys().map(|key| (key.id(), key.account())).collect();
        for key in old.keys() {
            match stays.get(key.id()) {
                Some(account) if *account == key.account() => {}
                Some(_) => plan.steps.push(Step::RemoveKey(key.id().clone())),
                None => plan.remove_key(key.id()),
            }
        }
        for account in &mut new.accounts {
            match accounts.remove(&account.name) {
                None => plan.insert_account(account),
                Some(old) => {
                    plan.account_weight(old, account.weight);
                    plan.account_limits(old, &account.limits);
                }
            }
            for key in &mut account.keys {
                match keys.remove(key.id()) {
                    None => plan.insert_key(key),
                    Some(old) if old.account() == key.account() => plan.change_key(old, key),
                    Some(_) => plan.move_key(key),
                }
            }
        }
        let gone = old.accounts.iter().map(|account| &account.name);
        plan.remove_accounts(gone.filter(|name| accounts.contains_key(*name)).cloned().collect());
        plan.arrange(old, new, |name| !accounts.contains_key(name));
        plan
    }

    /// The plan for the first declaration.
    pub(in crate::pool) fn of(declared: &Declared, wall: Timestamp) -> Self {
        let mut plan = Self::new(wall);
        for account in &declared.accounts {
            plan.insert_account(account);
            account.keys.iter().for_each(|key| plan.insert_key(key));
        }
        plan
    }

    /// Adds an account, without its keys.
    pub(in crate::pool) fn insert_account(&mut self, account: &DeclaredAccount) {
        let DeclaredAccount { name, weight, limits, .. } = account;
        let (name, weight, meters) = (Arc::clone(name), *weight, self.counts.of(limits));
        self.changes.accounts_added.push(Arc::clone(&name));
        self.steps.push(Step::InsertAccount(NewAccount { name, weight, meters }));
    }

    pub(in crate::pool) fn insert_key(&mut self, key: &DeclaredKey) {
        self.changes.keys_added.push(key.id().clone());
        self.insert(key);
    }

    fn move_key(&mut self, key: &DeclaredKey) {
        self.changes.keys_changed.push(key.id().clone());
        self.insert(key);
    }

    fn insert(&mut self, key: &DeclaredKey) {
        let new = NewKey {
            id: key.id().clone(),
            weight: key.weight,
            meters: self.counts.of(key.limits()),
            expires: self.time(key.expires()),
        };
        self.steps.push(Step::InsertKey(new, Arc::clone(&key.credential)));
    }

    pub(in crate::pool) fn remove_key(&mut self, id: &KeyId) {
        self.changes.keys_removed.push(id.clone());
        self.steps.push(Step::RemoveKey(id.clone()));
    }

    /// Removes accounts whose keys were removed before.
    pub(in crate::pool) fn remove_accounts(&mut self, names: Vec<Arc<str>>) {
        if !names.is_empty() {
            self.changes.accounts_removed.extend(names.iter().cloned());
            self.steps.push(Step::RemoveAccounts(names));
        }
    }

    pub(in crate::pool) fn account_weight(&mut self, old: &DeclaredAccount, weight: u32) {
        if old.weight != weight {
            self.account_changed(&old.name);
            self.steps.push(Step::AccountWeight(Arc::clone(&old.name), weight));
        }
    }

    pub(in crate::pool) fn account_limits(&mut self, old: &DeclaredAccount, limits: &[Limit]) {
        if *old.limits != *limits {
            self.account_changed(&old.name);
            let meters = self.counts.of(limits);
            self.steps.push(Step::AccountLimits(Arc::clone(&old.name), meters));
        }
    }

    fn account_changed(&mut self, name: &Arc<str>) {
        let changed = &mut self.changes.accounts_changed;
        if changed.last() != Some(name) {
            changed.push(Arc::clone(name));
        }
    }

    fn change_key(&mut self, old: &DeclaredKey, new: &mut DeclaredKey) {
        let is_same = old.credential.is_same(&new.credential);
        if is_same {
            new.credential = Arc::clone(&old.credential);
        } else {
            self.renew(new);
        }
        self.key_weight(old, new.weight);
        if old.limits() != new.limits() {
            self.key_changed(new.id());
            let meters = self.counts.of(new.limits());
            self.steps.push(Step::KeyLimits(new.id().clone(), meters));
        }
        if old.expires() != new.expires() && is_same {
            self.key_changed(new.id());
            self.steps.push(Step::KeyExpiry(new.id().clone(), self.time(new.expires())));
        }
    }

    /// Gives a key another secret.
    pub(in crate::pool) fn renew(&mut self, new: &DeclaredKey) {
        self.changes.keys_replaced.push(new.id().clone());
        self.steps.push(Step::Renew(Arc::clone(&new.credential), self.time(new.expires())));
    }

    pub(in crate::pool) fn key_weight(&mut self, old: &DeclaredKey, weight: u32) {
        if old.weight != weight {
            self.key_changed(old.id());
            self.steps.push(Step::KeyWeight(old.id().clone(), weight));
        }
    }

    fn key_changed(&mut self, id: &KeyId) {
        let changed = &mut self.changes.keys_changed;
        if changed.last() != Some(id) {
            changed.push(id.clone());
        }
    }

    /// Sets the order of accounts, unless it is the default order: accounts that stay, then new ones.
    fn arrange(&mut self, old: &Declared, new: &Declared, stays: impl Fn(&str) -> bool) {
        let old = old.accounts.iter().map(|account| &account.name).filter(|name| stays(name));
        let default_order = old.chain(&self.changes.accounts_added);
        let declared = new.accounts.iter().map(|account| &account.name);
        if !declared.clone().eq(default_order) {
            self.steps.push(Step::Arrange(declared.cloned().collect()));
        }
    }

    fn time(&self, expires: Option<SystemTime>) -> Option<Time> {
        expires.map(|expires| Time::of(expires, self.wall))
    }
}
