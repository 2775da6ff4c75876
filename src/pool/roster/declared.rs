//! The declared accounts and keys of a pool, checked all at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    Account, ApiKey, BuildError, KeyId, Limit,
    endpoint::Endpoint,
    engine::MAX_LIMITS,
    pool::{
        credentials::Credential,
        roster::key_set::{KeyInfo, KeySet},
    },
    provider::{AuthScheme, Provider},
};

/// Valid accounts, in their declared order.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(in crate::pool) accounts: Vec<DeclaredAccount>,
}

#[derive(Debug)]
pub(crate) struct DeclaredAccount {
    pub(in crate::pool) name: Arc<str>,
    pub(in crate::pool) weight: u32,
    pub(in crate::pool) limits: Arc<[Limit]>,
    pub(in crate::pool) keys: Vec<DeclaredKey>,
}

#[derive(Debug)]
pub(crate) struct DeclaredKey {
    pub(in crate::pool) credential: Arc<Credential>,
    pub(in crate::pool) weight: u32,
    /// None for most keys.
    own: Option<Box<Own>>,
}

/// The options that few keys have.
#[derive(Debug)]
struct Own {
    limits: Box<[Limit]>,
    expires: Option<SystemTime>,
}

impl DeclaredKey {
    fn new(
        credential: Credential,
        weight: u32,
        limits: Vec<Limit>,
        expires: Option<SystemTime>,
    ) -> Self {
        let has_own = !limits.is_empty() || expires.is_some();
        let own = has_own.then(|| Box::new(Own { limits: limits.into(), expires }));
        Self { credential: Arc::new(credential), weight, own }
    }

    pub(in crate::pool) fn limits(&self) -> &[Limit] {
        self.own.as_ref().map_or(&[], |own| &own.limits)
    }

    pub(in crate::pool) fn expires(&self) -> Option<SystemTime> {
        self.own.as_ref().and_then(|own| own.expires)
    }

    /// Removes the expiry date.
    pub(in crate::pool) fn stay(&mut self) {
        self.own.iter_mut().for_each(|own| own.expires = None);
    }

    pub(in crate::pool) fn id(&self) -> &KeyId {
        &self.credential.id
    }

    pub(in crate::pool) fn account(&self) -> &Arc<str> {
        &self.credential.account
    }
}

impl Declared {
    /// Checks accounts and keys, and adds all problems to `problems`.
    pub(in crate::pool) fn check(
        accounts: impl IntoIterator<Item = Account>,
        provider: &dyn Provider,
        problems: &mut Vec<String>,
    ) -> Self {
        let carriers = provider.spec().auth_schemes();
        let (names, ids, limits) = (HashSet::new(), HashMap::new(), Arc::default());
        let mut check = Check { problems, carriers, names, ids, limits };
        let mut accounts: Vec<_> =
            accounts.into_iter().map(|account| check.account(account)).collect();
        // A vector that is collected in place keeps the larger allocation of its source.
        accounts.shrink_to_fit();
        if accounts.is_empty() {
            problems.push("the pool has no account; add one with a key".into());
        }
        Self { accounts }
    }

    pub(in crate::pool) fn keys(&self) -> impl Iterator<Item = &DeclaredKey> {
        self.accounts.iter().flat_map(|account| &account.keys)
    }

    /// The position of an account.
    pub(in crate::pool) fn find_account(&self, name: &str) -> Result<usize, BuildError> {
        let place = self.accounts.iter().position(|account| *account.name == *name);
        place.ok_or_else(|| BuildError::change(vec![format!("there is no account {name:?}")]))
    }

    /// The position of a key: of its account, and in its account.
    pub(in crate::pool) fn find_key(&self, id: &str) -> Result<(usize, usize), BuildError> {
        let key = |(account, declared): (usize, &DeclaredAccount)| {
            let key = declared.keys.iter().position(|key| key.id().as_str() == id)?;
            Some((account, key))
        };
        let place = self.accounts.iter().enumerate().find_map(key);
        place.ok_or_else(|| BuildError::change(vec![format!("there is no key {id:?}")]))
    }

    /// The problems of adding accounts that are valid by themselves.
    pub(in crate::pool) fn check_insert(&self, new: &Self, problems: &mut Vec<String>) {
        for key in new.keys() {
            if let Some(other) = self.keys().find(|other| other.id() == key.id()) {
                let (id, account) = (key.id(), key.account());
                let other = other.account();
                problems.push(format!(
                    "account {account:?}: key {id:?}: a key of account {other:?} has the same id"
                ));
            }
        }
        for account in &new.accounts {
            let DeclaredAccount { name, weight, limits, .. } = account;
            let Some(old) = self.accounts.iter().find(|old| old.name == *name) else { continue };
            if !limits.is_empty() && *limits != old.limits {
                problems.push(format!(
                    "account {name:?}: it has other limits; change them with set_limits"
                ));
            }
            if *weight != 1 && *weight != old.weight {
                problems.push(format!(
                    "account {name:?}: it has another weight; change it with set_account_weight"
                ));
            }
        }
    }

