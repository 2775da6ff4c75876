//! Changing the keys and accounts of a pool while it is in use.

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
/// All of these take effect at once and as a whole, while requests are under way: those end with the
/// key and the secret that they were sent with. Whoever waits in line is served by a new key, or told
/// that none is left, without asking again. Nothing is changed where an error is returned.
///
/// They work for a time that grows with the number of keys, but hold up requests only for what really
/// changes.
impl KeyPool {
    /// Makes the pool's accounts and keys these ones. What stays keeps its state: accounts by their
    /// names, keys by their account and id, limits by what they count.
    ///
    /// - A key or account that is new is used at once.
    /// - One that is missing takes no new requests, and is gone once its last request has ended. If it
    ///   comes back before that, it goes on as what it was.
    /// - A key with another secret keeps its limits; if it was rejected or has expired, it is good
    ///   again. Give such keys an id ([`ApiKey::id`](crate::ApiKey::id)): without one they are known by their place.
    /// - A limit with another amount keeps what is spent of it; one that is new counts from now on. Of
    ///   limits that differ in their amounts alone, any may go on as any.
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
    /// assert_eq!(changes.to_string(), "1 keys added (b1), 1 keys replaced (a1), 1 accounts added (org-b)");
    /// # Ok::<(), tower_key_rotation::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`] with everything that is wrong, as when a pool is built; nothing is changed then.
    pub fn apply(
        &self,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Result<Changes, BuildError> {
        Ok(self.prepare(accounts)?.apply())
    }

    /// Checks a set of accounts and keys, and changes nothing so far: for those who change several
    /// pools, or something else besides, all together or not at all.
    ///
    /// # Errors
    /// [`BuildError`] with everything that is wrong.
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

    /// Adds an account with its keys; if there is an account of that name, adds keys to it.
    ///
    /// # Errors
    /// [`BuildError`] if something is wrong with it, a key has the id of another, or there is an account
    /// of that name with other limits or another weight.
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

    /// Removes a key: no new request gets it from the moment this returns, and what is under way ends as
    /// if nothing had happened. The future resolves once the last of these has ended; the key is
    /// removed whether it is polled or not.
    ///
    /// Its account stays, and so does what is spent of its limits.
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

    /// Gives a key another secret. Its limits and what is spent of them stay; if it was rejected or has
    /// expired, it is good again, and has no expiry date. Requests under way end with the old secret; the
    /// future resolves once the last of these has ended. If the old one is refused until then, that is
    /// not held against the new one.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such key, or the secret cannot be one.
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

    /// How much a key is used beside the other keys of its account from now on.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such key, or the weight is 0.
    pub fn set_key_weight(&self, id: impl AsRef<str>, weight: u32) -> Result<Changes, BuildError> {
        let mut change = self.change();
        let (account, key) = change.declared.find_key(id.as_ref())?;
        let key = &mut change.declared.accounts[account].keys[key];
        if weight == 0 {
            return Err(wrong(format!("key {:?}: its weight is 0: remove it instead", key.id())));
        }
        change.plan.key_weight(key, weight);
        key.weight = weight;
        Ok(change.carry_out())
    }

    /// How much an account is used beside the others from now on.
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
            return Err(wrong(format!("account {name:?}: its weight is 0: remove it instead")));
        }
        change.plan.account_weight(account, weight);
        account.weight = weight;
        Ok(change.carry_out())
    }

    /// Makes these the limits of an account. One that was there before keeps what is spent of it, also
    /// if its amount or burst is another; one that is new counts from now on.
    ///
    /// # Errors
    /// [`BuildError`] if there is no such account, or something is wrong with a limit.
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

/// Accounts and keys that a pool can have: see [`KeyPool::prepare`].
#[derive(Debug)]
#[must_use = "nothing is changed before it is applied"]
pub struct Prepared<'a> {
    pool: &'a KeyPool,
    new: Declared,
}

impl Prepared<'_> {
    /// Puts them into effect, as [`KeyPool::apply`] does.
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
