//! What an operator wants to be told.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{KeyId, Limit, changes::Changes, verdict::Place};

/// Something changed in a pool. It names keys and accounts by their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A place rests: no request is sent there until that is over.
    Resting {
        /// The place.
        place: Whereabouts,
        /// What is wrong: `rate`, `quota`, `credential`, `permission`, `size`, `overload` or `fault`.
        kind: &'static str,
        /// The rule that says so, such as `openai/rate-limit`.
        rule: Arc<str>,
        /// How long from now.
        wait: Duration,
    },
    /// A place whose rest was a guess serves again.
    Recovered {
        /// The place.
        place: Whereabouts,
    },
    /// An account refused a request for its size, and gets none as large for a while.
    SizeLimited {
        /// The account.
        account: Arc<str>,
        /// The model, if the request had one.
        model: Option<Arc<str>>,
        /// The most tokens that it is sent at once.
        tokens: u64,
        /// The rule that says so.
        rule: Arc<str>,
    },
    /// A key was rejected, and another one accepted with the same request; or it was rejected again. It
    /// is asked again when its rest is over.
    KeyRejected {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The rule that says so.
        rule: Arc<str>,
        /// How long from now it rests.
        wait: Duration,
        /// How many keys of the pool are left.
        live: usize,
        /// How many it has.
        total: usize,
    },
    /// Somebody said that a key is good again ([`KeyPool::revive`](crate::KeyPool::revive)).
    KeyRevived {
        /// The key.
        key: KeyId,
    },
    /// Somebody switched a key off ([`KeyPool::disable`](crate::KeyPool::disable)).
    KeyDisabled {
        /// The key.
        key: KeyId,
    },
    /// Somebody switched a key on again ([`KeyPool::enable`](crate::KeyPool::enable)).
    KeyEnabled {
        /// The key.
        key: KeyId,
    },
    /// A key comes to the end of its time ([`ApiKey::expires`](crate::ApiKey::expires)). Told seven days
    /// and one day before, and at once for a key that comes later than that.
    KeyExpires {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// How long from now.
        wait: Duration,
    },
    /// The time of a key is over; it stays out of use until it is replaced.
    KeyExpired {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// How many keys of the pool are left.
        live: usize,
        /// How many it has.
        total: usize,
    },
    /// Four fifths of what may be spent at once are spent, of a limit on spending or of one of an hour or
    /// longer. Told again once it has been below half, as at the beginning of the next window.
    NearLimit {
        /// Whose limit it is.
        whose: Whose,
        /// The limit.
        limit: Limit,
        /// How much of it is spent, in percent.
        used_percent: u64,
        /// How much of it could be spent at once, now.
        remaining: u64,
    },
    /// A request found no account with room, and no such request would have. Not told again before
    /// [`ExhaustionEnded`](Self::ExhaustionEnded).
    Exhausted {
        /// The model, if the request had one.
        model: Option<Arc<str>>,
        /// How long until there is room, where that is known.
        wait: Option<Duration>,
    },
    /// Requests are admitted at once again, and none found the pool exhausted for ten seconds.
    ExhaustionEnded,
    /// Fewer keys than before may be used: some were rejected, have expired or were removed.
    PoolShrunk {
        /// How many keys of the pool are left.
        live: usize,
        /// How many it has.
        total: usize,
    },
    /// More accounts fail than may rest for it at once: none is benched for failures nobody is proven
    /// to blame for, as long as this lasts.
    AllFailing {
        /// How many accounts rest already.
        resting: usize,
        /// How many there are.
        total: usize,
    },
    /// Accounts succeed again.
    AllFailingEnded,
    /// The provider told a limit that was not declared, or has refused until its rate was found out.
    /// It is kept from now on.
    LimitLearnt {
        /// The account.
        account: Arc<str>,
        /// The model, if not all.
        model: Option<Arc<str>>,
        /// The limit.
        limit: Limit,
    },
    /// The provider told less than was declared. What it told is kept from now on.
    LimitContradicted {
        /// The account.
        account: Arc<str>,
        /// The limit, as it was declared.
        declared: Limit,
        /// The limit, as it is.
        told: Limit,
    },
    /// The provider has refused requests again and again that were well within the account's limits.
    /// It gets as much as it accepted meanwhile.
    RefusedWithinLimits {
        /// The account.
        account: Arc<str>,
        /// The model, if the requests had one.
        model: Option<Arc<str>>,
    },
    /// Keys or accounts were added, removed or changed.
    ConfigChanged(Arc<Changes>),
    /// A new set of keys and accounts could not be had, or not be used: all stays as it was
    /// ([`KeyPool::watch`](crate::KeyPool::watch)).
    ConfigRefused {
        /// What was wrong, without any secret.
        why: String,
    },
    /// A request for a model came of which nobody knows the price, though spending is limited. Told once
    /// for each model.
    Unpriced {
        /// The model, if the request had one.
        model: Option<Arc<str>>,
    },
    /// An answer told more tokens than any request has. The estimate counts instead.
    UsageIgnored {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The larger of its two figures, for its prompt and for its output.
        tokens: u64,
    },
    /// In shadow mode: requests went out that would have been held back. Told once a second at most.
    DryRunHeldBack {
        /// So many since this was last told.
        requests: u64,
        /// So many since the pool was built.
        total: u64,
    },
}

/// Whose a limit is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whose {
    /// An account's, by its name.
    Account(Arc<str>),
    /// A key's.
    Key(KeyId),
    /// That of a [tag](crate::Demand::tag).
    Tag(Arc<str>),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account {name:?}"),
            Self::Key(id) => write!(f, "key {id:?}"),
            Self::Tag(tag) => write!(f, "tag {tag:?}"),
        }
    }
}

/// A place, by the names of what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Whereabouts {
    /// Of which kind it is.
    pub place: Place,
    /// The key, if it is of one.
    pub key: Option<KeyId>,
    /// The account, if it is of one or of a key.
    pub account: Option<Arc<str>>,
    /// The [operation](crate::provider::Operation), if it is of one.
    pub operation: Option<Arc<str>>,
    /// The model, if it is of one; also none if requests name none.
    pub model: Option<Arc<str>>,
}

impl Whereabouts {
    /// A place of which no name is known yet.
    pub(crate) fn of(place: Place) -> Self {
        Self { place, key: None, account: None, operation: None, model: None }
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.account) {
            (Some(key), _) => write!(f, "key {key}")?,
            (None, Some(account)) => write!(f, "account {account}")?,
            (None, None) => f.write_str("the provider")?,
        }
        if let Some(operation) = &self.operation {
            write!(f, " for {operation}")?;
        }
        // Names of models come from callers: quoted, they cannot begin a line of their own.
        self.model.as_ref().map_or(Ok(()), |model| write!(f, " for model {model:?}"))
    }
}
