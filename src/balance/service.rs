//! The endpoints of a pool as one service.

use std::{
    collections::HashMap,
    fmt, ptr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use tokio::time::Instant;
use tower::discover::Change;
use tower_service::Service;

use crate::{
    KeyEndpointInfo, KeyId, KeyPool, Lease,
    endpoint::Endpoint,
    rotate::{Options, RequestContext, ResponseBody},
};

use super::{endpoints::KeyEndpoints, future::BalanceFuture};

/// The endpoints of a pool as one service: each request goes to the least loaded of two that have room
/// for it, with that endpoint's own key; see the [module](crate::balance).
///
/// Clones share their endpoints. It is always ready: what a request may need is known when it comes, so
/// it waits in its future, in the pool's line, and no longer than the pool's `max_wait`.
pub struct KeyBalance<F, S> {
    shared: Arc<Shared<F, S>>,
}

struct Shared<F, S> {
    pool: KeyPool,
    options: Options,
    endpoints: Mutex<Endpoints<F, S>>,
}

struct Endpoints<F, S> {
    discover: KeyEndpoints<F>,
    /// With where its key is sent.
    by_key: HashMap<KeyId, (Option<Uri>, S)>,
}

impl<F, S> Endpoints<F, S>
where
    F: FnMut(&KeyEndpointInfo) -> S,
{
    /// Takes in what has changed, and gives back what is no longer used.
    fn follow(&mut self) -> Vec<(Option<Uri>, S)> {
        let mut gone = Vec::new();
        while let Some(change) = self.discover.next_change() {
            gone.extend(match change {
                Change::Remove(id) => self.by_key.remove(&id),
                Change::Insert(id, (info, service)) => {
                    self.by_key.insert(id, (info.endpoint, service))
                }
            });
        }
        gone
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

impl<F, S> KeyBalance<F, S>
where
    F: FnMut(&KeyEndpointInfo) -> S,
{
    /// The keys of a pool, and how to make the service of each: see [`KeyEndpoints`]. It is called under
    /// a lock, so it must not block, nor send anything through what is being made here.
    pub fn new(pool: &KeyPool, make: F) -> Self {
        Self::of(KeyEndpoints::new(pool, make))
    }

    /// The same with endpoints that were prepared otherwise.
    pub fn of(discover: KeyEndpoints<F>) -> Self {
        let (pool, options) = (discover.pool().clone(), discover.options());
        let endpoints = Mutex::new(Endpoints { discover, by_key: HashMap::new() });
        Self { shared: Arc::new(Shared { pool, options, endpoints }) }
    }

    /// The service of a lease's key, as `make` made it for where that key is sent. If the key has gone
    /// since, or is sent elsewhere by now, it is made for this request alone.
    pub(super) fn service_for(&self, lease: &Lease) -> S
    where
        S: Clone,
    {
        let (service, gone) = self.with(|endpoints| {
            let gone = endpoints.follow();
            (endpoints.service_for(lease), gone)
        });
        // Outside the lock: whatever a client does when it is dropped.
        drop(gone);
        service
    }

    /// Lets go of the services of keys that have gone.
    pub(super) fn follow(&self) {
        drop(self.with(Endpoints::follow));
    }

    /// The service of a key has failed, and with it all its clones: it is made anew for the next
    /// request.
    pub(super) fn failed(&self, context: &RequestContext, lease: Lease) {
        let failed = self.with(|endpoints| {
            let key = lease.key();
            endpoints.discover.tell_again(key);
            endpoints.by_key.remove(key)
        });
        drop(failed);
        context.call_failed(lease);
    }

    fn with<R>(&self, act: impl FnOnce(&mut Endpoints<F, S>) -> R) -> R {
        act(&mut self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F, S, A, B> Service<Request<A>> for KeyBalance<F, S>
where
    F: FnMut(&KeyEndpointInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = BalanceFuture<F, S, A, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let Shared { pool, options, .. } = &*self.shared;
        let now = Instant::now();
        let mut context = RequestContext::new(pool, *options, now, &request);
        if let Some(exhausted) = context.already_over(now, &request) {
            return BalanceFuture::turned_away(self.clone(), request, context, exhausted);
        }
        let lease_or_ask = context.ask(now, &request, KeyPool::lease_or_ask);
        BalanceFuture::new(self.clone(), request, context, lease_or_ask)
    }
}

/// Mostly one is a clone of the other, and need not be taken apart to be compared.
fn is_same(one: Option<&Uri>, other: Option<&Uri>) -> bool {
    let is_clone = |(one, other): (&Uri, &Uri)| {
        let authorities = one.authority().zip(other.authority());
        ptr::eq(one.path(), other.path())
            && authorities.is_some_and(|(one, other)| ptr::eq(one.as_str(), other.as_str()))
    };
    one.zip(other).is_some_and(is_clone) || one == other
}

impl<F, S> Clone for KeyBalance<F, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F, S> fmt::Debug for KeyBalance<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBalance").field("pool", &self.shared.pool).finish_non_exhaustive()
    }
}
