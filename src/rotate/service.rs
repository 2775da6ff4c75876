//! The service: demand, admission, key, call.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use crate::KeyPool;

use super::{
    body::ResponseBody,
    future::ResponseFuture,
    options::Options,
    request::{lease_or_ask, over},
    response::Sent,
};

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
        let now = Instant::now();
        let mut sent = Sent::new(&self.pool, self.options, now, &request);
        if sent.is_over() {
            let exhausted = over(&mut sent, now, &request);
            return ResponseFuture::turned_away(exhausted, sent);
        }
        match lease_or_ask(&mut sent, now, &mut request, KeyPool::lease_or_ask) {
            Ok(mut lease) => match lease.apply_within(&mut request) {
                true => ResponseFuture::calling(self.inner.call(request), lease, sent),
                // It goes without a key. The lease gives back what it holds.
                false => ResponseFuture::passing(self.inner.call(request), self.pool.clone()),
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
