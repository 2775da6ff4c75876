//! The service: demand, admission, key, call.

use std::{
    any::Any,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    Demand, KeyPool, Lease, Trail, engine::Ask, pool::Wanted, provider::Call, replay::ReplayBody,
};

use super::{body::ResponseBody, future::ResponseFuture, sent::Sent, timing::Timing};

/// Puts a key of a pool on each request; see the [module](crate::rotate).
///
/// The inner service is called at once, on the value that was polled ready, when a key is free. A
/// request that has to wait in line keeps a clone of it and polls that one ready when its turn has
/// come, so that nobody holds an inner permit while waiting.
#[derive(Clone, Debug)]
pub struct KeyRotation<S> {
    inner: S,
    pool: KeyPool,
    annotate: bool,
    timing: Timing,
}

impl<S> KeyRotation<S> {
    /// Wraps a service.
    #[must_use]
    pub fn new(inner: S, pool: &KeyPool) -> Self {
        Self::of(inner, pool.clone(), true, Timing::default())
    }

    pub(super) fn of(inner: S, pool: KeyPool, annotate: bool, timing: Timing) -> Self {
        Self { inner, pool, annotate, timing }
    }

    /// See [`KeyRotationLayer::annotate`](super::KeyRotationLayer::annotate).
    #[must_use]
    pub fn annotate(mut self, annotate: bool) -> Self {
        self.annotate = annotate;
        self
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Unwraps the service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, A, B> Service<Request<A>> for KeyRotation<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, A, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        if !self.pool.covers(request.uri()) {
            self.pool.strip(&mut request);
            return ResponseFuture::passing(self.inner.call(request), self.pool.clone());
        }
        let trail = request.extensions().get::<Trail>().cloned();
        let now = Instant::now();
        let since = trail.as_ref().map_or(now, Trail::since);
        let Self { pool, annotate, timing, .. } = self;
        let (pool, annotate, timing) = (pool.clone(), *annotate, *timing);
        let mut sent = Sent { pool, trail, since, annotate, timing, streamed: false };
        match lease_or_ask(&mut sent, now, &request) {
            Ok(mut lease) => match lease.apply(&mut request) {
                Ok(()) => ResponseFuture::calling(self.inner.call(request), lease, sent),
                // Cannot be: the origin was checked above. The lease gives back what it holds.
                Err(_) => ResponseFuture::passing(self.inner.call(request), self.pool.clone()),
            },
            Err(ask) => {
                // The readied value is given up, and whatever it had reserved with it.
                let waiting = self.inner.clone();
                self.inner = waiting.clone();
                let acquire = self.pool.line_up(ask);
                ResponseFuture::waiting(acquire, waiting, request, sent)
            }
        }
    }
}

fn lease_or_ask<A: 'static>(
    sent: &mut Sent,
    now: Instant,
    request: &Request<A>,
) -> Result<Lease, Ask> {
    let said = request.extensions().get::<Demand>();
    let call = Call {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        body: buffered(request.body()),
    };
    let estimate = sent.pool.estimate(&call);
    sent.streamed = estimate.stream;
    let unsaid = Demand::new();
    let lease_or_ask = |tried: &[_]| {
        let demand = said.unwrap_or(&unsaid);
        let since = sent.since;
        sent.pool.lease_or_ask(&Wanted { demand, estimate: &estimate, tried, since, now })
    };
    match &sent.trail {
        Some(trail) => trail.visit(lease_or_ask),
        None => lease_or_ask(&[]),
    }
}

/// The bytes of a body that has been buffered. Any other body is left alone, whatever its type.
fn buffered<A: 'static>(body: &A) -> &[u8] {
    let body: &dyn Any = body;
    body.downcast_ref::<ReplayBody>().and_then(ReplayBody::bytes).map_or(&[], |bytes| bytes)
}
