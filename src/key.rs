//! One secret, with the label it is known by.

use std::{borrow::Borrow, fmt, sync::Arc, time::SystemTime};

use secrecy::SecretString;

use crate::Limit;

/// The label of a key: what logs, events, errors and snapshots show in its place.
///
/// Cheap to clone. It is chosen by the operator ([`ApiKey::id`]) or made from the account's name and
/// the key's place in it (`org-a-1`); it never holds any part of the secret.
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
/// The secret is held in memory that is wiped on drop, is never printed, and cannot be read back
/// through this type. It is checked when the pool is built: an empty key, or one with bytes that no
/// HTTP header can carry, is a [`BuildError`](crate::BuildError).
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

    /// The label this key is known by. It must be unique in its pool.
    pub fn id(mut self, label: impl AsRef<str>) -> Self {
        self.id = Some(KeyId::new(label));
        self
    }

    /// A limit of this key alone, beside those of its account: a cap that its owner has set, say.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Until when this key is good: no request is sent with it from then on. Never over by default.
    ///
    /// It is told before, seven days and one day ahead
    /// ([`Event::KeyExpires`](crate::event::Event::KeyExpires)), and when it comes
    /// ([`Event::KeyExpired`](crate::event::Event::KeyExpired)). A `jiff::Timestamp` is taken as well.
    pub fn expires(mut self, at: impl Into<SystemTime>) -> Self {
        self.expires = Some(at.into());
        self
    }

    /// A server of this key's own, such as `https://eu.openai.azure.com` or
    /// `https://gateway.example.com/eu`: the key is sent there and nowhere else, in place of the pool's
    /// origin. Requests that it is put into are led there: scheme, host and port become the
    /// endpoint's, and its path goes before theirs. Plain http is for loopback addresses only; a
    /// mistake in it is a [`BuildError`](crate::BuildError).
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// How much this key is used beside the other keys of its account; 1 by default, at least 1.
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
