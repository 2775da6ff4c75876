//! Reading a refusal's body far enough to judge it.

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

use crate::{Lease, Ruling, pool::Refusal, provider::unpacked};

use crate::rotate::body::{Ahead, MOST, More};

use super::synthetic::discourage;

/// How long a refusal's body is waited for. What has come by then is judged.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of a stream is waited for whose error has come. Mostly it comes with it.
const END: Duration = Duration::from_millis(100);

/// A refusal whose body is being read.
pub(in crate::rotate) struct Reading<B: Body> {
    pub(in crate::rotate) head: response::Parts,
    pub(in crate::rotate) lease: Lease,
    pub(in crate::rotate) ahead: Ahead<B>,
    /// What is known already, if it was a stream that failed before it had begun.
    told: Option<Ruling>,
}

impl<B: Body<Data = Bytes> + Unpin> Reading<B> {
    /// Refused by its status: its body tells why.
    pub(in crate::rotate) fn by_status(head: response::Parts, body: B, mut lease: Lease) -> Self {
        lease.refused();
        Self { head, lease, ahead: Ahead::new(body), told: None }
    }

    /// Refused by an event.
    pub(in crate::rotate) fn by_event(
        head: response::Parts,
        ahead: Ahead<B>,
        lease: Lease,
        ruling: Ruling,
    ) -> Self {
        Self { head, lease, ahead, told: Some(ruling) }
    }

    pub(in crate::rotate) fn patience(&self) -> Duration {
        if self.told.is_some() { END } else { PATIENCE }
    }

    /// Ready when the body has ended, failed, or is long enough.
    pub(in crate::rotate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.ahead.is_full() {
            if let More::Failed | More::Ended = ready!(self.ahead.poll_more(cx)) {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<B: Body<Data = Bytes>> Reading<B> {
    /// What the refusal says, and itself, if it is kept in case that nothing better comes. Blots the
    /// key out of what was read, if the provider repeats it there. All else stays as it is.
    pub(in crate::rotate) fn judge(&mut self) -> (Ruling, Option<Arc<Refusal>>) {
        let mut text = self.ahead.text();
        if let Some(blotted) = self.lease.blotted(&text).or_else(|| self.blot_packed(&text)) {
            text = Bytes::from(blotted);
            self.ahead.replace(text.clone());
        }
        let response::Parts { status, headers, .. } = &self.head;
        let start = &text[..text.len().min(MOST)];
        let told = self.told.clone();
        let ruling = told.unwrap_or_else(|| self.lease.observe(*status, headers, start));
        discourage(&mut self.head.headers, &ruling);
        let refusal = self.is_told_to_its_end(&text).then(|| {
            let response::Parts { status, version, headers, .. } = &self.head;
            let headers = headers.clone();
            Arc::new(Refusal { status: *status, version: *version, headers, body: text })
        });
        (ruling, refusal)
    }

    /// The same for a compressed body. It cannot be passed on as it came then, nor what is behind it.
    fn blot_packed(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        let Cow::Owned(unpacked) = unpacked(&self.head.headers, read) else { return None };
        let blotted = self.lease.blotted(&unpacked)?;
        self.head.headers.remove(CONTENT_ENCODING);
        self.head.headers.remove(CONTENT_LENGTH);
        self.ahead.rest = None;
        Some(blotted)
    }

    /// Whether what was read can stand for the whole. A stream ends with its error, even if its
    /// connection stays open.
    fn is_told_to_its_end(&self, text: &Bytes) -> bool {
        let is_open_stream = self.told.is_some()
            && self.ahead.rest.is_some()
            && !self.head.headers.contains_key(CONTENT_LENGTH);
        text.len() < MOST && (self.ahead.has_ended() || is_open_stream)
    }
}
