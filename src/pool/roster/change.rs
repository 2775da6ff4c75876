//! Changes the keys and accounts of a pool while it is in use.

use std::{
    mem,
    sync::{Arc, PoisonError},
};

use crate::{
    Account, BuildError, Limit,
    changes::Changes,
    pool::{
        key_pool::KeyPool,
        roster::{
            declared::{Declared, wrong_limits},
            diff::Plan,
            drained::Drained,
            effect::Change,
        },
    },
};

/// # Changing keys and accounts
///
/// Each change takes effect at once and as a whole. Requests in flight end with the key and the secret that
/// they were sent with. Waiting requests can get a new key, or fail at once if no key is left. If a method
/// returns an error, nothing has changed.
///
/// A call takes time proportional to the number of keys, but blocks requests only for the part that really
/// changes.
impl KeyPool {
    /// Replaces the accounts and keys of the pool. Those that stay keep their state. Accounts are matched by
    /// name, keys by account and id, limits by what they count.
    ///
    /// - A key or account that is new is used at once.
    /// - A missing one gets no new requests, and is removed when its last request has ended. If it is added
    ///   again before that, it keeps its state.
    /// - A key with another secret keeps its limits; if it was rejected or has expired, it is used again.
    ///   Give such keys an id ([`ApiKey::id`](crate::ApiKey::id)). Without an id, keys are matched by their
    ///   position in the account.
    /// - A limit with another amount keeps its use; a new limit counts from now on. Limits that differ in
    ///   their amounts only may be matched with each other.
    ///
    /// ```
    /// use tower_key_rotation::{Account, ApiKey, KeyPool, Limit, OpenAi};
    ///
    /// let org = |secret: &str| {
    ///     Account::new("org-a").limit(Limit::requests(500).per_minute()).key(ApiKey::new(secret).id("a1"))
    /// };
    /// let pool = KeyPool::builder(OpenAi::default()).account(org("sk-old")).build()?;
    ///
    /// let changes = pool.apply([org("sk-new"), Account::new("org-b").key(ApiKey::new("sk-b").id("b1"))])?;
    /// assert_eq!(changes.to_string(), "1 key added (b1), 1 key replaced (a1), 1 account added (org-b)");
    /// # Ok::<(), tower_key_rotation::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`] with all problems, as when a pool is built. Then nothing has changed.
    pub fn apply(
        &self,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Result<Changes, BuildError> {
        Ok(self.prepare(accounts)?.apply())
    }

    /// Checks a set of accounts and keys without applying it. Use it to change several pools, or a pool and
    /// other state, together or not at all.
    ///
    /// # Errors
    /// [`BuildError`] with all problems.
    pub fn prepare(
        &self,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Result<Prepared<'_>, BuildError> {
        let mut problems = Vec::new();
        let new = Declared::check(accounts, self.provider(), &mut problems);
        match problems.is_empty() {
            true => Ok(Prepared { pool: self, new }),
            false => Err(BuildError::change(problems)),
        }
    }

    /// Adds an account with its keys. If there is an account of this name already, adds the keys to it.
    ///
    /// # Errors
    /// [`BuildError`] if the account or a key is invalid, if a key has the id of another key, or if the
    /// account of this name has other limits or another weight.
    pub fn insert(&self, account: Account) -> Result<Changes, BuildError> {
        let mut problems = Vec::new();
        let new = Declared::check([account], self.provider(), &mut problems);
        let mut change = self.change();
        change.declared.check_insert(&new, &mut problems);
        if !problems.is_empty() {
            return Err(BuildError::change(problems));
        }
        for account in new.accounts {
            let old = change.declared.find_account(&account.name).ok();
            if old.is_none() {
                change.plan.insert_account(&account);
            }
            account.keys.iter().for_each(|key| change.plan.insert_key(key));
            match old {
                Some(old) => change.declared.accounts[old].keys.extend(account.keys),
                None => change.declared.accounts.push(account),
            }
        }
        Ok(change.carry_out())
    }

    /// Removes a key: no new request gets it after this returns. Requests in flight are not affected, and the
    /// future resolves when the last of them has ended. The key is removed even if the future is not polled.
    ///
    /// Its account stays, with the use of its limits.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_key_rotation::{Account, ApiKey, KeyPool, OpenAi};
    /// # let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("sk-old").id("a1")).build()?;
    /// pool.insert(Account::new("a1").key(ApiKey::new("sk-new").id("a2")))?;
    /// pool.remove("a1")?.await;
    /// // Now the old key can be revoked.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BuildError`] if there is no such key.
    pub fn remove(&self, id: impl AsRef<str>) -> Result<Drained, BuildError> {
        let mut change = self.change();
        let (account, key) = change.declared.find_key(id.as_ref())?;
        let key = change.declared.accounts[account].keys.remove(key);
        change.plan.remove_key(key.id());
        let drained = Drained::new(vec![key.credential.leave()]);
        change.carry_out();
        Ok(drained)
    }

    /// Removes an account with all its keys, as [`remove`](Self::remove) does.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such account.
    pub fn remove_account(&self, name: impl AsRef<str>) -> Result<Drained, BuildError> {
        let mut change = self.change();
        let place = change.declared.find_account(name.as_ref())?;
        let account = change.declared.accounts.remove(place);
        account.keys.iter().for_each(|key| change.plan.remove_key(key.id()));
        change.plan.remove_accounts(vec![Arc::clone(&account.name)]);
        let drained = account.keys.iter().map(|key| key.credential.leave()).collect();
        change.carry_out();
        Ok(Drained::new(drained))
    }

    /// Gives a key another secret. Its limits and their use stay; if it was rejected or has expired, it is
    /// used again, without an expiry date. Requests in flight end with the old secret, and the future
    /// resolves when the last of them has ended. If the old secret is refused until then, the new one is not
    /// affected.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such key, or the secret is invalid.
    pub fn replace_secret(
        &self,
        id: impl AsRef<str>,
        secret: impl Into<String>,
    ) -> Result<Drained, BuildError> {
        let mut change = self.change();
        let (account, key) = change.declared.find_key(id.as_ref())?;
        let key = &mut change.declared.accounts[account].keys[key];
        let carriers = self.provider().spec().auth_schemes();
        let credential = key.credential.with_secret(secret.into(), carriers);
        let credential = credential.map_err(|what| wrong(format!("key {:?}: {what}", key.id())))?;
        let old = mem::replace(&mut key.credential, Arc::new(credential));
        key.stay();
        change.plan.renew(key);
        change.carry_out();
        Ok(Drained::new(vec![old.leave()]))
    }

    /// Sets the weight of a key: its share, relative to the other keys of its account.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such key, or the weight is 0.
    pub fn set_key_weight(&self, id: impl AsRef<str>, weight: u32) -> Result<Changes, BuildError> {
        let mut change = self.change();
        let (account, key) = change.declared.find_key(id.as_ref())?;
        let key = &mut change.declared.accounts[account].keys[key];
        if weight == 0 {
            return Err(wrong(format!(
                "key {:?}: its weight is 0; give at least 1, or remove the key",
                key.id()
            )));
        }
        change.plan.key_weight(key, weight);
        key.weight = weight;
        Ok(change.carry_out())
    }

    /// Sets the weight of an account: its share, relative to the others.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such account, or the weight is 0.
    pub fn set_account_weight(
        &self,
        name: impl AsRef<str>,
        weight: u32,
    ) -> Result<Changes, BuildError> {
        let mut change = self.change();
        let place = change.declared.find_account(name.as_ref())?;
        let account = &mut change.declared.accounts[place];
        if weight == 0 {
            let name = &account.name;
            return Err(wrong(format!(
                "account {name:?}: its weight is 0; give at least 1, or remove the account"
            )));
        }
        change.plan.account_weight(account, weight);
        account.weight = weight;
        Ok(change.carry_out())
    }

    /// Replaces the limits of an account. A limit that it had before keeps its use, even with another amount
    /// or burst. A new limit counts from now on.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such account, or a limit is invalid.
    pub fn set_limits(
        &self,
        account: impl AsRef<str>,
        limits: impl IntoIterator<Item = Limit>,
    ) -> Result<Changes, BuildError> {
        let limits: Vec<_> = limits.into_iter().collect();
        let mut change = self.change();
        let place = change.declared.find_account(account.as_ref())?;
        let account = &mut change.declared.accounts[place];
        let wrong = wrong_limits(&limits).into_iter();
        let wrong: Vec<_> =
            wrong.map(|what| format!("account {:?}: {what}", account.name)).collect();
        if !wrong.is_empty() {
            return Err(BuildError::change(wrong));
        }
        change.plan.account_limits(account, &limits);
        account.limits = limits.into();
        Ok(change.carry_out())
    }

    fn change(&self) -> Change<'_> {
        let shared = &*self.shared;
        let declared = shared.declared.lock().unwrap_or_else(PoisonError::into_inner);
        Change { shared, declared, plan: Plan::new(shared.clock.timestamp()) }
    }
}

/// Checked accounts and keys for a pool; see [`KeyPool::prepare`].
#[derive(Debug)]
#[must_use = "nothing is changed before it is applied"]
pub struct Prepared<'a> {
    pool: &'a KeyPool,
    new: Declared,
}

impl Prepared<'_> {
    /// Replaces the accounts and keys of the pool with them, as [`KeyPool::apply`] does.
    #[expect(clippy::must_use_candidate, reason = "the change is what it is called for")]
    pub fn apply(self) -> Changes {
        let Self { pool, mut new } = self;
        let mut change = pool.change();
        change.plan = Plan::between(&change.declared, &mut new, pool.shared.clock.timestamp());
        let old = mem::replace(&mut *change.declared, new);
        let changes = change.carry_out();
        drop(old);
        changes
    }
}

fn wrong(what: String) -> BuildError {
    BuildError::change(vec![what])
}
