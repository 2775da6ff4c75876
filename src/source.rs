//! Sources of keys outside the program: files, environment variables, vaults.
//!
//! [`KeyPool::watch`](crate::KeyPool::watch) loads a source at intervals, and applies changes to the pool. A
//! source for a vault takes a few lines:
//!
//! ```
//! use tower_key_rotation::{Account, ApiKey, source::{SecretSource, SourceError}};
//!
//! struct Vault;
//!
//! impl SecretSource for Vault {
//!     async fn load(&self) -> Result<Vec<Account>, SourceError> {
//!         let secret = read("openai/a1").await.map_err(|_| SourceError::new("the vault is sealed"))?;
//!         Ok(vec![Account::new("org-a").key(ApiKey::new(secret).id("a1"))])
//!     }
//! }
//! # async fn read(_: &str) -> Result<String, ()> { Ok("sk-not-a-real-key".to_owned()) }
//! ```

use std::{fmt, fs::File, future::Future, io::Read, path::PathBuf};

use crate::{Account, ApiKey, Limit};

/// At most 16 MiB are read: no list of keys is larger.
const LONGEST: u64 = 16 << 20;

/// Where a pool's accounts and keys come from.
pub trait SecretSource: Send + Sync {
    /// Loads all accounts, with all their keys. The pool removes accounts and keys that are missing.
    ///
    /// # Errors
    /// [`SourceError`] if they cannot be loaded. Then the pool does not change.
    /// [`KeyPool::watch`](crate::KeyPool::watch) drops the future if it takes longer than a minute.
    fn load(&self) -> impl Future<Output = Result<Vec<Account>, SourceError>> + Send;
}

/// The reason why a source could not load keys. Logs and events show it, so it must not contain a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError(String);

impl SourceError {
    /// An error with a sentence that says what is wrong, where, and what to do about it.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// A file with a key in each line.
///
/// ```text
/// # A label and a secret; a line that begins with # is a comment.
/// a1          sk-first
/// org-b/b1    sk-second
/// org-b/b2    sk-third
/// ```
///
/// For keys that share the limits of one account, write its name before the label. A key without an account
/// name is an account of its own. The file is read synchronously where the future is polled; it may have at
/// most 16 MiB.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    limits: Vec<Limit>,
}

impl KeyFile {
    /// The file at a path, without limits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), limits: Vec::new() }
    }

    /// Adds a limit to each account.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }
}

impl SecretSource for KeyFile {
    async fn load(&self) -> Result<Vec<Account>, SourceError> {
        let path = self.path.display();
        let mut text = String::new();
        let file = File::open(&self.path);
        file.and_then(|file| file.take(LONGEST).read_to_string(&mut text))
            .map_err(|error| SourceError(format!("cannot read {path}: {}", error.kind())))?;
        let is_comment = |line: &str| line.trim_start().starts_with('#');
        let lines = text.lines().map(|line| if is_comment(line) { "" } else { line });
        read(lines, &self.limits)
            .map_err(|(line, what)| SourceError(format!("{path}:{line}: {what}")))
    }
}

/// An environment variable with keys, separated by commas. Each has a label as in a [`KeyFile`]:
/// `a1 sk-first, org-b/b1 sk-second`.
#[derive(Clone, Debug)]
pub struct KeyVariable {
    name: String,
    limits: Vec<Limit>,
}

impl KeyVariable {
    /// The variable with a name, without limits.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), limits: Vec::new() }
    }

    /// Adds a limit to each account.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }
}

impl SecretSource for KeyVariable {
    async fn load(&self) -> Result<Vec<Account>, SourceError> {
        let name = &self.name;
        let text = std::env::var(name).map_err(|_| {
            SourceError(format!("environment variable {name} is not set, or is not UTF-8"))
        })?;
        read(text.split(','), &self.limits).map_err(|(place, what)| {
            SourceError(format!("environment variable {name}: key {place}: {what}"))
        })
    }
}

/// Reads items of a label and a secret, and skips empty ones. An error has the number of the item, starting
/// at 1.
fn read<'a>(
    items: impl Iterator<Item = &'a str>,
    limits: &[Limit],
) -> Result<Vec<Account>, (usize, &'static str)> {
    let mut accounts: Vec<Account> = Vec::new();
    for (place, item) in (1..).zip(items) {
        let mut words = item.split_whitespace();
        let (label, secret) = match (words.next(), words.next(), words.next()) {
            (None, ..) => continue,
            (Some(label), Some(secret), None) => (label, secret),
            _ => return Err((place, "write a label, a space and the secret")),
        };
        let (name, id) = label.split_once('/').unwrap_or((label, label));
        let key = ApiKey::new(secret).id(id);
        // The keys of an account are usually next to each other.
        let known = accounts.iter().rposition(|account| *account.name == *name);
        let account = match known {
            Some(known) => accounts.remove(known),
            None => limits.iter().cloned().fold(Account::new(name), Account::limit),
        };
        accounts.insert(known.unwrap_or(accounts.len()), account.key(key));
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(accounts: &[Account]) -> Vec<(String, Vec<String>)> {
        let ids = |account: &Account| -> Vec<_> {
            account.keys.iter().filter_map(|key| Some(key.id.as_ref()?.to_string())).collect()
        };
        accounts.iter().map(|account| (account.name.to_string(), ids(account))).collect()
    }

    #[test]
    fn keys_with_the_same_account_name_share_an_account() {
        let items = ["", "b/1 s", "  a\tx ", "b/2 y", "c z"];
        let limit = Limit::requests(5).per_minute();
        let accounts = read(items.into_iter(), std::slice::from_ref(&limit)).unwrap();
        let own = |name: &str, ids: &[&str]| {
            (name.to_owned(), ids.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(labels(&accounts), [own("b", &["1", "2"]), own("a", &["a"]), own("c", &["c"])]);
        assert!(accounts.iter().all(|account| account.limits == [limit.clone()]));
    }

    #[test]
    fn an_invalid_line_is_reported_by_its_number_only() {
        for wrong in ["sk-secret-alone", "a1 sk-one sk-two"] {
            assert_eq!(read([" ", wrong].into_iter(), &[]).unwrap_err().0, 2);
        }
    }
}
