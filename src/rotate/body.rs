//! The response's body: passed on frame by frame, and the lease's end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Lease, provider::Framing, replay::longer_by};

use super::{
    ahead::{Ahead, Frames},
    idle::{Idle, last_words},
    watch::Watch,
};

pin_project! {
    /// The body of a response, as the provider sent it.
    ///
    /// The request's lease ends with it: at its last frame, at an error, or when it is dropped.
    ///
    /// A stream that stops for longer than
    /// [`KeyRotationLayer::idle`](super::KeyRotationLayer::idle) allows ends with an event of its own,
    /// named `error`, with an error of the dialect (504) as its data. It cannot end with an error of
    /// the body, whose type is the inner body's. Where such an event has no place (in an array, or a
    /// body of known length) the body ends short of its end, which its reader notices.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // What was read ahead to judge it.
        ahead: Frames<B>,
        // What is still to come.
        #[pin]
        rest: Option<B>,
        lease: Option<Lease>,
        stream: Option<Stream>,
    }
}

/// What a stream needs beside.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) watch: Watch,
    pub(super) idle: Option<Idle>,
}

impl<B: Body<Data = Bytes>> ResponseBody<B> {
    pub(super) fn passing(rest: B, lease: Option<Lease>) -> Self {
        Self::read_ahead(Ahead::new(rest), lease, None)
    }

    pub(super) fn read_ahead(
        ahead: Ahead<B>,
        lease: Option<Lease>,
        stream: Option<Stream>,
    ) -> Self {
        let Ahead { frames, rest, .. } = ahead;
        let lease = lease.filter(|_| rest.is_some());
        Self { ahead: frames, rest, lease, stream }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::read_ahead(Ahead::whole(bytes), None, None)
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
        let Poll::Ready(frame) = rest.as_mut().poll_frame(cx) else {
            let is_late = this.stream.as_mut().is_some_and(|stream| stream.is_late(cx));
            if !is_late {
                return Poll::Pending;
            }
            let is_open = rest.size_hint().exact().is_none();
            this.rest.set(None);
            let (stream, lease) = (this.stream.take(), this.lease.take());
            let words = stream.zip(lease).and_then(|(stream, lease)| stream.give_up(lease));
            return Poll::Ready(words.filter(|_| is_open).map(|words| Ok(Frame::data(words))));
        };
        // Readers that know the length do not ask for the end.
        let has_ended = !matches!(frame, Some(Ok(_))) || rest.is_end_stream();
        if let Some(lease) = this.lease.as_mut() {
            match (&frame, this.stream) {
                (Some(Err(_)), _) => {
                    lease.failed();
                }
                (Some(Ok(frame)), Some(stream)) => stream.pass(lease, frame, has_ended),
                (None, Some(stream)) => stream.watch.finish(lease),
                (_, None) => {}
            }
        }
        if has_ended {
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

impl Stream {
    /// Looks at a frame that flows by.
    fn pass(&mut self, lease: &mut Lease, frame: &Frame<Bytes>, has_ended: bool) {
        if let Some(idle) = &mut self.idle {
            idle.rest();
        }
        if let Some(data) = frame.data_ref() {
            self.watch.look(lease, data);
        }
        if has_ended {
            self.watch.finish(lease);
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.idle.as_mut().is_some_and(|idle| idle.poll(cx).is_ready())
    }

    /// It has stopped: what is left to say to its reader.
    fn give_up(self, mut lease: Lease) -> Option<Bytes> {
        lease.failed();
        (self.watch.framing() == Framing::Events).then(|| last_words(lease.provider()))
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("lease", &self.lease).finish_non_exhaustive()
    }
}
