//! Applies a change of keys and accounts.

use std::sync::{Arc, MutexGuard};

use crate::{
    changes::Changes,
    engine::Time,
    event::Event,
    pool::{
        core::Core,
        credentials::Credential,
        roster::{
            declared::Declared,
            diff::{Plan, Step},
            key_set::Latest,
        },
        shared::Shared,
    },
};

/// A change that is being made. It locks out other changes, but not requests.
pub(in crate::pool) struct Change<'a> {
    pub(in crate::pool) shared: &'a Shared,
    pub(in crate::pool) declared: MutexGuard<'a, Declared>,
    pub(in crate::pool) plan: Plan,
}

impl Change<'_> {
    /// Applies all steps at once.
    pub(in crate::pool) fn carry_out(self) -> Changes {
        let Self { shared, declared, plan: Plan { steps, changes, .. } } = self;
        if steps.is_empty() {
            return changes;
        }
        let told = Event::ConfigChanged(Arc::new(changes.clone()));
        let left = shared.with(|core, now| {
            core.engine.tell(told);
            core.change(now, steps)
        });
        let (version, is_wanted) = {
            let latest = shared.key_set.borrow();
            (latest.version + 1, latest.set.is_some())
        };
        let set = is_wanted.then(|| Arc::new(declared.key_set(version)));
        shared.key_set.send_replace(Latest { version, set });
        // Outside the lock of the engine, because a task may wait for the drop.
        drop(left);
        changes
    }
}

impl Core {
    /// Adds the first accounts and keys.
    pub(in crate::pool) fn begin(&mut self, plan: Plan) {
        let accounts = plan.changes.accounts_added.len();
        self.engine.reserve(accounts, plan.changes.keys_added.len());
        self.credentials.reserve_exact(plan.changes.keys_added.len());
        self.change(Time::ZERO, plan.steps);
        self.engine.begin();
    }

    /// Makes the changes, and returns the credentials that are no longer given out.
    fn change(&mut self, now: Time, steps: Vec<Step>) -> Vec<Arc<Credential>> {
        let mut left = Vec::new();
        for step in steps {
            self.step(now, step, &mut left);
        }
        left
    }

    fn step(&mut self, now: Time, step: Step, left: &mut Vec<Arc<Credential>>) {
        let Self { engine, credentials, .. } = self;
        match step {
            Step::InsertAccount(new) => {
                engine.insert_account(now, new);
            }
            Step::AccountWeight(name, weight) => {
                let account = engine.find_account(&name);
                account.into_iter().for_each(|ix| engine.set_account_weight(ix, weight));
            }
            Step::AccountLimits(name, meters) => {
                if let Some(ix) = engine.find_account(&name) {
                    engine.set_account_limits(now, ix, meters);
                }
            }
            Step::RemoveAccounts(names) => {
                let accounts = names.iter().filter_map(|name| engine.find_account(name));
                engine.remove_accounts(&accounts.collect::<Vec<_>>());
            }
            Step::InsertKey(new, credential) => {
                if let Some(account) = engine.find_account(&credential.account) {
                    let slot = engine.insert_key(now, account, new).index();
                    credentials.resize(credentials.len().max(slot + 1), None);
                    credentials[slot] = Some(credential);
                }
            }
            Step::Renew(credential, expires) => {
                if let Some(ix) = engine.find_key(&credential.id) {
                    engine.renew_key(now, ix, expires);
                    left.extend(credentials[ix.index()].replace(credential));
                }
            }
            Step::KeyWeight(id, weight) => {
                let key = engine.find_key(&id);
                key.into_iter().for_each(|ix| engine.set_key_weight(ix, weight));
            }
            Step::KeyLimits(id, meters) => {
                if let Some(ix) = engine.find_key(&id) {
                    engine.set_key_limits(now, ix, meters);
                }
            }
            Step::KeyExpiry(id, expires) => {
                let key = engine.find_key(&id);
                key.into_iter().for_each(|ix| engine.set_expiry(now, ix, expires));
            }
            Step::RemoveKey(id) => {
                if let Some(ix) = engine.find_key(&id) {
                    left.extend(credentials[ix.index()].take());
                    engine.remove_key(ix);
                }
            }
            Step::Arrange(names) => {
                let accounts = names.iter().filter_map(|name| engine.find_account(name));
                engine.arrange(accounts.collect());
            }
        }
    }
}
