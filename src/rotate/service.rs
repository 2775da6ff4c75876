//! The service: it asks the pool for a key and sends the request with it.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use crate::{KeyPool, macros::define_inner_service_accessors};

use super::{
    body::ResponseBody,
    exchange::Exchange,
    future::ResponseFuture,
    options::{Options, define_option_setters},
    request::RequestContext,
};

/// Puts a key of a pool on each request; see the [module](crate::rotate).
///
/// If a key is free, the inner service is called at once, on the value that was polled ready. A request that
/// must wait keeps a clone of the inner service and polls it ready only when it gets a key. So no waiting
/// request holds a permit of the inner service.
#[derive(Clone, Debug)]
#[must_use = "services do nothing unless called"]
pub struct KeyRotation<S> {
    inner: S,
    pool: KeyPool,
    options: Options,
}

impl<S> KeyRotation<S> {
    /// Wraps a service, with the default options.
    pub fn new(inner: S, pool: &KeyPool) -> Self {
        Self::with_options(inner, pool.clone(), Options::default())
    }

    pub(super) fn with_options(inner: S, pool: KeyPool, options: Options) -> Self {
        Self { inner, pool, options }
    }

    define_option_setters!();
    define_inner_service_accessors!();
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
        let now = Instant::now();
        if !self.pool.covers(request.uri()) {
            self.pool.strip(&mut request);
            let context = RequestContext::without_key(&self.pool, self.options, now);
            let exchange = Exchange::without_key(self.inner.call(request));
            return ResponseFuture::sent(exchange, context);
        }
        let mut context = RequestContext::new(&self.pool, self.options, now, &request);
        if let Some(exhausted) = context.already_over(now, &request) {
            return ResponseFuture::turned_away(exhausted, context);
        }
        match context.ask(now, &request, KeyPool::lease_or_ask) {
            Ok(lease) => {
                let exchange = Exchange::send(&mut self.inner, request, lease, &mut context);
                ResponseFuture::sent(exchange, context)
            }
            Err(ask) => {
                // The value that was polled ready is dropped, and its permits with it.
                let waiting = self.inner.clone();
                self.inner = waiting.clone();
                ResponseFuture::in_line(self.pool.line_up(ask), waiting, request, context)
            }
        }
    }
}
