//! Reading a refusal's body far enough to judge it.

use std::{
    borrow::Cow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
    response,
};
use http_body::{Body, Frame};

use crate::{Lease, provider::unpacked};

use super::body::Ahead;

/// How much of a refusal's body is looked at.
const MOST: usize = 64 * 1024;

/// How long a refusal's body is waited for. What has come by then is judged.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A refusal whose body is being read. Nothing of it is lost: frames are kept as they came.
pub(super) struct Reading<B: Body> {
    pub(super) head: response::Parts,
    pub(super) lease: Lease,
    ahead: Ahead<B>,
    text: BytesMut,
    rest: Option<B>,
}

/// A refusal that was read as far as need be.
pub(super) struct Read<B: Body> {
    pub(super) head: response::Parts,
    pub(super) lease: Lease,
    pub(super) ahead: Ahead<B>,
    /// What is still to come; nothing if the body has ended.
    pub(super) rest: Option<B>,
    /// At most 64 KiB from the body's beginning.
    pub(super) text: Bytes,
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    pub(super) fn new(head: response::Parts, body: B, lease: Lease) -> Self {
        let rest = Some(body).filter(|body| !body.is_end_stream());
        Self { head, lease, ahead: Ahead::<B>::new(), text: BytesMut::new(), rest }
    }

    /// Ready when the body has ended, failed, or is long enough.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(rest) = self.rest.as_mut().filter(|_| self.text.len() < MOST) {
            match ready!(Pin::new(&mut *rest).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if rest.is_end_stream() {
                        self.rest = None;
                    }
                    if let Some(data) = frame.data_ref() {
                        let room = MOST - self.text.len();
                        self.text.extend_from_slice(&data[..data.len().min(room)]);
                    }
                    self.ahead.push_back(Ok(frame));
                }
                Some(Err(error)) => {
                    self.ahead.push_back(Err(error));
                    self.rest = None;
                }
                None => self.rest = None,
            }
        }
        Poll::Ready(())
    }

    pub(super) fn finish(self) -> Read<B> {
        let Self { head, lease, ahead, text, rest } = self;
        Read { head, lease, ahead, rest, text: text.freeze() }
    }
}

impl<B: Body> Read<B> {
    /// Blots the key out of what was read, if the provider repeats it there. All else stays as it is.
    pub(super) fn blot(&mut self)
    where
        B: Body<Data = Bytes>,
    {
        let data = |frame: &Result<Frame<Bytes>, _>| frame.as_ref().ok()?.data_ref().cloned();
        let read: Vec<u8> = self.ahead.iter().filter_map(data).flatten().collect();
        if let Some(blotted) = self.lease.blotted(&read).or_else(|| self.blot_packed(&read)) {
            let blotted = Bytes::from(blotted);
            self.text = blotted.slice(..blotted.len().min(MOST));
            self.ahead.retain(|frame| data(frame).is_none());
            self.ahead.push_front(Ok(Frame::data(blotted)));
        }
    }

    /// The same for a compressed body. It cannot be passed on as it came then, nor what is behind it.
    fn blot_packed(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        let Cow::Owned(unpacked) = unpacked(&self.head.headers, read) else { return None };
        let blotted = self.lease.blotted(&unpacked)?;
        self.head.headers.remove(CONTENT_ENCODING);
        self.head.headers.remove(CONTENT_LENGTH);
        self.rest = None;
        Some(blotted)
    }

    /// The whole body, if it came whole and is short enough to have been read whole.
    pub(super) fn whole(&self) -> Option<Bytes> {
        let whole = self.rest.is_none() && self.text.len() < MOST;
        (whole && self.ahead.iter().all(Result::is_ok)).then(|| self.text.clone())
    }
}
