//! One key and its own service.

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
    KeyEndpointInfo, KeyId, KeyPool,
    pool::KeyGate,
    rotate::{Exchange, Options, RequestContext, ResponseBody, ResponseFuture},
};

/// One key and its own service: what [`KeyEndpoints`](super::KeyEndpoints) tells of.
///
/// It does what [`KeyRotation`](crate::KeyRotation) does, with this key and no other: it reserves what a
/// request really asks for, leads it to the key's endpoint whatever host it names, puts the key in, and
/// judges what comes back in its own future, so that the pool has changed before any retry policy asks
/// for an endpoint again.
///
/// It is ready when its key could take an ordinary request (such as the last one was). While there
/// is plenty that costs nothing. While there is little, readiness is a reservation: it is given back
/// when the endpoint is dropped, or as soon as somebody with a request in hand needs it, wherever that
/// request comes from. So an endpoint that was ready may not be any longer, when its key was refused in the
/// meantime or what it held was needed: whoever chooses among endpoints has to poll it again right
/// before the call, as tower's balancers do. It never wakes anybody but for a change, and has one timer.
///
/// A request for which there turns out to be too little waits in line for this key, for the pool's
/// `max_wait` at most.
pub struct KeyEndpoint<S> {
    inner: S,
    gate: KeyGate,
    pool: KeyPool,
    options: Options,
}

/// How loaded an endpoint is: an integer, so that any two can be compared.
///
/// What counts first is the spent share of the account's allowance, of the limit that is nearest to
/// its end; then the requests that are under way; both by the account's weight. An account that fails
/// looks spent by as much as it fails, however fast it fails. One that comes back from a cooldown has
/// the median of the others for its least load until it is trusted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaLoad(u128);

impl<S> KeyEndpoint<S> {
    pub(super) fn new(inner: S, pool: &KeyPool, info: &KeyEndpointInfo, options: Options) -> Self {
        Self { inner, gate: KeyGate::new(pool, info), pool: pool.clone(), options }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        self.gate.id()
    }

    /// The service that `make` made for it.
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
        // The inner service first: nothing is reserved for as long as it is not ready.
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
    /// What is reserved for the next request stays with the original.
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
