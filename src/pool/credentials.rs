//! Puts a key into a request, and removes all other credentials.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::AUTHORIZATION, uri};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::{
    KeyId,
    endpoint::Endpoint,
    provider::{AuthScheme, Provider},
};

/// The headers in which known providers accept a key.
static CARRIERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

/// The secret of a key, and where it is sent.
pub(crate) struct Credential {
    pub(crate) id: KeyId,
    pub(crate) account: Arc<str>,
    /// The endpoint, if it is not the pool's origin.
    pub(crate) endpoint: Option<Box<Endpoint>>,
    secret: SecretString,
    /// One sensitive header value for each auth scheme of the provider.
    values: Box<[HeaderValue]>,
    /// Dropped with this credential, when the last request with it has ended.
    in_use: OnceLock<oneshot::Sender<()>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Credential {
    /// Fails on an empty key, and on bytes that no header can carry.
    pub(crate) fn new(
        id: KeyId,
        account: Arc<str>,
        endpoint: Option<Endpoint>,
        secret: &SecretString,
        carriers: &[AuthScheme],
    ) -> Result<Self, &'static str> {
        let (kept, secret) = (secret.clone(), secret.expose_secret());
        if secret.trim().is_empty() {
            return Err("its secret is empty");
        }
        let header = |carrier: &AuthScheme| {
            let value = match carrier {
                AuthScheme::Bearer => bearer(secret),
                AuthScheme::Header(_) => HeaderValue::from_str(secret),
            };
            let mut value = value.map_err(
                |_| "its secret has bytes that no HTTP header can carry; remove line breaks and control characters",
            )?;
            value.set_sensitive(true);
            // The first clone of a value allocates its reference count. This clone spares the first request
            // that allocation.
            drop(value.clone());
            Ok(value)
        };
        let endpoint = endpoint.map(Box::new);
        let values = carriers.iter().map(header).collect::<Result<_, &'static str>>()?;
        Ok(Self { id, account, endpoint, secret: kept, values, in_use: OnceLock::new() })
    }

    /// The same key with another secret.
    pub(in crate::pool) fn with_secret(
        &self,
        secret: String,
        carriers: &[AuthScheme],
    ) -> Result<Self, &'static str> {
        let account = Arc::clone(&self.account);
        let endpoint = self.endpoint.as_deref().cloned();
        Self::new(self.id.clone(), account, endpoint, &SecretString::from(secret), carriers)
    }

    /// Whether it is sent to the same place, with the same secret.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && self.secret.expose_secret() == other.secret.expose_secret()
    }

    /// Called when the credential is no longer given out. The receiver resolves when the last request with it
    /// has ended.
    pub(in crate::pool) fn leave(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        // This is called only once. A second receiver would resolve at once.
        drop(self.in_use.set(sender));
        receiver
    }

    /// Inserts the key with one of the provider's auth schemes. All other credentials must have been removed
    /// before.
    pub(crate) fn insert(&self, carriers: &[AuthScheme], at: usize, headers: &mut HeaderMap) {
        let mut ways = carriers.iter().zip(&self.values);
        if let Some((carrier, value)) = ways.clone().nth(at).or_else(|| ways.next()) {
            headers.insert(carrier.name(), value.clone());
        }
    }
}

impl Credential {
    /// A fingerprint that only shows whether a secret is the same. It may change with the version of Rust;
    /// then the secret counts as another one.
    pub(crate) fn fingerprint(&self, salt: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (salt, self.secret.expose_secret(), salt).hash(&mut hasher);
        hasher.finish()
    }

    /// The same text with the key overwritten by asterisks, if it contains the key. Some providers repeat the
    /// key in the message that refuses it.
    pub(crate) fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        let secret = self.secret.expose_secret().as_bytes();
        let mut redacted: Option<Vec<u8>> = None;
        let mut from = 0;
        while let Some(at) = text[from..].windows(secret.len()).position(|part| part == secret) {
            let found = from + at..from + at + secret.len();
            from = found.end;
            redacted.get_or_insert_with(|| text.to_vec())[found].fill(b'*');
        }
        redacted
    }
}

