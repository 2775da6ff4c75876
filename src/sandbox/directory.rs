//! The accounts of a sandbox, their keys, and the secrets that identify them.

use std::{collections::HashMap, fmt, sync::Arc};

use http::HeaderValue;

use crate::KeyId;

/// All accounts and keys. The builder fills it; after that it never changes.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) accounts: Vec<AccountEntry>,
    pub(super) keys: Vec<KeyEntry>,
    by_secret: HashMap<String, KeyIndex>,
}

pub(super) struct AccountEntry {
    pub(super) name: Arc<str>,
    keys: usize,
}

pub(super) struct KeyEntry {
    pub(super) id: KeyId,
    pub(super) account: Arc<str>,
    /// The id as a header value; none if the name of its account is no valid header value.
    pub(super) header: Option<HeaderValue>,
}

/// A key and its account, as indices into the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyIndex {
    pub(super) account: usize,
    pub(super) key: usize,
}

impl Directory {
    /// Adds secrets to an account, and the account if it is new. Returns the index of the account.
    pub(super) fn add(&mut self, name: &str, secrets: impl Iterator<Item = String>) -> usize {
        let account = self.account(name).unwrap_or(self.accounts.len());
        if account == self.accounts.len() {
            self.accounts.push(AccountEntry { name: Arc::from(name), keys: 0 });
        }
        let Some(entry) = self.accounts.get_mut(account) else { return account };
        for secret in secrets {
            entry.keys += 1;
            let label = format!("{name}-{}", entry.keys);
            let index = KeyIndex { account, key: self.keys.len() };
            self.keys.push(KeyEntry {
                id: KeyId::new(&label),
                account: Arc::clone(&entry.name),
                header: HeaderValue::try_from(label).ok(),
            });
            self.by_secret.entry(secret).or_insert(index);
        }
        account
    }

    pub(super) fn account(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|entry| &*entry.name == name)
    }

    pub(super) fn key(&self, index: KeyIndex) -> Option<&KeyEntry> {
        self.keys.get(index.key)
    }

    pub(super) fn find(&self, secret: &str) -> Option<KeyIndex> {
        self.by_secret.get(secret).copied()
    }
}

/// Shows names and numbers of keys only, never a secret.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = self.accounts.iter().map(|entry| (&entry.name, entry.keys));
        f.debug_map().entries(accounts).finish()
    }
}