    pub(in crate::pool) fn key_set(&self, version: u64) -> KeySet {
        KeySet::new(
            version,
            self.keys().map(|DeclaredKey { credential, weight, .. }| KeyInfo {
                id: credential.id.clone(),
                account: Arc::clone(&credential.account),
                weight: *weight,
                endpoint: credential.endpoint.as_ref().map(|endpoint| endpoint.uri().clone()),
            }),
        )
    }
}

/// The names and ids that were seen so far.
struct Check<'a> {
    problems: &'a mut Vec<String>,
    carriers: &'a [AuthScheme],
    names: HashSet<Arc<str>>,
    /// The account of each key.
    ids: HashMap<KeyId, Arc<str>>,
    /// The limits of the last account.
    limits: Arc<[Limit]>,
}

impl Check<'_> {
    fn account(&mut self, account: Account) -> DeclaredAccount {
        let Account { name, weight, limits, keys } = account;
        let mut problem = |what: String| self.problems.push(format!("account {name:?}: {what}"));
        if name.is_empty() {
            problem("its name is empty".into());
        } else if !self.names.insert(Arc::clone(&name)) {
            problem("another account has the same name".into());
        }
        if weight == 0 {
            problem("its weight is 0; give at least 1, or leave it out".into());
        }
        if keys.is_empty() {
            problem("it has no key; add one, or leave the account out".into());
        }
        wrong_limits(&limits).into_iter().for_each(problem);
        let keys = keys.into_iter().enumerate();
        let mut keys: Vec<_> =
            keys.filter_map(|(place, key)| self.key(&name, place, key)).collect();
        keys.shrink_to_fit();
        DeclaredAccount { name, weight, limits: self.shared(limits), keys }
    }

    /// Most accounts have the same limits as the account before, so these are shared.
    fn shared(&mut self, limits: Vec<Limit>) -> Arc<[Limit]> {
        if *self.limits != *limits {
            self.limits = limits.into();
        }
        Arc::clone(&self.limits)
    }

    fn key(&mut self, account: &Arc<str>, place: usize, key: ApiKey) -> Option<DeclaredKey> {
        let id = key.id.clone();
        let id = id.unwrap_or_else(|| KeyId::new(format!("{account}-{}", place + 1)));
        let mut whats = Vec::new();
        if id.as_str().is_empty() {
            whats.push("its id is empty".into());
        } else if let Some(other) = self.ids.insert(id.clone(), Arc::clone(account)) {
            whats.push(format!("a key of account {other:?} has the same id"));
        }
        let declared = declare(key, id.clone(), account, self.carriers, &mut whats);
        let problems = whats.into_iter();
        self.problems
            .extend(problems.map(|what| format!("account {account:?}: key {id:?}: {what}")));
        declared
    }
}

/// The problems of the limits of an account.
pub(in crate::pool) fn wrong_limits(limits: &[Limit]) -> Vec<String> {
    let mut whats = Vec::new();
    if limits.len() > MAX_LIMITS {
        whats.push(format!("it has more than {MAX_LIMITS} limits"));
    }
    let wrong = limits.iter().filter_map(|limit| Some((limit, limit.problem()?)));
    whats.extend(wrong.map(|(limit, what)| format!("limit \"{limit}\": {what}")));
    whats
}

/// A key that is valid except perhaps for its id, or its problems.
pub(in crate::pool) fn declare(
    key: ApiKey,
    id: KeyId,
    account: &Arc<str>,
    carriers: &[AuthScheme],
    whats: &mut Vec<String>,
) -> Option<DeclaredKey> {
    let ApiKey { secret, weight, limits, expires, endpoint, .. } = key;
    if weight == 0 {
        whats.push("its weight is 0; give at least 1, or leave it out".into());
    }
    for limit in &limits {
        let what = match limit.model_pattern() {
            Some(_) => Some("a key's own limit counts every model: leave out the pattern"),
            None => limit.problem(),
        };
        whats.extend(what.map(|what| format!("limit \"{limit}\": {what}")));
    }
    let endpoint = endpoint.as_deref().map(Endpoint::parse).transpose();
    let endpoint = endpoint.map_err(|what| whats.push(what)).ok().flatten();
    let credential = Credential::new(id, Arc::clone(account), endpoint, &secret, carriers);
    let credential = credential.map_err(|what| whats.push(what.into())).ok()?;
    Some(DeclaredKey::new(credential, weight, limits, expires))
}
