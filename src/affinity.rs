//! Keeping a conversation on the account that has it in its prompt cache.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// Whether requests that begin alike stay on one account, whose provider has that beginning in its
/// cache: what is read from there costs a tenth to a half.
///
/// A request is kin to earlier ones by the first of these that it has:
///
/// 1. the name that its caller gives it ([`Demand::affinity`](crate::Demand::affinity));
/// 2. the provider's own header for it, and `prompt_cache_key` or `conversation` in its body;
/// 3. its beginning, where the dialect's bodies are JSON: the prompt up to a message with which an
///    earlier request ended, if it is long enough for the provider to keep it
///    ([`Facts::prompt_cache`](crate::provider::Facts::prompt_cache)). Instructions and tools alone
///    make no kin: every account has them in its cache soon.
///
/// It goes to the account that answered the last of its kin well, while that account has room and is
/// not much busier than the one that the [`Strategy`](crate::Strategy) would take: more than a quarter
/// and eight requests at once. Else it goes elsewhere at once, and its kin stay where they are until
/// that was answered well; then they follow, for the longest beginning is cached there now. Requests
/// without kin go where the strategy says. What was not used for as long as the provider keeps it is
/// forgotten.
///
/// A strategy that looks at accounts [in their declared order](crate::strategy::Look::AsDeclared) keeps
/// to that order.
///
/// ```
/// use tower_key_rotation::{Affinity, ApiKey, KeyPool, OpenAi};
///
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key"))
///     // Only what callers say: prompts are not looked at.
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
    pub(crate) most: usize,
}

impl Affinity {
    /// By all that tells it: the default.
    pub fn new() -> Self {
        Self { prompts: true, lifetime: None, patience: Duration::from_secs(2), most: 1 << 16 }
    }

    /// None at all: each request goes where the strategy says.
    pub fn none() -> Self {
        Self { prompts: false, lifetime: None, patience: Duration::ZERO, most: 0 }
    }

    /// Whether the beginnings of prompts are compared, also where callers say nothing; they are by
    /// default. It takes one more look through each body that is long enough.
    pub fn prompts(mut self, prompts: bool) -> Self {
        self.prompts = prompts;
        self
    }

    /// For how long an account is preferred after the last use; as long as the provider surely keeps a
    /// prompt, by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long a request waits for the account of its kin, where that has no room and another one has;
    /// two seconds by default, about what a provider takes to read a prompt anew that is in no cache.
    /// It is counted from when the request first asked. Nobody waits so where many wait already.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How many conversations are remembered at most, about; 65,536 by default, in 4 MiB. Those that
    /// were not used for longest are forgotten first.
    pub fn most(mut self, conversations: usize) -> Self {
        self.most = conversations;
        self
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self::new()
    }
}

/// So many of the last beginnings of a prompt may be ones with which an earlier request ended.
const MOST: usize = 32;

/// By what a request may be kin to earlier ones, as keyed hashes: the whole first, then ever shorter
/// beginnings of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kin {
    /// A ring: the latest is the longest.
    hashes: [u64; MOST],
    number: usize,
}

impl Kin {
    /// By a name.
    pub(crate) fn named(keys: &RandomState, name: &[u8]) -> Self {
        let mut hasher = keys.build_hasher();
        hasher.write(name);
        let mut kin = Self::new();
        kin.longer(hasher.finish());
        kin
    }

    pub(crate) fn new() -> Self {
        Self { hashes: [0; MOST], number: 0 }
    }

    /// A longer beginning.
    pub(crate) fn longer(&mut self, hash: u64) {
        self.hashes[self.number % MOST] = hash;
        self.number += 1;
    }

    /// The hash of all of it; none if there is nothing to be kin by.
    pub(crate) fn whole(&self) -> Option<u64> {
        self.iter().next()
    }

    /// The longest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let kept = self.number.min(MOST);
        (0..kept).map(|shorter| self.hashes[(self.number - 1 - shorter) % MOST])
    }
}
