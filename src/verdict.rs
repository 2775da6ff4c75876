//! What a response says about the key, the account, the model, the provider or the caller.

use std::{fmt, time::Duration};

/// What a response says, and about whom.
///
/// Being wrong here bans good keys or burns them all on a caller's mistake, so each verdict changes
/// only what it is about:
///
/// | verdict | about | what changes | tried again |
/// | --- | --- | --- | --- |
/// | `Accepted` | nobody | failures are forgotten | no |
/// | `RateLimited` | account and model | cools until the reset | on another account at once |
/// | `QuotaExhausted` | account | out until the reset, else probed slowly | on another account at once |
/// | `KeyRejected` | key | dead until replaced | with another key at once |
/// | `ModelRefused` | key and model | that pair only | with another key at once |
/// | `Overloaded` | provider | everybody waits, no key is blamed | after a backoff, within the budget |
/// | `Transient` | nobody yet | the account's failure ratio | after a backoff, within the budget |
/// | `CallerFault` | caller | nothing | no |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider did what was asked.
    Accepted,
    /// Too much, for now.
    RateLimited {
        /// How long the provider says to wait, counted from the arrival of the response.
        retry_after: Option<Duration>,
        /// How far the refusal reaches.
        scope: Scope,
    },
    /// No money, no credit, or a daily or monthly quota used up.
    QuotaExhausted {
        /// When the quota is known to return, counted from the arrival of the response.
        retry_after: Option<Duration>,
        /// How far the refusal reaches.
        scope: Scope,
    },
    /// The key is wrong, revoked or disabled.
    KeyRejected,
    /// The key is good, but not for this model.
    ModelRefused,
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

    /// Whether it may be due to a limit that is wider than an account. A limit that was missed by less
    /// than a second is the account's own.
    pub(crate) fn may_be_wider(&self) -> bool {
        const MISSED: Duration = Duration::from_secs(1);
        matches!(self, Self::RateLimited { retry_after, .. }
            if retry_after.is_none_or(|after| after >= MISSED))
    }

    /// A short lower-case name, such as `rate_limited`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// The names of all verdicts.
    pub(crate) const NAMES: [&'static str; 8] = [
        "accepted",
        "rate_limited",
        "quota_exhausted",
        "key_rejected",
        "model_refused",
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
            Self::ModelRefused => 4,
            Self::Overloaded { .. } => 5,
            Self::Transient => 6,
            Self::CallerFault => 7,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a refusal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The account, for this model only.
    Model,
    /// The account, for every model.
    Account,
}
