//! What a response says.

use std::{fmt, time::Duration};

use super::place::Place;

/// What a response says about the request, the key or the provider.
///
/// A [`Ruling`](crate::provider::Ruling) adds the [`Place`] that it is about, and how well it is proven
/// (its [`Blame`](super::Blame)). A wrong verdict would rest good keys, or send a faulty request to all
/// keys. So one answer changes no more than it proves:
///
/// | verdict | what rests | for how long, if the provider does not say | tried again |
/// | --- | --- | --- | --- |
/// | `Accepted` | nothing; what rested recovers | - | no |
/// | `RateLimited` | the account for this model, or what the rule names | 1 s, doubling to 60 s | on another account at once, then in line until the caller's deadline |
/// | `QuotaExhausted` | the account, or what the rule names | 5 min, doubling to 1 h | on another account at once |
/// | `KeyRejected` | the key, once another key was accepted with the same request | 5 s, doubling to 1 h | with another key at once |
/// | `PermissionRefused` | the key for this operation and model, once another key was accepted | 1 min, doubling to 1 h | with another key at once |
/// | `TooLarge` | the account for requests of this size or more | 5 min, doubling to 1 h | on an account that takes larger ones |
/// | `Overloaded` | the model at the provider; the provider, when two models say so | 250 ms, doubling to 8 s | after that, within the retry budget |
/// | `Transient` | the account, when most of its requests fail | 1 s, doubling to 30 s | after a backoff, within the retry budget |
/// | `CallerFault` | nothing | - | no |
///
/// Each rest has an end. Then one request goes first as a probe (half-open).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider did what was asked.
    Accepted,
    /// The rate limit is exceeded for now.
    RateLimited {
        /// How long the provider says to wait, counted from the arrival of the response.
        retry_after: Option<Duration>,
    },
    /// No money, no credit, or a daily or monthly quota used up.
    QuotaExhausted {
        /// When the quota is known to return, counted from the arrival of the response.
        retry_after: Option<Duration>,
    },
    /// The key is wrong, revoked or disabled.
    KeyRejected,
    /// The key is good, but may not do this: a missing scope, or no access to the model.
    PermissionRefused,
    /// The request is larger than the account may send at once; a smaller one may be served.
    TooLarge {
        /// The most tokens that the account may send at once, where the provider says so.
        limit: Option<u64>,
    },
    /// The provider has too much to do; no key is better than another.
    Overloaded {
        /// How long the provider says to wait, counted from the arrival of the response.
        retry_after: Option<Duration>,
    },
    /// The provider, or the way to it, failed.
    Transient,
    /// The request is at fault, and would be with any key.
    CallerFault,
}

impl Verdict {
    /// Whether another key, or another moment, may do better.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Accepted | Self::CallerFault)
    }

    /// Whether a limit that is wider than an account may cause it. A wait of less than a second shows a
    /// limit of the account itself.
    pub(crate) fn may_be_wider(&self) -> bool {
        const MISSED: Duration = Duration::from_secs(1);
        matches!(self, Self::RateLimited { retry_after }
            if retry_after.is_none_or(|after| after >= MISSED))
    }

    /// The place that it is about unless a rule says otherwise.
    pub(crate) fn usual_place(&self) -> Place {
        match self {
            Self::RateLimited { .. } | Self::TooLarge { .. } => Place::Model,
            Self::QuotaExhausted { .. } | Self::Transient => Place::Account,
            Self::KeyRejected => Place::Key,
            Self::PermissionRefused => Place::Operation,
            Self::Overloaded { .. } => Place::ProviderModel,
            // Nothing rests for these.
            Self::Accepted | Self::CallerFault => Place::Operation,
        }
    }

    /// Whether it may as well be the request's own fault, so that another key has to be asked before
    /// a key is blamed.
    pub(crate) fn needs_contrast(&self) -> bool {
        matches!(self, Self::KeyRejected | Self::PermissionRefused)
    }

    /// A short lower-case name, such as `rate_limited`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The names of all verdicts.
    pub(crate) const NAMES: [&'static str; 9] = [
        "accepted",
        "rate_limited",
        "quota_exhausted",
        "key_rejected",
        "permission_refused",
        "too_large",
        "overloaded",
        "transient",
        "caller_fault",
    ];

    /// The place of its name.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::RateLimited { .. } => 1,
            Self::QuotaExhausted { .. } => 2,
            Self::KeyRejected => 3,
            Self::PermissionRefused => 4,
            Self::TooLarge { .. } => 5,
            Self::Overloaded { .. } => 6,
            Self::Transient => 7,
            Self::CallerFault => 8,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