fn bearer(secret: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let text = SecretString::from(format!("Bearer {secret}"));
    HeaderValue::from_str(text.expose_secret())
}

/// The places where requests and responses may contain keys.
#[derive(Debug)]
pub(crate) struct Carriers {
    headers: Box<[HeaderName]>,
    /// The lengths of their names, as a set of bits.
    lengths: u64,
    parameter: Option<Box<str>>,
}

impl Carriers {
    /// The places of all known providers, and of this one.
    pub(crate) fn new(provider: &dyn Provider) -> Self {
        let own = provider.spec().auth_schemes().iter().map(AuthScheme::name);
        let mut headers = CARRIERS.to_vec();
        headers.extend(own.filter(|name| !CARRIERS.contains(*name)).cloned());
        Self {
            lengths: headers.iter().fold(0, |lengths, name| lengths | length(name)),
            headers: headers.into_boxed_slice(),
            parameter: provider.spec().key_parameter.as_deref().map(Box::from),
        }
    }

    /// Removes all headers that may contain a key.
    pub(crate) fn strip_headers(&self, headers: &mut HeaderMap) {
        if headers.keys().any(|name| self.may_be(name)) {
            for name in &self.headers {
                headers.remove(name);
            }
        }
    }

    /// Whether a header may contain a key. The test of the length is fast, and usually answers no.
    fn may_be(&self, name: &HeaderName) -> bool {
        self.lengths & length(name) != 0 && self.headers.contains(name)
    }

    /// Removes all credentials from a request, including those in its query.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        self.strip_headers(request.headers_mut());
        if let Some(parameter) = &self.parameter
            && let Some(uri) = without_parameter(request.uri(), parameter)
        {
            *request.uri_mut() = uri;
        }
    }
}

/// The bit for the length of a name. All lengths above 62 share one bit.
fn length(name: &HeaderName) -> u64 {
    1 << name.as_str().len().min(63)
}

/// The URI without a query parameter; none if it does not have the parameter.
fn without_parameter(uri: &Uri, parameter: &str) -> Option<Uri> {
    let query = uri.query()?;
    // The name may be escaped: `%6bey` is `key`.
    let is_it =
        |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == parameter);
    if !query.split('&').any(|pair| is_it(&pair)) {
        return None;
    }
    let rest = query.split('&').filter(|pair| !is_it(pair)).collect::<Vec<_>>().join("&");
    let path =
        if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{rest}", uri.path()) };
    let mut parts = uri::Parts::from(uri.clone());
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_with_an_escaped_name_is_removed() {
        for name in ["%6bey", "%6Bey", "k%65%79", "%6b%65%79"] {
            let uri = format!("https://h/p?a=%3D&{name}=s&b").parse().unwrap();
            let without = without_parameter(&uri, "key").map(|uri| uri.to_string());
            assert_eq!(without.as_deref(), Some("https://h/p?a=%3D&b"), "{name}");
        }
        let uri = "https://h/p?%6bey".parse().unwrap();
        assert_eq!(without_parameter(&uri, "key").unwrap(), "https://h/p");
    }

    #[test]
    fn only_the_named_parameter_is_removed() {
        let without =
            |uri: &str| without_parameter(&uri.parse().unwrap(), "key").map(|u| u.to_string());
        assert_eq!(without("https://h/p?key=s").as_deref(), Some("https://h/p"));
        assert_eq!(
            without("https://h/p?a=1&key=s&alt=sse").as_deref(),
            Some("https://h/p?a=1&alt=sse")
        );
        assert_eq!(without("https://h/p?key=s&key=t&b").as_deref(), Some("https://h/p?b"));
        assert_eq!(without("https://h/p?key").as_deref(), Some("https://h/p"));
        assert_eq!(without("https://h/p?monkey=1"), None);
        assert_eq!(without("https://h/p?a=%6b&k%2By=1"), None);
        assert_eq!(without("https://h/p"), None);
    }
}
