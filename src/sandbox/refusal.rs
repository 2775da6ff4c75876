//! Why a request is refused, before any dialect says it in its own way.

use http::StatusCode;

use crate::sandbox::{
    books::Tally,
    limits::{Over, Wait},
};

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// No credential, in no way that counts here.
    NoCredential,
    /// More than one credential.
    SeveralCredentials,
    /// A secret that is unknown, or was revoked.
    UnknownKey,
    /// Nothing lives at this path.
    UnknownPath,
    /// The request is wrong, as this sentence says.
    BadRequest(&'static str),
    /// There is no such model.
    UnknownModel,
    /// The key may not use this model.
    ModelForbidden,
    /// The key may not be used for this path.
    PathForbidden,
    /// A header of this name has a value that no key helps with.
    HeaderRejected(String, String),
    /// The account has no quota left.
    Exhausted,
    /// A limit has no room.
    Over(Over),
    /// The provider has too much to do.
    Overloaded,
    /// As a fault demands.
    Error(StatusCode),
}

impl Refusal {
    /// Whether its response tells what is left of the limits. A refusal for too many at once does
    /// not, as they have nothing to say about it.
    pub(super) fn tells_left(&self) -> bool {
        matches!(self, Self::Over(over) if over.wait != Wait::Unknown)
    }

    /// The same without the time to come back, if it has one.
    pub(super) fn untold(&self) -> Option<Self> {
        match self {
            Self::Over(over) if matches!(over.wait, Wait::For(_)) => {
                Some(Self::Over(Over { wait: Wait::Untold, ..over.clone() }))
            }
            _ => None,
        }
    }

    /// Counts it as what it is.
    pub(super) fn enter(&self, tally: &mut Tally) {
        let count = match self {
            Self::NoCredential | Self::SeveralCredentials | Self::UnknownKey => &mut tally.rejected,
            Self::Over(_) => &mut tally.rate_limited,
            _ => &mut tally.errors,
        };
        *count += 1;
    }
}
