//! Putting a lease's key into a request, where that leads to a place that it may be sent to.

use std::fmt;

use http::Request;

use crate::{Lease, endpoint::Endpoint};

impl Lease {
    /// Removes every credential from a request, inserts the key's, and adds the headers that the
    /// provider demands where they are missing. If the key has an endpoint of its own, the request is
    /// led there.
    ///
    /// # Errors
    /// [`ForeignOrigin`] if the request leads to another origin than the pool's, and not to the key's
    /// endpoint either. Its credentials are removed all the same.
    pub fn apply<B>(&mut self, request: &mut Request<B>) -> Result<(), ForeignOrigin> {
        let is_applied = self.apply_led(request, |lease, request| {
            let (home, uri) = (lease.home(), request.uri());
            (home.covers(uri) || lease.shared.origin.covers(uri)) && home.lead(request)
        });
        if is_applied { Ok(()) } else { Err(ForeignOrigin(self.home().to_string())) }
    }

    /// The same for a request that is known to lead to the pool's origin. False if it cannot be led to
    /// where its key is sent.
    pub(crate) fn apply_within<B>(&mut self, request: &mut Request<B>) -> bool {
        self.apply_led(request, |lease, request| {
            lease.own_endpoint().is_none_or(|own| own.lead(request))
        })
    }

    /// The same for a request that is to be led to where its key is sent, whatever host it names. False
    /// if that cannot be.
    #[cfg(feature = "balance")]
    pub(crate) fn apply_at_home<B>(&mut self, request: &mut Request<B>) -> bool {
        self.apply_led(request, |lease, request| lease.home().lead(request))
    }

    /// Puts the key into a request, if that leads to where the key is sent. How it is put in depends on
    /// what the request is for, and not on where it is led.
    fn apply_led<B>(
        &mut self,
        request: &mut Request<B>,
        lead: impl FnOnce(&Self, &mut Request<B>) -> bool,
    ) -> bool {
        self.shared.carriers.strip(request);
        let facts = self.shared.provider.facts();
        let carrier = facts.carrier_of(request.uri());
        let Some(credential) = self.credential().filter(|_| lead(self, request)) else {
            return false;
        };
        let headers = request.headers_mut();
        credential.insert(facts.carriers(), carrier, headers);
        for (name, value) in &facts.headers {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
        self.applied = true;
        true
    }

    /// Where its key is sent.
    fn home(&self) -> &Endpoint {
        self.own_endpoint().unwrap_or(&self.shared.origin)
    }

    /// The same, if that is not the pool's origin.
    pub(super) fn own_endpoint(&self) -> Option<&Endpoint> {
        self.credential()?.endpoint.as_deref()
    }
}

/// A request leads elsewhere than its key may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOrigin(String);

impl fmt::Display for ForeignOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this key may be sent to {} only", self.0)
    }
}

impl std::error::Error for ForeignOrigin {}

#[cfg(test)]
mod tests {
    use crate::{ApiKey, Demand, Gemini, KeyPool};

    use super::*;

    #[test]
    fn the_way_of_a_key_depends_on_the_request_and_not_on_where_it_is_led() {
        // Requests for `/openai/` take a bearer token, and this proxy's path looks like one.
        let key = ApiKey::new("sk-canary").endpoint("https://proxy.test/openai/eu");
        let pool = KeyPool::builder(Gemini::default()).key(key).build().unwrap();
        let ways: [fn(&mut Lease, &mut Request<()>) -> bool; 2] =
            [|lease, request| lease.apply(request).is_ok(), Lease::apply_within];
        for (path, carrier) in [
            ("/v1beta/models/gemini-x:generateContent", "x-goog-api-key"),
            ("/v1beta/openai/chat/completions", "authorization"),
        ] {
            for apply in ways {
                let home = "https://generativelanguage.googleapis.com";
                let mut request = Request::post(format!("{home}{path}")).body(()).unwrap();
                let mut lease = pool.try_acquire(&Demand::new()).unwrap();
                assert!(apply(&mut lease, &mut request), "{path}");
                assert_eq!(*request.uri(), *format!("https://proxy.test/openai/eu{path}"));
                let keys: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
                assert_eq!(keys, [carrier], "{path}");
            }
        }
    }
}
