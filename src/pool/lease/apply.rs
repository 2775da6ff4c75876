//! Puts the key of a lease into a request whose address the key may be sent to.

use std::fmt;

use http::Request;

use crate::{endpoint::Endpoint, pool::lease::Lease};

impl Lease {
    /// Removes all credentials from a request, inserts the key, and adds missing headers that the provider
    /// requires. If the key has an endpoint of its own, the request is redirected there.
    ///
    /// # Errors
    /// [`ForeignOrigin`] if the address of the request is neither at the pool's origin nor at the endpoint of
    /// the key. Its credentials are removed in this case too.
    pub fn apply<B>(&mut self, request: &mut Request<B>) -> Result<(), ForeignOrigin> {
        let (endpoint, uri) = (self.endpoint(), request.uri());
        let is_allowed = endpoint.covers(uri) || self.shared.origin.covers(uri);
        if is_allowed && self.apply_redirected(request) {
            return Ok(());
        }
        self.shared.carriers.strip(request);
        Err(ForeignOrigin(self.endpoint().to_string()))
    }

    /// Does the same for a request to any host. If the request cannot be redirected to the endpoint of the
    /// key, it gets no credential, and the lease is given up.
    pub(crate) fn put_key_into<B>(mut self, request: &mut Request<B>) -> Option<Self> {
        self.apply_redirected(request).then_some(self)
    }

    /// Redirects a request to the endpoint of the key and inserts the key. The auth scheme depends on the
    /// original path of the request, and not on the endpoint.
    fn apply_redirected<B>(&mut self, request: &mut Request<B>) -> bool {
        self.shared.carriers.strip(request);
        let spec = self.shared.provider.spec();
        let scheme = spec.auth_scheme_of(request.uri());
        if !self.endpoint().redirect(request) {
            return false;
        }
        let credential = self.credential();
        let headers = request.headers_mut();
        credential.insert(spec.auth_schemes(), scheme, headers);
        for (name, value) in &spec.headers {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
        self.applied = true;
        true
    }

    /// The endpoint that the key is sent to.
    fn endpoint(&self) -> &Endpoint {
        self.own_endpoint().unwrap_or(&self.shared.origin)
    }

    /// The endpoint of the key, if it is not the pool's origin.
    pub(crate) fn own_endpoint(&self) -> Option<&Endpoint> {
        self.credential().endpoint.as_deref()
    }
}

/// The address of a request is at an origin that the key must not be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOrigin(String);

impl fmt::Display for ForeignOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key may be sent to {} only; change the URI of the request, or the endpoint of the key",
            self.0
        )
    }
}

impl std::error::Error for ForeignOrigin {}

#[cfg(test)]
mod tests {
    use crate::{ApiKey, Demand, Gemini, KeyPool};

    use super::*;

    #[test]
    fn the_header_of_a_key_depends_on_the_path_of_the_request_and_not_on_its_endpoint() {
        // Requests for `/openai/` take a bearer token, and this proxy's path looks like one.
        let key = ApiKey::new("sk-canary").endpoint("https://proxy.test/openai/eu");
        let pool = KeyPool::builder(Gemini::default()).key(key).build().unwrap();
        let roads: [fn(Lease, &mut Request<()>) -> bool; 2] = [
            |mut lease, request| lease.apply(request).is_ok(),
            |lease, request| lease.put_key_into(request).is_some(),
        ];
        for (path, carrier) in [
            ("/v1beta/models/gemini-x:generateContent", "x-goog-api-key"),
            ("/v1beta/openai/chat/completions", "authorization"),
        ] {
            for apply in roads {
                let origin = "https://generativelanguage.googleapis.com";
                let mut request = Request::post(format!("{origin}{path}")).body(()).unwrap();
                let lease = pool.try_acquire(&Demand::new()).unwrap();
                assert!(apply(lease, &mut request), "{path}");
                assert_eq!(*request.uri(), *format!("https://proxy.test/openai/eu{path}"));
                let keys: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
                assert_eq!(keys, [carrier], "{path}");
            }
        }
    }
}
