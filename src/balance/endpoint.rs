//! One key with its own service.

use std::{
    fmt,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower::load::Load;
use tower_service::Service;

use crate::{
    KeyId, KeyPool,
    pool::{KeyGate, KeyInfo},
    rotate::{Exchange, Options, RequestContext, ResponseBody, ResponseFuture},
};

/// One key with its own service; [`KeyEndpoints`](super::KeyEndpoints) yields it.
///
/// It does what [`KeyRotation`](crate::KeyRotation) does, but with this key only. It reserves what a
/// request needs, sends it to the key's endpoint whatever host the request names, puts the key in, and
/// judges the response in its own future. So the pool is up to date before a retry policy asks for an
/// endpoint again.
///
/// # Readiness
///
/// It is ready when its key could take an ordinary request, which is one as large as the last. While the
/// account has much room left, being ready costs nothing. While it has little room, being ready holds a
/// reservation. The endpoint gives it back when it is dropped, or as soon as an actual request needs it,
/// wherever that request comes from. So a ready endpoint may become unready: when its key was refused in
/// the meantime, or when its reservation was taken. Poll it again right before each call, as tower's
/// balancers do. It wakes its task only for a change, and uses one timer.
///
/// If there is too little room for a request, the request waits in the queue for this key, for the pool's
/// `max_wait` at most.
pub struct KeyEndpoint<S> {
    inner: S,
    gate: KeyGate,
    pool: KeyPool,
    options: Options,
}

/// How loaded an endpoint is. Loads of endpoints of one pool have a total order.
///
/// First it compares the utilisation of the account's tightest limit, then the requests in flight, both
/// divided by the account's weight. The failure rate of an account counts as utilisation, so a key that
/// fails fast does not attract requests. An account that returns from a cooldown has at least the median
/// load of the others until it has proven itself (slow start).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaLoad(u128);

impl<S> KeyEndpoint<S> {
    pub(super) fn new(inner: S, pool: &KeyPool, info: &KeyInfo, options: Options) -> Self {
        Self { inner, gate: KeyGate::new(pool, info), pool: pool.clone(), options }
    }

    /// The key of this endpoint.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        self.gate.id()
    }

    /// The service that `make` made for this key.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, A, B> Service<Request<A>> for KeyEndpoint<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, A, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // The inner service comes first, so that nothing is reserved while it is not ready.
        ready!(self.inner.poll_ready(cx))?;
        self.gate.poll_open(cx).map(Ok)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let now = Instant::now();
        let mut context = RequestContext::new(&self.pool, self.options, now, &request);
        if let Some(exhausted) = context.already_over(now, &request) {
            return ResponseFuture::turned_away(exhausted, context);
        }
        let gate = &mut self.gate;
        match context.ask(now, &request, |_, wanted| gate.lease_or_ask(wanted)) {
            Ok(lease) => {
                let exchange = Exchange::send(&mut self.inner, request, lease, &mut context);
                ResponseFuture::sent(exchange, context)
            }
            Err(ask) => {
                let waiting = self.inner.clone();
                self.inner = waiting.clone();
                ResponseFuture::in_line(self.pool.line_up(ask), waiting, request, context)
            }
        }
    }
}

impl<S> Load for KeyEndpoint<S> {
    type Metric = QuotaLoad;

    fn load(&self) -> QuotaLoad {
        QuotaLoad(self.gate.load())
    }
}

impl<S: Clone> Clone for KeyEndpoint<S> {
    /// A reservation for the next request stays with the original.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            gate: self.gate.clone(),
            pool: self.pool.clone(),
            options: self.options,
        }
    }
}

impl<S> fmt::Debug for KeyEndpoint<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEndpoint").field("key", self.key()).finish_non_exhaustive()
    }
}
