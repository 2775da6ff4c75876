//! The response's body: passed on frame by frame, and the lease's end.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Lease, replay::longer_by};

pin_project! {
    /// The body of a response, as the provider sent it.
    ///
    /// The request's lease ends with it: at its last frame, at an error, or when it is dropped.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // What was read ahead to judge a refusal.
        ahead: VecDeque<Result<Frame<Bytes>, B::Error>>,
        // What is still to come.
        #[pin]
        rest: Option<B>,
        lease: Option<Lease>,
    }
}

/// What was read of a body already.
pub(super) type Ahead<B> = VecDeque<Result<Frame<Bytes>, <B as Body>::Error>>;

impl<B: Body<Data = Bytes>> ResponseBody<B> {
    pub(super) fn passing(rest: B, lease: Option<Lease>) -> Self {
        let lease = lease.filter(|_| !rest.is_end_stream());
        Self { ahead: VecDeque::new(), rest: Some(rest), lease }
    }

    pub(super) fn read_ahead(ahead: Ahead<B>, rest: Option<B>, lease: Lease) -> Self {
        let lease = Some(lease).filter(|_| rest.is_some());
        Self { ahead, rest, lease }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { ahead: VecDeque::from([Ok(Frame::data(bytes))]), rest: None, lease: None }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(frame) = this.ahead.pop_front() {
            return Poll::Ready(Some(frame));
        }
        let Some(mut rest) = this.rest.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(rest.as_mut().poll_frame(cx));
        // Readers that know the length do not ask for the end.
        if !matches!(frame, Some(Ok(_))) || rest.is_end_stream() {
            *this.lease = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let data =
            |frame: &Result<Frame<Bytes>, _>| frame.as_ref().ok()?.data_ref().map(Buf::remaining);
        let ahead = self.ahead.iter().filter_map(data).sum::<usize>() as u64;
        let rest = self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        longer_by(ahead, &rest)
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("lease", &self.lease).finish_non_exhaustive()
    }
}
