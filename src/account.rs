//! What a provider meters: an organisation, project, workspace or subscription.

use std::sync::Arc;

use crate::{ApiKey, Limit};

/// What the provider meters: an organisation, project, workspace or subscription.
///
/// Keys of one account share every limit, so a second key of the same account adds availability,
/// not quota. Put keys into one account when the provider counts them together, and into separate
/// accounts when it counts them apart.
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

    /// Adds a limit. All limits of an account hold together.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Adds a key.
    pub fn key(mut self, key: ApiKey) -> Self {
        self.keys.push(key);
        self
    }

    /// How much this account is used beside the others where its limits leave a choice; 1 by
    /// default, at least 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}
