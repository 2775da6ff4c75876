//! The context of one request, which is kept until its response is passed on.

use std::any::Any;

use http::{
    HeaderMap, Request,
    header::{self, Entry},
};
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    Demand, Exhausted, KeyPool, Lease, ReplayBody, Trail,
    error::Reason,
    pool::Wanted,
    provider::{BodyEdit, Call, Encoding},
    replay::BrokenOff,
};

use super::{body::HideUsage, options::Options};

/// What is known of a request besides the request itself.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) pool: KeyPool,
    pub(super) options: Options,
    pub(super) trail: Option<Trail>,
    /// When the request first asked for a key, in an earlier attempt if there was one.
    pub(crate) since: Instant,
    /// Whether the request asks for a stream, as far as its body could be read.
    pub(super) is_stream: bool,
    /// What is to be changed in the body so that the stream reports its usage.
    usage_edit: Option<BodyEdit>,
    /// Whether the middleware asked for the usage, and not the caller: then the caller does not see it.
    pub(super) hides_usage: bool,
    broken_off: Option<BrokenOff>,
}

impl RequestContext {
    /// The context of a request that has not been read yet.
    pub(crate) fn new<A: 'static>(
        pool: &KeyPool,
        options: Options,
        now: Instant,
        request: &Request<A>,
    ) -> Self {
        let trail = request.extensions().get::<Trail>().cloned();
        let since = trail.as_ref().map_or(now, Trail::since);
        let broken_off = replay_body(request).and_then(ReplayBody::broken_off_flag).cloned();
        Self { broken_off, trail, ..Self::without_key(pool, options, since) }
    }

    /// The context of a request that is sent without a key: nothing is learned from its response.
    pub(super) fn without_key(pool: &KeyPool, options: Options, since: Instant) -> Self {
        Self {
            pool: pool.clone(),
            options,
            trail: None,
            since,
            is_stream: false,
            usage_edit: None,
            hides_usage: false,
            broken_off: None,
        }
    }

    /// The answer to a request that must not be sent: its caller broke off the body, or its trail is
    /// closed.
    pub(crate) fn already_over<A: 'static>(
        &mut self,
        now: Instant,
        request: &Request<A>,
    ) -> Option<Exhausted> {
        if self.is_broken_off() {
            return Some(Exhausted::new(Reason::BodyBrokenOff, None));
        }
        let is_closed = self.trail.as_ref().is_some_and(|trail| trail.closed().is_some());
        is_closed.then(|| self.ask(now, request, KeyPool::turned_away))
    }

    /// Reads what the request wants, and asks the pool for it in one of the pool's ways.
    pub(crate) fn ask<A: 'static, R>(
        &mut self,
        now: Instant,
        request: &Request<A>,
        way: impl FnOnce(&KeyPool, &Wanted<'_>) -> R,
    ) -> R {
        let call = call(request);
        let estimate = self.pool.estimate(&call);
        self.is_stream = estimate.stream;
        if self.options.ask_usage && self.is_stream && !self.pool.refuses_usage(now) {
            self.usage_edit = self.pool.provider().ask_usage(&call);
        }
        let unsaid = Demand::new();
        let demand = request.extensions().get::<Demand>().unwrap_or(&unsaid);
        let kin = self.pool.kin(demand, Some(&call), &estimate);
        let operation = match &demand.operation {
            Some(_) => demand.known_operation(),
            None => self.pool.provider().operation(call.method(), call.uri()),
        };
        let ask = |tried: &[_]| {
            let (estimate, kin, since, may_wait) = (&estimate, kin.as_ref(), self.since, true);
            let wanted = Wanted { demand, operation, estimate, kin, may_wait, tried, since, now };
            way(&self.pool, &wanted)
        };
        match &self.trail {
            Some(trail) => trail.visit(ask),
            None => ask(&[]),
        }
    }

    /// Asks the provider to put the usage into the stream, if the options say so and the request does
    /// not ask for it itself. Call it once, after [`ask`](Self::ask).
    pub(super) fn ask_usage<A: 'static>(&mut self, request: &mut Request<A>) {
        if let Some(edit) = self.usage_edit.take() {
            self.hides_usage = change_body(request, &edit).is_some();
        }
    }

    /// What leaves the usage out of the stream in the body of a response. The head then describes what is
    /// left. None if the caller asked for the usage, or the stream is compressed in an unknown way.
    pub(super) fn hide_usage(&self, headers: &mut HeaderMap) -> Option<HideUsage> {
        if !self.hides_usage {
            return None;
        }
        let decoder = match Encoding::of(headers) {
            Encoding::Plain => None,
            Encoding::Packed(decoder) => Some(decoder),
            Encoding::Other => return None,
        };
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::CONTENT_ENCODING);
        Some(HideUsage::new(self.pool.clone(), decoder))
    }

    /// The time that the first content of a stream may take, for a request that is sent now.
    pub(super) fn first_token_timer(&self) -> Option<Sleep> {
        self.options.first_token_timeout.filter(|_| self.is_stream).map(sleep)
    }

    /// The request was sent and failed without a response.
    pub(crate) fn call_failed(&self, mut lease: Lease) {
        let is_broken_off = self.is_broken_off();
        let ruling = if is_broken_off { lease.broken_off() } else { lease.failed() };
        if let Some(trail) = &self.trail {
            trail.record(&mut lease, &ruling);
            if is_broken_off {
                trail.break_off();
            }
        }
    }

    fn is_broken_off(&self) -> bool {
        self.broken_off.as_ref().is_some_and(BrokenOff::is_set)
    }
}

/// Changes the body of a request, if it is buffered.
fn change_body<A: 'static>(request: &mut Request<A>, edit: &BodyEdit) -> Option<()> {
    let changed = edit.apply(replay_body(request)?.bytes()?)?;
    let length = changed.len();
    let body: &mut dyn Any = request.body_mut();
    body.downcast_mut::<ReplayBody>()?.replace(changed);
    let headers = request.headers_mut();
    // Nothing can be left out of a stream that is compressed in a way that is not known here.
    headers.remove(header::ACCEPT_ENCODING);
    if let Entry::Occupied(mut told) = headers.entry(header::CONTENT_LENGTH) {
        told.insert(length.into());
    }
    Some(())
}

/// A request as a provider reads it, with the bytes of its body if that is buffered.
fn call<A: 'static>(request: &Request<A>) -> Call<'_> {
    let body = replay_body(request).and_then(ReplayBody::bytes).map_or(&[][..], |bytes| bytes);
    Call::new(request.method(), request.uri(), request.headers()).with_body(body)
}

/// The body of a request, if it is of this crate. A body of any other type is not looked at.
fn replay_body<A: 'static>(request: &Request<A>) -> Option<&ReplayBody> {
    let body: &dyn Any = request.body();
    body.downcast_ref()
}
