//! A stream whose head is held back until something has come that its caller waits for.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response;
use http_body::Body;

use crate::{Lease, Verdict};

use super::{
    ahead::{Ahead, More},
    refusal::Reading,
    timing::Timing,
    watch::{Stage, Watch},
};

/// A stream that is held back.
pub(super) struct Held<B: Body> {
    pub(super) head: response::Parts,
    pub(super) lease: Lease,
    pub(super) ahead: Ahead<B>,
    pub(super) watch: Watch,
}

impl<B: Body<Data = Bytes> + Unpin> Held<B> {
    pub(super) fn new(
        head: response::Parts,
        body: B,
        mut lease: Lease,
        mut watch: Watch,
        timing: &Timing,
    ) -> Self {
        lease.observe_head(head.status, &head.headers);
        if timing.patience().is_zero() {
            watch.begin(&mut lease);
        }
        Self { head, lease, ahead: Ahead::new(body), watch }
    }

    /// Ready when it has begun or failed, or when too much has come to go on holding it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stage> {
        let Self { lease, ahead, watch, .. } = self;
        while watch.stage() == Stage::Prelude {
            if ahead.is_full() {
                watch.begin(lease);
                break;
            }
            match ready!(ahead.poll_more(cx)) {
                More::Data(data) => watch.look(lease, &data),
                More::Other => {}
                More::Failed => watch.fail(lease),
                More::Ended => watch.finish(lease),
            }
        }
        if ahead.rest.is_none() {
            watch.finish(lease);
        }
        Poll::Ready(watch.stage())
    }

    /// It failed before it had begun.
    pub(super) fn fail(self, verdict: Verdict) -> Reading<B> {
        let Self { head, lease, ahead, .. } = self;
        Reading::by_event(head, ahead, lease, verdict)
    }

    /// It was waited for long enough: it is passed on as it is. If its first token is late, it counts
    /// as failed, in case that somebody tries again.
    pub(super) fn expire(&mut self, timing: &Timing) -> Verdict {
        match timing.first_token {
            Some(_) => self.watch.be_late(&mut self.lease),
            None => self.watch.begin(&mut self.lease),
        }
    }
}
