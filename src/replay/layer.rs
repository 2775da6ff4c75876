//! The middleware that buffers.

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

use super::{
    body::{BoxError, ReplayBody},
    buffer::{Buffer, Buffered},
};

const DEFAULT_CAP: usize = 32 * 1024 * 1024;

/// Turns any request body into a [`ReplayBody`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ReplayBodyLayer {
    cap: usize,
}

impl ReplayBodyLayer {
    /// Buffers bodies up to 32 MiB.
    pub fn new() -> Self {
        Self { cap: DEFAULT_CAP }
    }

    /// Buffers bodies up to so many bytes. Longer ones pass through, and are sent once.
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }
}

impl Default for ReplayBodyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ReplayBodyLayer {
    type Service = ReplayBodyService<S>;

    fn layer(&self, inner: S) -> ReplayBodyService<S> {
        ReplayBodyService { inner, cap: self.cap }
    }
}

/// Buffers request bodies; see [`ReplayBodyLayer`].
///
/// A body that fails while it is read makes the request fail in the inner service, as it would
/// without this layer: the error travels as the rest of the body.
#[derive(Clone, Debug)]
pub struct ReplayBodyService<S> {
    inner: S,
    cap: usize,
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
        // The readied value goes with the request.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let (head, body) = request.into_parts();
        let buffer = Buffer::new(self.cap);
        ResponseFuture {
            state: State::Buffering { parked: Some(Parked { inner, head, body, buffer }) },
        }
    }
}

pin_project! {
    /// The response to come.
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
            Err(error) => self.buffer.into_broken_off(Failed { error: Some(error.into()) }),
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

/// A body that has failed already.
struct Failed {
    error: Option<BoxError>,
}

impl Body for Failed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.error.take().map(Err))
    }
}
