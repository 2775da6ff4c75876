//! What becomes of a response: what the pool learns from it, and what its caller is told.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    Attempt, Exhausted, KeyPool, KeyUsed, Lease, Reason, Ruling, Trail, provider::Framing,
    trail::Refusal,
};

use super::{
    ahead::Ahead, answer, body::ResponseBody, held::Held, hide::Hide, idle::Idle, options::Options,
    refusal::Reading, tap::Tap,
};

/// What is known of a request beside the request itself.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) pool: KeyPool,
    pub(super) trail: Option<Trail>,
    /// When it first asked for a key.
    pub(crate) since: Instant,
    pub(super) options: Options,
    /// Whether it asked for a stream, as far as that could be read.
    pub(super) streamed: bool,
    /// Whether it was asked for its usage by us, and not by its caller.
    pub(super) hides_usage: bool,
}

impl Sent {
    /// A request of which nothing was read yet.
    pub(crate) fn new<A>(
        pool: &KeyPool,
        options: Options,
        now: Instant,
        request: &Request<A>,
    ) -> Self {
        let trail = request.extensions().get::<Trail>().cloned();
        let since = trail.as_ref().map_or(now, Trail::since);
        let pool = pool.clone();
        Self { pool, trail, since, options, streamed: false, hides_usage: false }
    }

    /// A request that leads elsewhere.
    pub(super) fn elsewhere(pool: KeyPool) -> Self {
        let (since, options) = (Instant::now(), Options::default());
        Self { pool, trail: None, since, options, streamed: false, hides_usage: false }
    }

    /// When the first token of a stream is late, for a request that is sent now.
    pub(super) fn first_token(&self) -> Option<Sleep> {
        self.options.first_token.filter(|_| self.streamed).map(sleep)
    }

    /// The request led elsewhere: nothing is learnt from the answer.
    pub(super) fn pass<B: Body<Data = Bytes>>(
        &self,
        response: Response<B>,
    ) -> Response<ResponseBody<B>> {
        response.map(|body| ResponseBody::new(Ahead::new(body), None, None, None))
    }

    /// No lease in time.
    pub(crate) fn turned_away<B: Body<Data = Bytes>>(
        &self,
        exhausted: Exhausted,
    ) -> Response<ResponseBody<B>> {
        let refusal = self.trail.as_ref().and_then(Trail::last_refusal);
        let mut response = match refusal {
            Some(refusal) => answer::again(&refusal),
            None => answer::exhausted(self.pool.provider(), exhausted),
        };
        self.add_trail(response.extensions_mut());
        response
    }

    /// The call failed.
    pub(crate) fn failed(&self, mut lease: Lease) {
        let Ruling { verdict, rule } = lease.failed();
        if let Some(trail) = &self.trail {
            let (key, account) = (lease.key().cloned(), lease.account().cloned());
            trail.push(Attempt { key, account, verdict, rule, waited: lease.waited() }, None);
        }
    }

    /// The first token of a stream is late, and so is its head.
    pub(super) fn unanswered<B: Body<Data = Bytes>>(
        &self,
        lease: Option<Lease>,
    ) -> Response<ResponseBody<B>> {
        let mut response = self.turned_away(Exhausted::new(Reason::TimedOut, None));
        if let Some(mut lease) = lease {
            let ruling = lease.late();
            self.annotate(response.extensions_mut(), &lease, ruling, None);
        }
        response
    }

    pub(super) fn accepted<B: Body<Data = Bytes>>(
        &self,
        mut response: Response<B>,
        mut lease: Lease,
    ) -> Response<ResponseBody<B>> {
        let tap = Tap::of_whole(&lease, &response);
        let ruling = lease.observe(response.status(), response.headers(), b"");
        self.pool.strip_headers(response.headers_mut());
        if self.options.annotate || self.trail.is_some() {
            self.annotate(response.extensions_mut(), &lease, ruling, None);
        }
        response.map(|body| ResponseBody::new(Ahead::new(body), Some(lease), tap, None))
    }

    /// A stream is passed on. If that is because its first token is late, it is a refusal to whoever
    /// may try again.
    pub(super) fn streamed<B: Body<Data = Bytes>>(
        &self,
        held: Held<B>,
        ruling: Ruling,
    ) -> Response<ResponseBody<B>> {
        let Held { mut head, lease, ahead, mut tap } = held;
        self.pool.strip_headers(&mut head.headers);
        if self.options.annotate || self.trail.is_some() || ruling.verdict.is_refusal() {
            self.annotate(&mut head.extensions, &lease, ruling, None);
        }
        let idle = self.options.idle.map(Idle::new);
        let is_open = tap.is_plain() && !head.headers.contains_key(CONTENT_LENGTH);
        let is_open = is_open && tap.watch().framing() == Some(Framing::Events);
        let hide = (self.hides_usage && is_open).then(|| Box::new(Hide::new(self.pool.clone())));
        let body = ResponseBody::new(ahead, Some(lease), Some(tap), idle).hiding(hide);
        Response::from_parts(head, body)
    }

    pub(super) fn refused<B: Body<Data = Bytes>>(
        &self,
        mut reading: Reading<B>,
    ) -> Response<ResponseBody<B>> {
        self.pool.strip_headers(&mut reading.head.headers);
        let (ruling, refusal) = reading.judge();
        let Reading { mut head, lease, ahead, .. } = reading;
        self.annotate(&mut head.extensions, &lease, ruling, refusal);
        Response::from_parts(head, ResponseBody::new(ahead, Some(lease), None, None))
    }

    /// Tells which key was used, here and in the trail.
    fn annotate(
        &self,
        extensions: &mut Extensions,
        lease: &Lease,
        ruling: Ruling,
        refusal: Option<Arc<Refusal>>,
    ) {
        let (Some(key), Some(account)) = (lease.key(), lease.account()) else { return };
        let used = KeyUsed {
            key: key.clone(),
            account: Arc::clone(account),
            verdict: ruling.verdict,
            rule: ruling.rule,
            waited: lease.waited(),
            since: self.since,
            refusal,
        };
        if let Some(trail) = &self.trail {
            trail.push(Attempt::from(&used), used.refusal.clone());
        }
        extensions.insert(used);
        self.add_trail(extensions);
    }

    fn add_trail(&self, extensions: &mut Extensions) {
        if let Some(trail) = &self.trail {
            extensions.insert(trail.clone());
        }
    }
}
