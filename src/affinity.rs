//! Keeps a conversation on the account that has it in its prompt cache.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Whether requests of one conversation stay on one account. The provider then has the earlier messages in
/// its prompt cache, and charges a tenth to a half of the price for tokens from the cache.
///
/// A request is related to earlier ones by the first of these that it has:
///
/// 1. the name that the caller sets ([`Demand::affinity`](crate::Demand::affinity));
/// 2. the provider's own header for this purpose, or `prompt_cache_key` or `conversation` in the body;
/// 3. the beginning of the prompt, if the dialect has JSON bodies: up to a message with which an earlier
///    request ended, if it is long enough for the provider to cache it
///    ([`ProviderSpec::prompt_cache`](crate::provider::ProviderSpec::prompt_cache)). Equal instructions and
///    tools alone do not relate requests, because every account soon has them in its cache.
///
/// A request goes to the account that last served a related request well, while that account has room and is
/// not much busier than the one that the [`Strategy`](crate::strategy::Strategy) would choose: by no more
/// than a quarter plus eight requests in flight. Otherwise it goes to another account at once. When that
/// account has served it well, later related requests follow, because the longest prefix is cached there now.
/// The strategy chooses the account of a request without related ones. The pool forgets a prefix that was not
/// used for as long as the provider caches it.
///
/// A strategy that takes accounts [in their declared order](crate::strategy::Look::AsDeclared) keeps that
/// order.
///
/// ```
/// use tower_key_rotation::{ApiKey, KeyPool, OpenAi, pool::Affinity};
///
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key"))
///     // Use only the names that callers set; do not compare prompts.
///     .affinity(Affinity::new().prompts(false))
///     .build()?;
/// # Ok::<(), tower_key_rotation::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Affinity {
    pub(crate) prompts: bool,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) patience: Duration,
    pub(crate) capacity: usize,
}

impl Affinity {
    /// The default: relates requests by all of the list above.
    pub fn new() -> Self {
        Self { prompts: true, lifetime: None, patience: Duration::from_secs(2), capacity: 1 << 16 }
    }

    /// No affinity: each request goes where the strategy says.
    pub fn disabled() -> Self {
        Self { prompts: false, lifetime: None, patience: Duration::ZERO, capacity: 0 }
    }

    /// Sets whether requests without a name are related by their content, 2 and 3 in the list above; on by
    /// default. It costs one more pass over each body that is long enough.
    pub fn prompts(mut self, prompts: bool) -> Self {
        self.prompts = prompts;
        self
    }

    /// Sets how long an account is preferred after the last use. By default it is the shortest time that the
    /// provider keeps a prompt in its cache.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets how long a request waits for its preferred account, if that has no room and another one has; 2 s
    /// by default. That is about the time that a provider takes to read an uncached prompt. The time begins
    /// when the request first asks for a key. A request does not wait for its preferred account if many
    /// others wait already.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets about how many conversations are remembered; 65,536 by default, which takes 4 MiB. The least
    /// recently used ones are forgotten first (LRU).
    pub fn capacity(mut self, conversations: usize) -> Self {
        self.capacity = conversations;
        self
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of prefixes of one prompt that are compared: the longest ones.
const MAX_PREFIXES: usize = 32;

/// What relates a request to earlier ones, as keyed hashes: of its name, or of its whole prompt and ever
/// shorter prefixes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kin {
    /// A ring buffer. The latest hash is of the longest prefix.
    hashes: [u64; MAX_PREFIXES],
    number: usize,
}

impl Kin {
    /// A request that is related by a name.
    pub(crate) fn named(keys: &RandomState, name: &[u8]) -> Self {
        let mut hasher = keys.build_hasher();
        hasher.write(name);
        let mut kin = Self::new();
        kin.longer(hasher.finish());
        kin
    }

    pub(crate) fn new() -> Self {
        Self { hashes: [0; MAX_PREFIXES], number: 0 }
    }

    /// Adds the hash of a longer prefix.
    pub(crate) fn longer(&mut self, hash: u64) {
        self.hashes[self.number % MAX_PREFIXES] = hash;
        self.number += 1;
    }

    /// The hash of the longest prefix, if there is one.
    pub(crate) fn whole(&self) -> Option<u64> {
        self.iter().next()
    }

    /// All hashes, that of the longest prefix first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let kept = self.number.min(MAX_PREFIXES);
        (0..kept).map(|shorter| self.hashes[(self.number - 1 - shorter) % MAX_PREFIXES])
    }
}
