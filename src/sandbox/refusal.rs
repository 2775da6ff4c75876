//! Why a request is refused, independent of the dialect that words it.

use http::StatusCode;

use crate::sandbox::{
    limits::{Exceeded, Wait},
    stats::Counts,
};

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The request has no credential in a place that its wire format accepts.
    NoCredential,
    /// The request has more than one credential.
    SeveralCredentials,
    /// The secret is unknown or revoked.
    UnknownKey,
    /// No API has this path.
    UnknownPath,
    /// The request is malformed, as this sentence says.
    BadRequest(&'static str),
    /// The model does not exist.
    UnknownModel,
    /// The key may not use this model.
    ModelForbidden,
    /// The key may not be used for this path.
    PathForbidden,
    /// The value of this header is wrong for every key: name and value.
    HeaderRejected(String, String),
    /// The account has no quota left.
    QuotaExhausted,
    /// A limit has no room.
    LimitExceeded(Exceeded),
    /// The provider is overloaded.
    Overloaded,
    /// A fault demands this status.
    Error(StatusCode),
}

impl Refusal {
    /// Whether the response has headers with the remaining limits. The refusal of one request too many
    /// at once has none, because these headers do not describe concurrency.
    pub(super) fn has_limit_headers(&self) -> bool {
        matches!(self, Self::LimitExceeded(exceeded) if exceeded.wait != Wait::Unknown)
    }

    /// The same refusal without the time to wait; none if it states no time.
    pub(super) fn without_wait(&self) -> Option<Self> {
        match self {
            Self::LimitExceeded(exceeded) if matches!(exceeded.wait, Wait::For(_)) => {
                Some(Self::LimitExceeded(Exceeded { wait: Wait::Hidden, ..exceeded.clone() }))
            }
            _ => None,
        }
    }

    /// Adds this refusal to the count of its kind.
    pub(super) fn count(&self, counts: &mut Counts) {
        let count = match self {
            Self::NoCredential | Self::SeveralCredentials | Self::UnknownKey => {
                &mut counts.rejected
            }
            Self::LimitExceeded(_) => &mut counts.rate_limited,
            _ => &mut counts.errors,
        };
        *count += 1;
    }
}
