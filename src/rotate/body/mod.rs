//! The body of a response: passed on frame by frame while the pool watches it. The lease ends with it.

mod hide_usage;
mod idle;
mod read_ahead;
mod tap;
mod watch;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Lease, provider::Framing, replay::longer_by};

use idle::timeout_event;
use read_ahead::Frames;

pub(super) use hide_usage::HideUsage;
pub(super) use idle::IdleTimer;
pub(super) use read_ahead::{MAX_READ_AHEAD, More, ReadAhead};
pub(super) use tap::Tap;
pub(super) use watch::Stage;

pin_project! {
    /// The body of a response, as the provider sent it.
    ///
    /// The request's lease ends with the body: at its last frame, at an error, or when it is dropped.
    ///
    /// A stream that stops for longer than
    /// [`KeyRotationLayer::idle_timeout`](super::KeyRotationLayer::idle_timeout) ends with one more
    /// event, named `error`. Its data is an error in the shape of the provider (504). The stream cannot
    /// end with an error of the body, because the type of that error is the inner body's. Such an event
    /// cannot be inserted into a JSON array or a body of known length: these end early, which their
    /// reader notices.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // Frames that were read before the response was judged.
        ahead: Frames<B>,
        // Frames that are still to come.
        #[pin]
        rest: Option<B>,
        // None once the body has ended, and for bodies of which nothing is learned.
        watched: Option<Watched>,
        // Leaves the usage out of the body. Boxed, because few bodies have it.
        hide: Option<Box<HideUsage>>,
    }

    impl<B: Body> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            // The reader has stopped before the end.
            if let Some(watched) = this.project().watched.take() {
                watched.end(false);
            }
        }
    }
}

/// What the pool learns from a body while it is passed on.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) lease: Lease,
    /// Reads the body for errors and usage, if it may have any.
    pub(super) tap: Option<Tap>,
    pub(super) idle: Option<IdleTimer>,
}

impl<B: Body<Data = Bytes>> ResponseBody<B> {
    pub(super) fn new(body: ReadAhead<B>, mut watched: Option<Watched>) -> Self {
        if body.rest.is_none()
            && let Some(watched) = watched.take()
        {
            watched.end(body.has_ended());
        }
        let ReadAhead { frames, rest, .. } = body;
        Self { ahead: frames, rest, watched, hide: None }
    }

    /// Leaves the usage out of the body.
    pub(super) fn hiding(mut self, hide: Option<HideUsage>) -> Self {
        self.hide = hide.map(Box::new);
        self
    }

    /// A body that the middleware makes.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::new(ReadAhead::whole(bytes), None)
    }
}

/// The outcome of one poll of a body.
type Polled<B> = Poll<Option<Result<Frame<Bytes>, <B as Body>::Error>>>;

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B> {
        loop {
            let frame = ready!(self.as_mut().poll_sent(cx));
            let is_sent = self.is_sent();
            let this = self.as_mut().project();
            let Some(hide) = this.hide else { return Poll::Ready(frame) };
            let frame = match frame {
                Some(Ok(frame)) => frame.into_data().map_err(|frame| Some(Ok(frame))),
                other => Err(other),
            };
            match frame {
                Ok(data) => {
                    let data = hide.pass(data);
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    if is_sent {
                        return Poll::Ready(hide.rest().map(|rest| Ok(Frame::data(rest))));
                    }
                }
                Err(last) => {
                    let Some(rest) = hide.rest() else { return Poll::Ready(last) };
                    match last {
                        Some(last) => this.ahead.push_front(last),
                        None => self.as_mut().project().rest.set(None),
                    }
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_sent() && self.hide.as_ref().is_none_or(|hide| hide.holds_nothing())
    }

    fn size_hint(&self) -> SizeHint {
        if self.hide.is_some() {
            return SizeHint::default();
        }
        let data =
            |frame: &Result<Frame<Bytes>, _>| frame.as_ref().ok()?.data_ref().map(Buf::remaining);
        let ahead = self.ahead.iter().filter_map(data).sum::<usize>() as u64;
        let rest = self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        longer_by(ahead, &rest)
    }
}

impl<B: Body<Data = Bytes>> ResponseBody<B> {
    /// The next frame as the provider sent it.
    fn poll_sent(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B> {
        let mut this = self.project();
        if let Some(frame) = this.ahead.pop_front() {
            return Poll::Ready(Some(frame));
        }
        let Some(mut rest) = this.rest.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let Poll::Ready(frame) = rest.as_mut().poll_frame(cx) else {
            let Some(watched) = this.watched.as_mut() else { return Poll::Pending };
            ready!(watched.poll_idle(cx));
            let is_open = rest.size_hint().exact().is_none();
            this.rest.set(None);
            let event = this.watched.take().and_then(|watched| watched.time_out(is_open));
            return Poll::Ready(event.map(|event| Ok(Frame::data(event))));
        };
        // A reader that knows the length does not poll for the end.
        let has_ended = !matches!(frame, Some(Ok(_))) || rest.is_end_stream();
        if let Some(watched) = this.watched.as_mut() {
            watched.take_in(frame.as_ref());
        }
        if has_ended && let Some(watched) = this.watched.take() {
            watched.end(!matches!(frame, Some(Err(_))));
        }
        Poll::Ready(frame)
    }

    /// Whether the provider has sent everything.
    fn is_sent(&self) -> bool {
        self.ahead.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Watched {
    /// A frame has come, or the end.
    fn take_in<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>) {
        let Self { lease, tap, idle } = self;
        if let Some(idle) = idle {
            idle.stop();
        }
        match frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(tap)) = (frame.data_ref(), tap) {
                    tap.look(lease, data);
                }
            }
            Some(Err(_)) => drop(lease.failed()),
            None => {}
        }
    }

    /// The caller has asked for a piece that has not come. Ready when it is late.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.idle.as_mut().map_or(Poll::Pending, |idle| idle.poll(cx))
    }

    /// The body has stopped. Returns the event that ends it, if it is an open stream of events.
    fn time_out(mut self, is_open: bool) -> Option<Bytes> {
        let framing = self.tap.as_mut().and_then(|tap| tap.watch().framing());
        self.lease.failed();
        let takes_event = is_open && framing == Some(Framing::Events);
        let event = takes_event.then(|| timeout_event(self.lease.provider()));
        self.end(false);
        event
    }

    /// The body has ended, with or without an error: the lease is settled and dropped.
    fn end(self, is_whole: bool) {
        let Self { mut lease, tap, .. } = self;
        match tap {
            Some(mut tap) if is_whole => tap.finish(&mut lease),
            Some(tap) => tap.cut(&mut lease),
            None => {}
        }
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lease = self.watched.as_ref().map(|watched| &watched.lease);
        f.debug_struct("ResponseBody").field("lease", &lease).finish_non_exhaustive()
    }
}
