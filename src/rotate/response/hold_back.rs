//! A stream whose head is held back until its first content.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response;
use http_body::Body;

use crate::{
    Lease,
    provider::Ruling,
    rotate::{
        body::{More, ReadAhead, Stage, Tap},
        options::Options,
    },
};

use super::refusal::RefusalReader;

/// A stream that is held back.
pub(in crate::rotate) struct HeldStream<B: Body> {
    pub(super) head: response::Parts,
    pub(super) lease: Lease,
    pub(super) body: ReadAhead<B>,
    pub(super) tap: Tap,
}

impl<B: Body<Data = Bytes> + Unpin> HeldStream<B> {
    pub(in crate::rotate) fn new(
        head: response::Parts,
        body: B,
        mut lease: Lease,
        mut tap: Tap,
        options: &Options,
    ) -> Self {
        lease.observe_head(head.status, &head.headers);
        if options.time_to_first_content().is_zero() {
            tap.watch().begin(&mut lease);
        }
        Self { head, lease, body: ReadAhead::new(body), tap }
    }

    /// Ready when the stream has begun or failed, or when the maximum is held back.
    pub(in crate::rotate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stage> {
        let Self { lease, body, tap, .. } = self;
        while *tap.stage() == Stage::Prelude {
            if body.is_full() {
                tap.watch().begin(lease);
                break;
            }
            match ready!(body.poll_more(cx)) {
                More::Data(data) => tap.look(lease, &data),
                More::Other => {}
                More::Failed => tap.watch().fail(lease),
                More::Ended => tap.end(lease),
            }
        }
        Poll::Ready(tap.stage().clone())
    }

    /// The stream failed before its first content: it is read further as a refusal.
    pub(in crate::rotate) fn fail(self, ruling: Ruling) -> RefusalReader<B> {
        let Self { head, mut lease, body, tap } = self;
        if ruling.rule == Ruling::EMPTY {
            tap.settle_empty(&mut lease);
        } else if !lease.is_refused() {
            // It broke off. The usage that it reported until then counts.
            tap.cut(&mut lease);
        }
        RefusalReader::by_event(head, body, lease, ruling)
    }

    /// The time to hold it back is over: it is passed on as it is. With a timeout for the first token it
    /// counts as failed, so that the retry policy may try again.
    pub(in crate::rotate) fn expire(&mut self, options: &Options) -> Ruling {
        let Self { lease, tap, .. } = self;
        match options.first_token_timeout {
            Some(_) => tap.watch().be_late(lease),
            None => tap.watch().begin(lease),
        }
    }
}
