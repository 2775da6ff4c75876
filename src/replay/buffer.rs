//! Buffers a body up to a maximum.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;

use super::body::{BoxError, ReplayBody};

/// The buffered part of a body. A body that comes in one piece is not copied.
#[derive(Debug)]
pub(super) struct Buffer {
    max_bytes: usize,
    first: Bytes,
    all: BytesMut,
    trailers: Option<HeaderMap>,
}

/// How buffering ended.
pub(super) enum Buffered {
    Whole,
    TooLong,
}

impl Buffer {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, first: Bytes::new(), all: BytesMut::new(), trailers: None }
    }

    pub(super) fn poll<B>(
        &mut self,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Buffered, B::Error>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        loop {
            let length = self.first.len() + self.all.len();
            let to_come = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            if length.saturating_add(to_come) > self.max_bytes {
                return Poll::Ready(Ok(Buffered::TooLong));
            }
            if body.is_end_stream() {
                return Poll::Ready(Ok(Buffered::Whole));
            }
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)?) else {
                return Poll::Ready(Ok(Buffered::Whole));
            };
            match frame.into_data().map_err(|frame| frame.into_trailers()) {
                Ok(data) => self.push(data),
                Err(trailers) => self.trailers = trailers.ok().or(self.trailers.take()),
            }
        }
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn take(&mut self) -> Bytes {
        match self.all.is_empty() {
            true => mem::take(&mut self.first),
            false => mem::take(&mut self.all).freeze(),
        }
    }

    pub(super) fn into_whole(mut self) -> ReplayBody {
        ReplayBody::whole(self.take(), self.trailers)
    }

    pub(super) fn into_passing<B>(mut self, rest: B) -> ReplayBody
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        ReplayBody::passing(self.take(), rest.map_err(Into::into).boxed_unsync())
    }

    /// The part of a body that came before it broke off; `rest` gives its error.
    pub(super) fn into_broken_off<B>(mut self, rest: B) -> ReplayBody
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
    {
        ReplayBody::broken_off(self.take(), rest.boxed_unsync())
    }
}
