//! Which keys a pool has, and where each is sent: what per-key services are made from.

use std::sync::Arc;

use http::Uri;

use crate::KeyId;

/// The keys of a pool at one moment, in their declared order. It holds no secrets.
///
/// A set is never changed: a change of the pool's keys makes a new one, with a higher version.
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

/// What is known of a key but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The key's label.
    pub id: KeyId,
    /// Its account.
    pub account: Arc<str>,
    /// How much it is used beside the other keys of its account.
    pub weight: u32,
    /// Where it is sent, if not to the pool's origin: scheme, host, port and base path.
    pub endpoint: Option<Uri>,
}

/// The latest set, made once somebody asks: most pools have nobody who does.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) version: u64,
    pub(crate) set: Option<Arc<KeySet>>,
}

impl Latest {
    pub(crate) fn first() -> Self {
        Self { version: 1, set: None }
    }

    /// Whether this is it.
    #[cfg(feature = "balance")]
    pub(crate) fn is(&self, known: Option<&Arc<KeySet>>) -> bool {
        known.is_some_and(|known| known.version == self.version)
    }
}

impl KeySet {
    pub(crate) fn new(version: u64, keys: impl IntoIterator<Item = KeyInfo>) -> Self {
        Self { version, keys: keys.into_iter().collect() }
    }

    /// Its number: higher than that of every set before it.
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
