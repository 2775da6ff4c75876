//! What becomes of a response: what the pool learns from it, and what its caller is told.

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Request, Response, header::CONTENT_LENGTH};
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    Attempt, Blame, Exhausted, KeyPool, KeyUsed, Lease, Reason, Ruling, Trail, Verdict,
    pool::{Closed, Refusal},
    provider::Framing,
    replay::Failed,
};

use super::{
    body::{Ahead, Hide, Idle, ResponseBody, Tap},
    options::Options,
    request::body_failed,
};

mod hold_back;
mod refusal;
mod synthetic;

pub(super) use hold_back::Held;
pub(super) use refusal::Reading;

/// What is known of a request beside the request itself.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) pool: KeyPool,
    pub(in crate::rotate) trail: Option<Trail>,
    /// When it first asked for a key.
    pub(crate) since: Instant,
    pub(in crate::rotate) options: Options,
    /// Whether it asked for a stream, as far as that could be read.
    pub(in crate::rotate) streamed: bool,
    /// Whether it was asked for its usage by us, and not by its caller.
    pub(in crate::rotate) hides_usage: bool,
    /// Tells whether its caller breaks off its body.
    body: Option<Failed>,
}

impl Sent {
    /// A request of which nothing was read yet.
    pub(crate) fn new<A: 'static>(
        pool: &KeyPool,
        options: Options,
        now: Instant,
        request: &Request<A>,
    ) -> Self {
        let trail = request.extensions().get::<Trail>().cloned();
        let since = trail.as_ref().map_or(now, Trail::since);
        let (pool, body) = (pool.clone(), body_failed(request.body()));
        Self { pool, trail, since, options, streamed: false, hides_usage: false, body }
    }

    /// Whether a request is answered without being sent: its attempts are at an end, or its caller has
    /// broken off its body.
    pub(crate) fn is_over(&self) -> bool {
        self.is_broken_off() || self.trail.as_ref().is_some_and(|trail| trail.closed().is_some())
    }

    fn is_broken_off(&self) -> bool {
        self.body.as_ref().is_some_and(Failed::is_set)
    }

    /// What to tell a caller who has broken off the body.
    pub(in crate::rotate) fn broken_off(&self) -> Option<Exhausted> {
        self.is_broken_off().then(|| Exhausted::new(Reason::BodyBrokenOff, None))
    }

    /// A request that leads elsewhere.
    pub(in crate::rotate) fn elsewhere(pool: KeyPool) -> Self {
        let (since, options) = (Instant::now(), Options::default());
        let (trail, body) = (None, None);
        Self { pool, trail, since, options, streamed: false, hides_usage: false, body }
    }

    /// When the first token of a stream is late, for a request that is sent now.
    pub(in crate::rotate) fn first_token(&self) -> Option<Sleep> {
        self.options.first_token.filter(|_| self.streamed).map(sleep)
    }

    /// The request led elsewhere: nothing is learnt from the answer.
    pub(in crate::rotate) fn pass<B: Body<Data = Bytes>>(
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
        let mut response = match self.answer_of_provider(&exhausted) {
            Some(refusal) => synthetic::again(&refusal),
            None => synthetic::exhausted(self.pool.provider(), exhausted),
        };
        self.add_trail(response.extensions_mut());
        response
    }

    /// What the provider has answered to an earlier attempt, if its caller is better served with that than
    /// with an answer of ours.
    fn answer_of_provider(&self, exhausted: &Exhausted) -> Option<Arc<Refusal>> {
        let trail = self.trail.as_ref()?;
        match trail.closed() {
            Some(Closed::First) => return trail.first_refusal(),
            Some(Closed::NoKey) => return None,
            None => {}
        }
        // A caller who is told of a bad key suspects a token of its own.
        let is_rejected = |attempt: &Attempt| {
            attempt.verdict == Verdict::KeyRejected && attempt.blame == Blame::Told
        };
        let is_about_keys = exhausted.reason() == Reason::NoKey
            || trail.visit(|attempts| attempts.iter().any(is_rejected));
        if is_about_keys { None } else { trail.last_refusal() }
    }

    /// The call failed.
    pub(crate) fn failed(&self, mut lease: Lease) {
        let is_broken_off = self.is_broken_off();
        let ruling = if is_broken_off { lease.broken_off() } else { lease.failed() };
        if let Some(trail) = &self.trail {
            trail.record(&mut lease, &ruling);
            if is_broken_off {
                trail.break_off();
            }
        }
    }

    /// The first token of a stream is late, and so is its head.
    pub(in crate::rotate) fn unanswered<B: Body<Data = Bytes>>(
        &self,
        lease: Option<Lease>,
    ) -> Response<ResponseBody<B>> {
        let mut response = self.turned_away(Exhausted::new(Reason::TimedOut, None));
        if let Some(mut lease) = lease {
            let ruling = lease.late();
            self.annotate(response.extensions_mut(), &mut lease, ruling, None);
        }
        response
    }

    pub(in crate::rotate) fn accepted<B: Body<Data = Bytes>>(
        &self,
        mut response: Response<B>,
        mut lease: Lease,
    ) -> Response<ResponseBody<B>> {
        let tap = Tap::of_whole(&lease, &response);
        let ruling = lease.observe(response.status(), response.headers(), b"");
        self.pool.strip_headers(response.headers_mut());
        if self.options.annotate || self.trail.is_some() {
            self.annotate(response.extensions_mut(), &mut lease, ruling, None);
        }
        response.map(|body| ResponseBody::new(Ahead::new(body), Some(lease), tap, None))
    }

    /// A stream is passed on. If that is because its first token is late, it is a refusal to whoever
    /// may try again.
    pub(in crate::rotate) fn streamed<B: Body<Data = Bytes>>(
        &self,
        held: Held<B>,
        ruling: Ruling,
    ) -> Response<ResponseBody<B>> {
        let Held { mut head, mut lease, ahead, mut tap } = held;
        self.pool.strip_headers(&mut head.headers);
        if self.options.annotate || self.trail.is_some() || ruling.verdict.is_refusal() {
            self.annotate(&mut head.extensions, &mut lease, ruling, None);
        }
        let idle = self.options.idle.map(Idle::new);
        let is_open = tap.is_plain() && !head.headers.contains_key(CONTENT_LENGTH);
        let is_open = is_open && tap.watch().framing() == Some(Framing::Events);
        let hide = (self.hides_usage && is_open).then(|| Box::new(Hide::new(self.pool.clone())));
        let body = ResponseBody::new(ahead, Some(lease), Some(tap), idle).hiding(hide);
        Response::from_parts(head, body)
    }

    pub(in crate::rotate) fn refused<B: Body<Data = Bytes>>(
        &self,
        mut reading: Reading<B>,
    ) -> Response<ResponseBody<B>> {
        self.pool.strip_headers(&mut reading.head.headers);
        let (ruling, refusal) = reading.judge();
        let Reading { mut head, mut lease, ahead, .. } = reading;
        self.annotate(&mut head.extensions, &mut lease, ruling, refusal);
        Response::from_parts(head, ResponseBody::new(ahead, Some(lease), None, None))
    }

    /// Tells which key was used, here and in the trail.
    fn annotate(
        &self,
        extensions: &mut Extensions,
        lease: &mut Lease,
        ruling: Ruling,
        refusal: Option<Arc<Refusal>>,
    ) {
        let open = lease.take_open();
        let (Some(key), Some(account)) = (lease.key(), lease.account()) else { return };
        let used = KeyUsed {
            key: key.clone(),
            account: Arc::clone(account),
            verdict: ruling.verdict,
            place: ruling.place,
            blame: ruling.blame,
            rule: ruling.rule,
            waited: lease.waited(),
            since: self.since,
            model: lease.model(),
            generates: lease.generates(),
            open,
            refusal,
        };
        if let Some(trail) = &self.trail {
            trail.push(Attempt::from(&used), used.open.clone(), used.refusal.clone());
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
