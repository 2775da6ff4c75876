//! A body of which a part is read before it is passed on. All frames are kept as they came.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

/// The number of bytes that are read ahead; the last frame may exceed it.
pub(in crate::rotate) const MAX_READ_AHEAD: usize = 64 * 1024;

/// Frames of a body, and the error that may have ended it.
pub(super) type Frames<B> = VecDeque<Result<Frame<Bytes>, <B as Body>::Error>>;

/// A body, and the frames that were read ahead.
pub(in crate::rotate) struct ReadAhead<B: Body> {
    pub(super) frames: Frames<B>,
    /// The rest of the body; none if the body has ended.
    pub(in crate::rotate) rest: Option<B>,
    /// The number of bytes of data that were read.
    length: usize,
}

/// The outcome of reading one frame.
pub(in crate::rotate) enum More {
    Data(Bytes),
    /// Trailers, or a frame of an unknown kind.
    Other,
    Failed,
    Ended,
}

impl<B: Body<Data = Bytes>> ReadAhead<B> {
    pub(in crate::rotate) fn new(body: B) -> Self {
        let rest = Some(body).filter(|body| !body.is_end_stream());
        Self { frames: VecDeque::new(), rest, length: 0 }
    }

    /// A body of one piece that has ended.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let length = bytes.len();
        Self { frames: VecDeque::from([Ok(Frame::data(bytes))]), rest: None, length }
    }

    /// Reads one more frame.
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

    /// Whether the maximum was read.
    pub(in crate::rotate) fn is_full(&self) -> bool {
        self.length >= MAX_READ_AHEAD
    }

    /// All data that was read. It is not copied if it came in one piece.
    pub(in crate::rotate) fn text(&self) -> Bytes {
        let data = |frame: &Result<Frame<Bytes>, _>| frame.as_ref().ok()?.data_ref().cloned();
        let mut pieces = self.frames.iter().filter_map(data);
        let Some(first) = pieces.next() else { return Bytes::new() };
        let Some(second) = pieces.next() else { return first };
        let mut all = BytesMut::with_capacity(self.length);
        [first, second].into_iter().chain(pieces).for_each(|piece| all.extend_from_slice(&piece));
        all.freeze()
    }

    /// Replaces all data that was read.
    pub(in crate::rotate) fn replace(&mut self, data: Bytes) {
        self.frames.retain(|frame| !matches!(frame, Ok(frame) if frame.is_data()));
        self.length = data.len();
        self.frames.push_front(Ok(Frame::data(data)));
    }

    /// Whether the body was read to its end without an error.
    pub(in crate::rotate) fn has_ended(&self) -> bool {
        self.rest.is_none() && self.frames.iter().all(Result::is_ok)
    }
}
