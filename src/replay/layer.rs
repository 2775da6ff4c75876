//! The middleware that buffers request bodies.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, request};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::macros::define_inner_service_accessors;

use super::{
    body::{BoxError, ReplayBody},
    buffer::{Buffer, Buffered},
};

const DEFAULT_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Defines the setters that the layer and the service share.
macro_rules! define_setters {
    () => {
        /// Sets the number of bytes that are buffered of a body; 32 MiB by default. A longer body passes
        /// through, and its request is sent once.
        pub fn max_bytes(mut self, max_bytes: usize) -> Self {
            self.max_bytes = max_bytes;
            self
        }
    };
}

/// Turns any request body into a [`ReplayBody`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ReplayBodyLayer {
    max_bytes: usize,
}

impl ReplayBodyLayer {
    /// Buffers bodies up to 32 MiB.
    pub fn new() -> Self {
        Self { max_bytes: DEFAULT_MAX_BYTES }
    }

    define_setters!();
}

impl Default for ReplayBodyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ReplayBodyLayer {
    type Service = ReplayBodyService<S>;

    fn layer(&self, inner: S) -> ReplayBodyService<S> {
        ReplayBodyService { inner, max_bytes: self.max_bytes }
    }
}

/// Buffers request bodies; see [`ReplayBodyLayer`].
///
/// If a body fails while it is read, the request is sent nevertheless and fails in the inner service, as
/// it would without this layer: the error is passed on as the rest of the body.
#[derive(Clone, Debug)]
#[must_use = "services do nothing unless called"]
pub struct ReplayBodyService<S> {
    inner: S,
    max_bytes: usize,
}

impl<S> ReplayBodyService<S> {
    /// Wraps a service. Buffers bodies up to 32 MiB.
    pub fn new(inner: S) -> Self {
        Self { inner, max_bytes: DEFAULT_MAX_BYTES }
    }

    define_setters!();
    define_inner_service_accessors!();
}

impl<S, B> Service<Request<B>> for ReplayBodyService<S>
where
    S: Service<Request<ReplayBody>> + Clone,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The value that was polled ready goes with the request.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let (head, body) = request.into_parts();
        let buffer = Buffer::new(self.max_bytes);
        ResponseFuture {
            state: State::Buffering { parked: Some(Parked { inner, head, body, buffer }) },
        }
    }
}

pin_project! {
    /// The response of [`ReplayBodyService`].
    ///
    /// Cancel safety: it can be dropped at any point, like the future of the inner service.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<ReplayBody>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Buffering { parked: Option<Parked<S, B>> },
        Calling { #[pin] call: F },
    }
}

struct Parked<S, B> {
    inner: S,
    head: request::Parts,
    body: B,
    buffer: Buffer,
}

impl<S, B> Parked<S, B>
where
    S: Service<Request<ReplayBody>>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn call(mut self, buffered: Result<Buffered, B::Error>) -> S::Future {
        let body = match buffered {
            Ok(Buffered::Whole) => self.buffer.into_whole(),
            Ok(Buffered::TooLong) => self.buffer.into_passing(self.body),
            Err(error) => self.buffer.into_broken_off(FailedBody { error: Some(error.into()) }),
        };
        self.inner.call(Request::from_parts(self.head, body))
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Calling { call } => return call.poll(cx),
                StateProj::Buffering { parked } => {
                    let Some(waiting) = parked else { return Poll::Pending };
                    let buffered = ready!(waiting.buffer.poll(&mut waiting.body, cx));
                    let Some(parked) = parked.take() else { return Poll::Pending };
                    let call = parked.call(buffered);
                    this.state.set(State::Calling { call });
                }
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<ReplayBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// A body that only gives an error.
struct FailedBody {
    error: Option<BoxError>,
}

impl Body for FailedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.error.take().map(Err))
    }
}
