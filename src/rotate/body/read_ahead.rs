//! What is read of a response's body before it is passed on. Nothing of it is lost: frames are kept
//! as they came.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

/// How much of a body is read ahead.
pub(in crate::rotate) const MOST: usize = 64 * 1024;

/// Frames of a body, and the error that may have ended it.
pub(in crate::rotate) type Frames<B> = VecDeque<Result<Frame<Bytes>, <B as Body>::Error>>;

/// A body and what was read of it ahead.
pub(in crate::rotate) struct Ahead<B: Body> {
    pub(in crate::rotate) frames: Frames<B>,
    /// What is still to come; nothing if the body has ended.
    pub(in crate::rotate) rest: Option<B>,
    /// How many bytes of data were read.
    length: usize,
}

/// What one look at the body brought.
pub(in crate::rotate) enum More {
    Data(Bytes),
    Other,
    Failed,
    Ended,
}

impl<B: Body<Data = Bytes>> Ahead<B> {
    pub(in crate::rotate) fn new(body: B) -> Self {
        let rest = Some(body).filter(|body| !body.is_end_stream());
        Self { frames: VecDeque::new(), rest, length: 0 }
    }

    /// A body of one piece.
    pub(in crate::rotate) fn whole(bytes: Bytes) -> Self {
        let length = bytes.len();
        Self { frames: VecDeque::from([Ok(Frame::data(bytes))]), rest: None, length }
    }

    /// Reads one frame more.
    pub(in crate::rotate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<More>
    where
        B: Unpin,
    {
        let Some(rest) = &mut self.rest else { return Poll::Ready(More::Ended) };
        let frame = ready!(Pin::new(&mut *rest).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || rest.is_end_stream() {
            self.rest = None;
        }
        let Some(frame) = frame else { return Poll::Ready(More::Ended) };
        let more = match &frame {
            Ok(frame) => frame.data_ref().cloned().map_or(More::Other, More::Data),
            Err(_) => More::Failed,
        };
        if let More::Data(data) = &more {
            self.length += data.len();
        }
        self.frames.push_back(frame);
        Poll::Ready(more)
    }

    /// Whether as much was read as ever is.
    pub(in crate::rotate) fn is_full(&self) -> bool {
        self.length >= MOST
    }

    /// All that was read. It is not copied if it came in one piece.
    pub(in crate::rotate) fn text(&self) -> Bytes {
        let data = |frame: &Result<Frame<Bytes>, _>| frame.as_ref().ok()?.data_ref().cloned();
        let mut pieces = self.frames.iter().filter_map(data);
        let Some(first) = pieces.next() else { return Bytes::new() };
        let Some(second) = pieces.next() else { return first };
        let mut all = BytesMut::with_capacity(self.length);
        [first, second].into_iter().chain(pieces).for_each(|piece| all.extend_from_slice(&piece));
        all.freeze()
    }

    /// Puts other data in place of all that was read.
    pub(in crate::rotate) fn replace(&mut self, data: Bytes) {
        self.frames.retain(|frame| !matches!(frame, Ok(frame) if frame.is_data()));
        self.length = data.len();
        self.frames.push_front(Ok(Frame::data(data)));
    }

    /// Whether the body came to its end, and nothing of it was left out.
    pub(in crate::rotate) fn has_ended(&self) -> bool {
        self.rest.is_none() && self.frames.iter().all(Result::is_ok)
    }
}
