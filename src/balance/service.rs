//! All endpoints of a pool as one service.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::{endpoints::KeyEndpoints, future::BalanceFuture, services::KeyServices};
use crate::{
    KeyPool,
    pool::KeyInfo,
    rotate::{Options, RequestContext, ResponseBody, define_option_setters},
};

/// All endpoints of a pool as one service: of two endpoints that have room for a request, the less
/// loaded one gets it, with the key of that endpoint. See the [module](crate::balance).
///
/// Clones share their endpoints. It is always ready, because it knows what a request needs only when it
/// has the request. So a request waits in its future, in the pool's queue, for the pool's `max_wait` at
/// most.
#[must_use = "services do nothing unless called"]
pub struct KeyBalance<F, S> {
    services: KeyServices<F, S>,
    options: Options,
}

impl<F, S> KeyBalance<F, S>
where
    F: FnMut(&KeyInfo) -> S,
{
    /// Balances over the keys of a pool. `make` makes the service of each key: see [`KeyEndpoints`].
    ///
    /// `make` is called under a lock: it must not block, and must not send a request through this
    /// balance.
    pub fn new(pool: &KeyPool, make: F) -> Self {
        Self::from_endpoints(KeyEndpoints::new(pool, make))
    }

    /// Balances over these endpoints, with their options.
    pub fn from_endpoints(endpoints: KeyEndpoints<F>) -> Self {
        let options = endpoints.options();
        Self { services: KeyServices::new(endpoints), options }
    }
}

impl<F, S> KeyBalance<F, S> {
    define_option_setters!();
}

impl<F, S, A, B> Service<Request<A>> for KeyBalance<F, S>
where
    F: FnMut(&KeyInfo) -> S,
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
        let now = Instant::now();
        let mut context = RequestContext::new(self.services.pool(), self.options, now, &request);
        if let Some(exhausted) = context.already_over(now, &request) {
            return BalanceFuture::turned_away(self.services.clone(), request, context, exhausted);
        }
        let lease_or_ask = context.ask(now, &request, KeyPool::lease_or_ask);
        BalanceFuture::new(self.services.clone(), request, context, lease_or_ask)
    }
}

impl<F, S> Clone for KeyBalance<F, S> {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), options: self.options }
    }
}

impl<F, S> fmt::Debug for KeyBalance<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBalance").field("pool", self.services.pool()).finish_non_exhaustive()
    }
}
