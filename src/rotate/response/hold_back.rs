//! A stream whose head is held back until something has come that its caller waits for.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response;
use http_body::Body;

use crate::{Lease, Ruling};

use crate::rotate::{
    body::{Ahead, More, Stage, Tap},
    options::Options,
};

use super::refusal::Reading;

/// A stream that is held back.
pub(in crate::rotate) struct Held<B: Body> {
    pub(in crate::rotate) head: response::Parts,
    pub(in crate::rotate) lease: Lease,
    pub(in crate::rotate) ahead: Ahead<B>,
    pub(in crate::rotate) tap: Tap,
}

impl<B: Body<Data = Bytes> + Unpin> Held<B> {
    pub(in crate::rotate) fn new(
        head: response::Parts,
        body: B,
        mut lease: Lease,
        mut tap: Tap,
        options: &Options,
    ) -> Self {
        lease.observe_head(head.status, &head.headers);
        if options.patience().is_zero() {
            tap.watch().begin(&mut lease);
        }
        Self { head, lease, ahead: Ahead::new(body), tap }
    }

    /// Ready when it has begun or failed, or when too much has come to go on holding it.
    pub(in crate::rotate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stage> {
        let Self { lease, ahead, tap, .. } = self;
        while *tap.stage() == Stage::Prelude {
            if ahead.is_full() {
                tap.watch().begin(lease);
                break;
            }
            match ready!(ahead.poll_more(cx)) {
                More::Data(data) => tap.look(lease, &data),
                More::Other => {}
                More::Failed => tap.watch().fail(lease),
                More::Ended => tap.end(lease),
            }
        }
        Poll::Ready(tap.stage().clone())
    }

    /// It failed before it had begun.
    pub(in crate::rotate) fn fail(self, ruling: Ruling) -> Reading<B> {
        let Self { head, mut lease, ahead, tap } = self;
        if ruling.rule == Ruling::EMPTY {
            tap.settle_empty(&mut lease);
        } else if !lease.is_refused() {
            // It broke off: what it told until then counts.
            tap.cut(&mut lease);
        }
        Reading::by_event(head, ahead, lease, ruling)
    }

    /// It was waited for long enough: it is passed on as it is. If its first token is late, it counts
    /// as failed, in case that somebody tries again.
    pub(in crate::rotate) fn expire(&mut self, options: &Options) -> Ruling {
        let Self { lease, tap, .. } = self;
        match options.first_token {
            Some(_) => tap.watch().be_late(lease),
            None => tap.watch().begin(lease),
        }
    }
}
