//! Reads the body of a refusal far enough to judge it.

use std::{
    borrow::Cow,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
    response,
};
use http_body::Body;
use memchr::memmem;

use crate::{
    Lease, Verdict,
    pool::Refusal,
    provider::{Ruling, unpacked},
    rotate::body::{MAX_READ_AHEAD, More, ReadAhead},
};

use super::synthetic::discourage_retry;

/// How long the body of a refusal may take. The part that was read until then is judged.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the end of a stream may take after its error. Usually both come together.
const END_TIMEOUT: Duration = Duration::from_millis(100);

/// A refusal whose body is being read.
pub(in crate::rotate) struct RefusalReader<B: Body> {
    pub(super) head: response::Parts,
    pub(super) lease: Lease,
    pub(super) body: ReadAhead<B>,
    /// Known already if it was a stream that failed before its first content.
    ruling: Option<Ruling>,
}

impl<B: Body<Data = Bytes> + Unpin> RefusalReader<B> {
    /// A response whose status is that of a refusal: its body says why.
    pub(in crate::rotate) fn by_status(head: response::Parts, body: B, mut lease: Lease) -> Self {
        lease.refused();
        Self { head, lease, body: ReadAhead::new(body), ruling: None }
    }

    /// A stream that was refused by one of its events.
    pub(super) fn by_event(
        head: response::Parts,
        body: ReadAhead<B>,
        lease: Lease,
        ruling: Ruling,
    ) -> Self {
        Self { head, lease, body, ruling: Some(ruling) }
    }

    pub(in crate::rotate) fn timeout(&self) -> Duration {
        if self.ruling.is_some() { END_TIMEOUT } else { BODY_TIMEOUT }
    }

    /// Ready when the body has ended, failed, or is long enough.
    pub(in crate::rotate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.body.is_full() {
            if let More::Failed | More::Ended = ready!(self.body.poll_more(cx)) {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<B: Body<Data = Bytes>> RefusalReader<B> {
    /// Whether it is a stream that was refused by one of its events.
    pub(super) fn is_stream(&self) -> bool {
        self.ruling.is_some()
    }

    /// Whether it refuses the question for the usage of a stream: by its words, the request is at fault for that.
    pub(super) fn refuses_usage(&self, ruling: &Ruling) -> bool {
        if ruling.verdict != Verdict::CallerFault {
            return false;
        }
        let text = self.body.text();
        let text = unpacked(&self.head.headers, &text);
        let names = |word: &str| memmem::find(&text, word.as_bytes()).is_some();
        names("stream_options") || names("include_usage")
    }

    /// What the refusal says; and its copy, to be repeated if no later attempt gets anything better.
    /// Overwrites the key with asterisks in the part that was read, if the provider repeats it there. Nothing
    /// else is changed.
    pub(super) fn judge(&mut self) -> (Ruling, Option<Arc<Refusal>>) {
        let mut text = self.body.text();
        if let Some(redacted) = self.lease.redacted(&text).or_else(|| self.redact_packed(&text)) {
            text = Bytes::from(redacted);
            self.body.replace(text.clone());
        }
        let response::Parts { status, headers, .. } = &self.head;
        let start = &text[..text.len().min(MAX_READ_AHEAD)];
        let known = self.ruling.clone();
        let ruling = known.unwrap_or_else(|| self.lease.observe(*status, headers, start));
        discourage_retry(&mut self.head.headers, &ruling);
        let refusal = self.is_complete(&text).then(|| {
            let response::Parts { status, version, headers, .. } = &self.head;
            let headers = headers.clone();
            Arc::new(Refusal { status: *status, version: *version, headers, body: text })
        });
        (ruling, refusal)
    }

    /// Does the same for a compressed body. The body is passed on unpacked, and the rest after the part that
    /// was read is dropped.
    fn redact_packed(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        let Cow::Owned(unpacked) = unpacked(&self.head.headers, read) else { return None };
        let redacted = self.lease.redacted(&unpacked)?;
        self.head.headers.remove(CONTENT_ENCODING);
        self.head.headers.remove(CONTENT_LENGTH);
        self.body.rest = None;
        Some(redacted)
    }

    /// Whether the part that was read can stand for the whole body. A stream ends with its error, even if its
    /// connection stays open.
    fn is_complete(&self, text: &Bytes) -> bool {
        let is_open_stream = self.ruling.is_some()
            && self.body.rest.is_some()
            && !self.head.headers.contains_key(CONTENT_LENGTH);
        text.len() < MAX_READ_AHEAD && (self.body.has_ended() || is_open_stream)
    }
}
