//! What all clones of a sandbox share.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::HeaderValue;

use crate::{
    KeyId,
    sandbox::{
        Dialect, Script, books::Ledger, cache::Cache, clock::Clock, faults::Faults, limits::Meters,
        request::Count,
    },
};

pub(super) struct Shared {
    pub(super) dialect: Dialect,
    pub(super) script: Script,
    /// Any model, if there are none.
    pub(super) models: Arc<[Arc<str>]>,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    pub(super) silent: bool,
    /// How the tokens of prompts are counted, if not by their bytes.
    pub(super) count: Option<Count>,
    state: Mutex<State>,
}

/// What changes.
pub(super) struct State {
    /// One set for each account.
    pub(super) meters: Vec<Meters>,
    /// One for each account.
    pub(super) caches: Vec<Cache>,
    pub(super) faults: Faults,
    pub(super) ledger: Ledger,
    pub(super) rng: fastrand::Rng,
}

impl Shared {
    pub(super) fn new(
        dialect: Dialect,
        script: Script,
        models: Arc<[Arc<str>]>,
        directory: Directory,
        meters: Vec<Meters>,
        seed: u64,
        silent: bool,
    ) -> Self {
        let caches = directory.accounts.iter().map(|_| Cache::default()).collect();
        let state = State {
            meters,
            caches,
            faults: Faults::default(),
            ledger: Ledger::new(&directory),
            rng: fastrand::Rng::with_seed(seed),
        };
        let clock = Clock::start();
        let (count, state) = (None, Mutex::new(state));
        Self { dialect, script, models, directory, clock, silent, count, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next connection is refused. If so, it has been, and is in the books.
    pub(super) fn refuses_connection(&self) -> bool {
        let mut state = self.state();
        let refused = state.faults.connections.take().is_some();
        state.ledger.refused_connections += u64::from(refused);
        refused
    }

    pub(super) fn has_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|known| &**known == model)
    }
}

/// Who there is: accounts, their keys, and the secrets these are known by.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) accounts: Vec<AccountEntry>,
    pub(super) keys: Vec<KeyEntry>,
    by_secret: HashMap<String, Place>,
}

pub(super) struct AccountEntry {
    pub(super) name: Arc<str>,
    keys: usize,
}

pub(super) struct KeyEntry {
    pub(super) id: KeyId,
    pub(super) account: Arc<str>,
    /// The id as a header, where its account's name can stand in one.
    pub(super) header: Option<HeaderValue>,
}

/// A key and its account, as places in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) account: usize,
    pub(super) key: usize,
}

impl Directory {
    /// Adds secrets to an account, which is made if it is new. Returns its place.
    pub(super) fn enter(&mut self, name: &str, secrets: impl Iterator<Item = String>) -> usize {
        let account = self.account(name).unwrap_or(self.accounts.len());
        if account == self.accounts.len() {
            self.accounts.push(AccountEntry { name: Arc::from(name), keys: 0 });
        }
        let Some(entry) = self.accounts.get_mut(account) else { return account };
        for secret in secrets {
            entry.keys += 1;
            let label = format!("{name}-{}", entry.keys);
            let place = Place { account, key: self.keys.len() };
            self.keys.push(KeyEntry {
                id: KeyId::new(&label),
                account: Arc::clone(&entry.name),
                header: HeaderValue::try_from(label).ok(),
            });
            self.by_secret.entry(secret).or_insert(place);
        }
        account
    }

    pub(super) fn account(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|entry| &*entry.name == name)
    }

    pub(super) fn key(&self, place: Place) -> Option<&KeyEntry> {
        self.keys.get(place.key)
    }

    pub(super) fn find(&self, secret: &str) -> Option<Place> {
        self.by_secret.get(secret).copied()
    }
}

/// Names and labels only: the secrets stay inside.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = self.accounts.iter().map(|entry| (&entry.name, entry.keys));
        f.debug_map().entries(accounts).finish()
    }
}
