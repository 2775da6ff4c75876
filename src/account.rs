//! Accounts: what a provider counts together, such as an organisation, project, workspace or subscription.

use std::sync::Arc;

use crate::{ApiKey, Limit};

/// What the provider counts together: an organisation, project, workspace or subscription.
///
/// Keys of one account share all its limits, so a second key of the same account adds availability, not
/// quota. Put keys into one account if the provider counts them together, and into separate accounts if it
/// counts them separately.
///
/// ```
/// use tower_key_rotation::{Account, ApiKey, Limit};
///
/// let account = Account::new("org-a")
///     .limit(Limit::requests(500).per_minute())
///     .limit(Limit::concurrent(64))
///     .key(ApiKey::new("sk-one").id("a1"))
///     .key(ApiKey::new("sk-two").id("a2"));
/// # let _ = account;
/// ```
#[derive(Debug)]
#[must_use]
pub struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) limits: Vec<Limit>,
    pub(crate) keys: Vec<ApiKey>,
}

impl Account {
    /// An account without limits or keys. The name must be unique in its pool.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: Arc::from(name.as_ref()), weight: 1, limits: Vec::new(), keys: Vec::new() }
    }

    /// Adds a limit. A request must be within all limits of its account. None by default.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Adds a key.
    pub fn key(mut self, key: ApiKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets the share of this account, relative to the others, where limits leave a choice; 1 by default, at
    /// least 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}
