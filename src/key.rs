//! An API key: a secret and its label.

use std::{borrow::Borrow, fmt, sync::Arc, time::SystemTime};

use secrecy::SecretString;

use crate::Limit;

/// The label of a key. Logs, events, errors and snapshots show it in place of the secret.
///
/// The operator chooses it ([`ApiKey::id`]), or it is made from the account's name and the position of the
/// key in the account (`org-a-1`). It never contains any part of the secret. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// A key id from a label.
    #[must_use]
    pub fn new(label: impl AsRef<str>) -> Self {
        Self(Arc::from(label.as_ref()))
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(label: &str) -> Self {
        Self::new(label)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Arc<str>>::deserialize(deserializer).map(Self)
    }
}

/// One secret of an account.
///
/// The secret is in memory that is wiped on drop. It is never printed, and cannot be read back through this
/// type. The pool checks it when it is built: an empty secret, or one with bytes that no HTTP header can
/// carry, is a [`BuildError`](crate::BuildError).
///
/// ```
/// use tower_key_rotation::ApiKey;
///
/// let key = ApiKey::new("sk-not-a-real-key").id("a1").weight(2);
/// assert!(!format!("{key:?}").contains("sk-not"));
/// ```
#[must_use]
pub struct ApiKey {
    pub(crate) secret: SecretString,
    pub(crate) id: Option<KeyId>,
    pub(crate) weight: u32,
    pub(crate) limits: Vec<Limit>,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) endpoint: Option<String>,
}

impl ApiKey {
    /// A key from its secret, with weight 1 and an id made from its account's name.
    pub fn new(secret: impl Into<String>) -> Self {
        let secret = SecretString::from(secret.into());
        Self { secret, id: None, weight: 1, limits: Vec::new(), expires: None, endpoint: None }
    }

    /// Sets the label of the key. It must be unique in the pool. By default it is made from the name of the
    /// account and the position of the key in it, such as `org-a-1`.
    pub fn id(mut self, label: impl AsRef<str>) -> Self {
        self.id = Some(KeyId::new(label));
        self
    }

    /// Adds a limit of this key alone, in addition to those of its account. None by default.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Sets the expiry date: from then on no request is sent with this key. By default it never expires.
    ///
    /// The pool emits an event seven days and one day before
    /// ([`Event::KeyExpires`](crate::event::Event::KeyExpires)), and another one at the expiry date
    /// ([`Event::KeyExpired`](crate::event::Event::KeyExpired)). A `jiff::Timestamp` is accepted too.
    pub fn expires(mut self, at: impl Into<SystemTime>) -> Self {
        self.expires = Some(at.into());
        self
    }

    /// Sets the server of this key, such as `https://eu.openai.azure.com` or
    /// `https://gateway.example.com/eu`: the key is sent there only, and not to the pool's origin, which is
    /// the default. Requests with this key are redirected there: they get the scheme, host and port of the
    /// endpoint, and its path is put before theirs. Plain http is allowed for loopback addresses only. An
    /// invalid URL is a [`BuildError`](crate::BuildError) when the pool is built.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the share of this key, relative to the other keys of its account; 1 by default, at least 1.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("weight", &self.weight)
            .field("limits", &self.limits)
            .field("expires", &self.expires)
            .field("has_endpoint", &self.endpoint.is_some())
            .finish_non_exhaustive()
    }
}
