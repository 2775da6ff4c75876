//! The service: demand, admission, key, call.

use std::{
    any::Any,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{self, Entry},
};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    Demand, KeyPool, Lease, Trail, engine::Ask, pool::Wanted, provider::Call, provider::Provider,
    replay::ReplayBody,
};

use super::{body::ResponseBody, future::ResponseFuture, options::Options, sent::Sent};

/// Puts a key of a pool on each request; see the [module](crate::rotate).
///
/// The inner service is called at once, on the value that was polled ready, when a key is free. A
/// request that has to wait in line keeps a clone of it and polls that one ready when its turn has
/// come, so that nobody holds an inner permit while waiting.
#[derive(Clone, Debug)]
pub struct KeyRotation<S> {
    inner: S,
    pool: KeyPool,
    options: Options,
}

impl<S> KeyRotation<S> {
    /// Wraps a service.
    #[must_use]
    pub fn new(inner: S, pool: &KeyPool) -> Self {
        Self::of(inner, pool.clone(), Options::default())
    }

    pub(super) fn of(inner: S, pool: KeyPool, options: Options) -> Self {
        Self { inner, pool, options }
    }

    /// See [`KeyRotationLayer::annotate`](super::KeyRotationLayer::annotate).
    #[must_use]
    pub fn annotate(mut self, annotate: bool) -> Self {
        self.options.annotate = annotate;
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
        let (pool, options) = (self.pool.clone(), self.options);
        let mut sent = Sent { pool, trail, since, options, streamed: false, hides_usage: false };
        let lease_or_ask = lease_or_ask(&mut sent, now, &request);
        if options.ask_usage && sent.streamed {
            sent.hides_usage = ask_usage(self.pool.provider(), &mut request);
        }
        match lease_or_ask {
            Ok(mut lease) => match lease.apply(&mut request) {
                Ok(()) => ResponseFuture::calling(self.inner.call(request), lease, sent),
                // Cannot be: the origin was checked above. The lease gives back what it holds.
                Err(_) => ResponseFuture::passing(self.inner.call(request), self.pool.clone()),
            },
            Err(ask) => {
                // The readied value is given up, and whatever it had reserved with it.
                let waiting = self.inner.clone();
                self.inner = waiting.clone();
                let demand = request.extensions().get::<Demand>();
                let tag = demand.and_then(|demand| demand.tag.clone());
                let acquire = self.pool.line_up(ask, tag);
                ResponseFuture::waiting(acquire, waiting, request, sent)
            }
        }
    }
}

#[expect(clippy::result_large_err, reason = "it is no error, and no larger than a lease")]
fn lease_or_ask<A: 'static>(
    sent: &mut Sent,
    now: Instant,
    request: &Request<A>,
) -> Result<Lease, Ask> {
    let said = request.extensions().get::<Demand>();
    let call = call(request);
    let estimate = sent.pool.estimate(&call);
    sent.streamed = estimate.stream;
    let unsaid = Demand::new();
    let demand = said.unwrap_or(&unsaid);
    let kin = sent.pool.kin(demand, Some(&call), &estimate);
    let lease_or_ask = |tried: &[_]| {
        let (estimate, since) = (&estimate, sent.since);
        sent.pool.lease_or_ask(&Wanted { demand, estimate, kin, may_wait: true, tried, since, now })
    };
    match &sent.trail {
        Some(trail) => trail.visit(lease_or_ask),
        None => lease_or_ask(&[]),
    }
}

/// Puts into a request that its stream is to tell its usage. False if it does so anyhow, or cannot be
/// asked.
fn ask_usage<A: 'static>(provider: &dyn Provider, request: &mut Request<A>) -> bool {
    let Some(asking) = provider.ask_usage(&call(request)) else { return false };
    let length = asking.len();
    let body: &mut dyn Any = request.body_mut();
    let Some(body) = body.downcast_mut::<ReplayBody>() else { return false };
    body.replace(asking);
    let headers = request.headers_mut();
    // What is compressed cannot have anything left out.
    headers.remove(header::ACCEPT_ENCODING);
    if let Entry::Occupied(mut told) = headers.entry(header::CONTENT_LENGTH) {
        told.insert(length.into());
    }
    true
}

fn call<A: 'static>(request: &Request<A>) -> Call<'_> {
    Call {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        body: buffered(request.body()),
    }
}

/// The bytes of a body that has been buffered. Any other body is left alone, whatever its type.
fn buffered<A: 'static>(body: &A) -> &[u8] {
    let body: &dyn Any = body;
    body.downcast_ref::<ReplayBody>().and_then(ReplayBody::bytes).map_or(&[], |bytes| bytes)
}
