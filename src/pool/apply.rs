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
        self.shared.carriers.strip(request);
        let home = self.home();
        let is_within = home.covers(request.uri()) || self.shared.origin.covers(request.uri());
        if is_within && home.lead(request) && self.put(request) {
            return Ok(());
        }
        Err(ForeignOrigin(self.home().to_string()))
    }

    /// The same for a request that is known to lead to the pool's origin. False if it cannot be led to
    /// where its key is sent.
    pub(crate) fn apply_within<B>(&mut self, request: &mut Request<B>) -> bool {
        self.shared.carriers.strip(request);
        let own = self.credential().and_then(|credential| credential.endpoint.as_deref());
        own.is_none_or(|own| own.lead(request)) && self.put(request)
    }

    /// The same for a request that is to be led to where its key is sent, whatever host it names. False
    /// if that cannot be.
    #[cfg(feature = "balance")]
    pub(crate) fn apply_at_home<B>(&mut self, request: &mut Request<B>) -> bool {
        self.shared.carriers.strip(request);
        self.home().lead(request) && self.put(request)
    }

    /// Puts the key into a request that leads to where it is sent, and what the provider demands. False if
    /// there is no key.
    fn put<B>(&mut self, request: &mut Request<B>) -> bool {
        let facts = self.shared.provider.facts();
        let carrier = facts.carrier_of(request.uri());
        let headers = request.headers_mut();
        let Some(credential) = self.credential() else { return false };
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
        let own = self.credential().and_then(|credential| credential.endpoint.as_deref());
        own.unwrap_or(&self.shared.origin)
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
