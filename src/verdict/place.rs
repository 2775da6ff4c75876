//! What a response is about, and how well that is proven.

use std::fmt;

/// What a reported limit applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The account, for this model only.
    Model,
    /// The account, for every model.
    Account,
}

/// What can be out of order, from the narrowest to the widest.
///
/// A refusal is about the narrowest place that its words prove. A wider one rests only when two of the
/// narrower ones below it agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// A key, for one operation and one model: a missing scope.
    Operation,
    /// A key, for one model.
    KeyModel,
    /// A key.
    Key,
    /// An account, for one model.
    Model,
    /// An account with all its keys.
    Account,
    /// One model at the provider, whatever the account.
    ProviderModel,
    /// The provider.
    Provider,
}

impl Place {
    /// All places, from the narrowest to the widest.
    pub const ALL: [Self; 7] = [
        Self::Operation,
        Self::KeyModel,
        Self::Key,
        Self::Model,
        Self::Account,
        Self::ProviderModel,
        Self::Provider,
    ];

    /// A short lower-case name, such as `provider_model`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::KeyModel => "key_model",
            Self::Key => "key",
            Self::Model => "model",
            Self::Account => "account",
            Self::ProviderModel => "provider_model",
            Self::Provider => "provider",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl From<Scope> for Place {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Model => Self::Model,
            Scope::Account => Self::Account,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How well a refusal proves which place is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// The body or a header names the fault, such as `invalid_api_key`.
    Told,
    /// Little more than the status suggests it.
    Inferred,
}

impl Blame {
    /// `told` or `inferred`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Inferred => "inferred",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
