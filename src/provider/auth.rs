//! How a key is sent.

use http::{HeaderName, header::AUTHORIZATION};

/// How a request carries its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthScheme {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// The key alone in a header of its own.
    Header(HeaderName),
}

impl AuthScheme {
    /// The header that holds the key.
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }
}
