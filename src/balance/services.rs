//! The services of a pool's keys, shared by all clones of a balance.

use std::{
    collections::HashMap,
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

use http::Uri;
use tower::discover::Change;

use super::endpoints::KeyEndpoints;
use crate::{KeyId, KeyPool, Lease, endpoint::Endpoint, pool::KeyInfo};

/// The services of a pool's keys. Clones share them.
pub(super) struct KeyServices<F, S> {
    shared: Arc<Shared<F, S>>,
}

struct Shared<F, S> {
    pool: KeyPool,
    services: Mutex<Services<F, S>>,
}

struct Services<F, S> {
    discover: KeyEndpoints<F>,
    /// Each service, and the endpoint of its key.
    by_key: HashMap<KeyId, (Option<Uri>, S)>,
}

impl<F, S> KeyServices<F, S> {
    pub(super) fn new(discover: KeyEndpoints<F>) -> Self {
        let pool = discover.pool().clone();
        let services = Mutex::new(Services { discover, by_key: HashMap::new() });
        Self { shared: Arc::new(Shared { pool, services }) }
    }

    pub(super) fn pool(&self) -> &KeyPool {
        &self.shared.pool
    }

    fn with<R>(&self, act: impl FnOnce(&mut Services<F, S>) -> R) -> R {
        act(&mut self.shared.services.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F, S> KeyServices<F, S>
where
    F: FnMut(&KeyInfo) -> S,
{
    /// A clone of the service of a lease's key. If the key has been removed, or has another endpoint by
    /// now, a service is made for this request alone.
    pub(super) fn service_for(&self, lease: &Lease) -> S
    where
        S: Clone,
    {
        let (service, removed) = self.with(|services| {
            let removed = services.update();
            (services.service_for(lease), removed)
        });
        // Outside the lock, because the drop of a client may do anything.
        drop(removed);
        service
    }

    /// Drops the services of keys that have been removed.
    pub(super) fn update(&self) {
        drop(self.with(Services::update));
    }

    /// Drops the service of a key, because a failed service fails all its clones. A new one is made for
    /// the next request.
    pub(super) fn renew(&self, key: &KeyId) {
        let failed = self.with(|services| {
            services.discover.insert_again(key);
            services.by_key.remove(key)
        });
        drop(failed);
    }
}

impl<F, S> Services<F, S>
where
    F: FnMut(&KeyInfo) -> S,
{
    /// Applies the changes of the pool's keys. Returns the services that are no longer used.
    fn update(&mut self) -> Vec<(Option<Uri>, S)> {
        let mut removed = Vec::new();
        while let Some(change) = self.discover.next_change() {
            removed.extend(match change {
                Change::Remove(id) => self.by_key.remove(&id),
                Change::Insert(id, (info, service)) => {
                    self.by_key.insert(id, (info.endpoint, service))
                }
            });
        }
        removed
    }

    fn service_for(&mut self, lease: &Lease) -> S
    where
        S: Clone,
    {
        match self.by_key.get(lease.key()) {
            Some((endpoint, service))
                if is_same(endpoint.as_ref(), lease.own_endpoint().map(Endpoint::uri)) =>
            {
                service.clone()
            }
            _ => self.discover.make(&lease.endpoint_info()),
        }
    }
}

/// Usually one is a clone of the other; then comparing addresses is enough.
fn is_same(one: Option<&Uri>, other: Option<&Uri>) -> bool {
    let is_clone = |(one, other): (&Uri, &Uri)| {
        let authorities = one.authority().zip(other.authority());
        ptr::eq(one.path(), other.path())
            && authorities.is_some_and(|(one, other)| ptr::eq(one.as_str(), other.as_str()))
    };
    one.zip(other).is_some_and(is_clone) || one == other
}

impl<F, S> Clone for KeyServices<F, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}
