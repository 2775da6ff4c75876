//! What an operator wants to be told.

use std::{sync::Arc, time::Duration};

use crate::{KeyId, Verdict};

/// Something changed in a pool. It names keys and accounts by their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An account cools down, for one model or for all.
    Cooling {
        /// The account.
        account: Arc<str>,
        /// The model, if not all.
        model: Option<Arc<str>>,
        /// What the provider said.
        verdict: Verdict,
        /// How long from now.
        wait: Duration,
    },
    /// An account that had cooled down on a guess serves again.
    Recovered {
        /// The account.
        account: Arc<str>,
        /// The model, if not all.
        model: Option<Arc<str>>,
    },
    /// A key was rejected; it stays out of use until it is replaced.
    KeyRejected {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// How many keys of the pool are left.
        live: usize,
        /// How many it has.
        total: usize,
    },
    /// A key may not be used for a model.
    ModelRefused {
        /// The key.
        key: KeyId,
        /// The model, if the request had one.
        model: Option<Arc<str>>,
    },
    /// The provider is overloaded, or refuses many accounts alike: everybody waits, no key is blamed.
    Overloaded {
        /// How long from now.
        wait: Duration,
    },
    /// The provider serves again.
    ProviderRecovered,
}
