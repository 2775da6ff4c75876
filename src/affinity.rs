//! Keeps a conversation on the account that has it in its prompt cache.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Whether requests that begin alike stay on one account. Its provider has that beginning in its prompt
/// cache, and charges a tenth to a half for what it reads from there.
///
/// A request is related to earlier ones by the first of these that it has:
///
/// 1. the name that its caller gives it ([`Demand::affinity`](crate::Demand::affinity));
/// 2. the provider's own header for it, or `prompt_cache_key` or `conversation` in its body;
/// 3. its beginning, where the bodies of the dialect are JSON: the prompt up to a message with which an
///    earlier request ended, if it is long enough for the provider to cache it
///    ([`ProviderSpec::prompt_cache`](crate::provider::ProviderSpec::prompt_cache)). Equal instructions and tools alone
///    do not relate requests, because every account soon has them in its cache.
///
/// A request goes to the account that last served a related request well, while that account has room and
/// is not much busier than the one that the [`Strategy`](crate::strategy::Strategy) would choose: by no more than a
/// quarter and eight requests at once. Otherwise it goes to another account at once. Once that has served
/// it well, related requests follow, because the longest beginning is cached there now. Requests without
/// related ones go where the strategy says. A beginning that was not used for as long as the provider
/// caches it is forgotten.
///
/// A strategy that looks at accounts [in their declared order](crate::strategy::Look::AsDeclared) keeps
/// to that order.
///
/// ```
/// use tower_key_rotation::{ApiKey, KeyPool, OpenAi, pool::Affinity};
///
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key"))
///     // Only by the names that callers give: prompts are not compared.
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
    /// Relates requests by everything in the list above: the default.
    pub fn new() -> Self {
        Self { prompts: true, lifetime: None, patience: Duration::from_secs(2), capacity: 1 << 16 }
    }

    /// No affinity: each request goes where the strategy says.
    pub fn disabled() -> Self {
        Self { prompts: false, lifetime: None, patience: Duration::ZERO, capacity: 0 }
    }

    /// Whether requests without a name are related by what is in them, 2 and 3 in the list above; on by
    /// default. It reads each body that is long enough once more.
    pub fn prompts(mut self, prompts: bool) -> Self {
        self.prompts = prompts;
        self
    }

    /// How long an account is preferred after the last use; by default as long as the provider keeps a
    /// prompt in its cache at least.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long a request waits for its preferred account, if that has no room and another one has; 2 s
    /// by default, which is about the time that a provider takes to read a prompt that is in no cache.
    /// The time begins when the request first asks for a key. A request does not wait for its preferred
    /// account if many others wait already.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// About how many conversations are remembered at most; 65,536 by default, which takes 4 MiB. The
    /// least recently used ones are forgotten first.
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

/// How many beginnings of one prompt are compared, the longest ones.
const MAX_BEGINNINGS: usize = 32;

/// What relates a request to earlier ones, as keyed hashes: of its whole prompt, or of its name, then of
/// ever shorter beginnings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kin {
    /// A ring: the latest one is of the longest beginning.
    hashes: [u64; MAX_BEGINNINGS],
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
        Self { hashes: [0; MAX_BEGINNINGS], number: 0 }
    }

    /// Adds a longer beginning.
    pub(crate) fn longer(&mut self, hash: u64) {
        self.hashes[self.number % MAX_BEGINNINGS] = hash;
        self.number += 1;
    }

    /// The hash of the longest beginning; none if there is none.
    pub(crate) fn whole(&self) -> Option<u64> {
        self.iter().next()
    }

    /// The longest beginning first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let kept = self.number.min(MAX_BEGINNINGS);
        (0..kept).map(|shorter| self.hashes[(self.number - 1 - shorter) % MAX_BEGINNINGS])
    }
}
