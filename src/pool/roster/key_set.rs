//! The keys of a pool and their endpoints, from which services for single keys are made.

use std::sync::Arc;

use http::Uri;

use crate::KeyId;

/// The keys of a pool at one moment, in their declared order. It contains no secrets.
///
/// A set never changes. Each change of the keys of the pool makes a new set with a higher version.
///
/// ```
/// use tower_key_rotation::{ApiKey, AzureOpenAi, KeyPool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = KeyPool::builder(AzureOpenAi::new("https://us.openai.azure.com"))
///     .key(ApiKey::new("not-a-real-key").id("us"))
///     .key(ApiKey::new("nor-this").id("eu").endpoint("https://eu.openai.azure.com"))
///     .build()?;
///
/// let set = pool.key_set();
/// assert_eq!(set.keys()[0].endpoint, None); // it is sent to the pool's origin
/// assert_eq!(set.keys()[1].endpoint, Some("https://eu.openai.azure.com/".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    version: u64,
    keys: Arc<[KeyInfo]>,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The label of the key.
    pub id: KeyId,
    /// Its account.
    pub account: Arc<str>,
    /// Its share, relative to the other keys of its account.
    pub weight: u32,
    /// Its endpoint (scheme, host, port and base path), if it is not the pool's origin.
    pub endpoint: Option<Uri>,
}

/// The latest set. It is made at the first use, because most pools never need it.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) version: u64,
    pub(crate) set: Option<Arc<KeySet>>,
}

impl Latest {
    pub(crate) fn first() -> Self {
        Self { version: 1, set: None }
    }

    /// Whether `known` is the latest set.
    #[cfg(feature = "balance")]
    pub(crate) fn is(&self, known: Option<&Arc<KeySet>>) -> bool {
        known.is_some_and(|known| known.version == self.version)
    }
}

impl KeySet {
    pub(crate) fn new(version: u64, keys: impl IntoIterator<Item = KeyInfo>) -> Self {
        Self { version, keys: keys.into_iter().collect() }
    }

    /// The version: higher than that of all earlier sets of the pool.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[KeyInfo] {
        &self.keys
    }
}
