//! What a request asks for, read from it and from its body where that is buffered.

use std::any::Any;

use http::{
    Request,
    header::{self, Entry},
};
use tokio::time::Instant;

use crate::{
    Demand, Exhausted, KeyPool, Lease,
    engine::Ask,
    pool::Wanted,
    provider::{Call, Provider},
    replay::{Failed, ReplayBody},
};

use super::response::Sent;

/// Reads what a request wants, and asks for it in one of the pool's ways.
pub(crate) fn lease_or_ask<A: 'static>(
    sent: &mut Sent,
    now: Instant,
    request: &mut Request<A>,
    ask: impl FnOnce(&KeyPool, &Wanted<'_>) -> Result<Lease, Box<Ask>>,
) -> Result<Lease, Box<Ask>> {
    let lease_or_ask = wanted(sent, now, request, ask);
    ask_usage(sent, request);
    lease_or_ask
}

/// Reads what a request wants.
pub(crate) fn wanted<A: 'static, R>(
    sent: &mut Sent,
    now: Instant,
    request: &Request<A>,
    ask: impl FnOnce(&KeyPool, &Wanted<'_>) -> R,
) -> R {
    let call = call(request);
    let estimate = sent.pool.estimate(&call);
    sent.streamed = estimate.stream;
    let unsaid = Demand::new();
    let demand = request.extensions().get::<Demand>().unwrap_or(&unsaid);
    let kin = sent.pool.kin(demand, Some(&call), &estimate);
    let operation = match &demand.operation {
        Some(_) => demand.known_operation(),
        None => sent.pool.provider().operation(call.method, call.uri),
    };
    let ask = |tried: &[_]| {
        let (estimate, kin, since, may_wait) = (&estimate, kin.as_ref(), sent.since, true);
        let wanted = Wanted { demand, operation, estimate, kin, may_wait, tried, since, now };
        ask(&sent.pool, &wanted)
    };
    match &sent.trail {
        Some(trail) => trail.visit(ask),
        None => ask(&[]),
    }
}

/// What to tell a request that is answered without being sent.
pub(crate) fn over<A: 'static>(sent: &mut Sent, now: Instant, request: &Request<A>) -> Exhausted {
    if let Some(broken_off) = sent.broken_off() {
        return broken_off;
    }
    wanted(sent, now, request, KeyPool::turned_away)
}

/// Asks a stream for its usage, if that is wanted. To be done once, after it was read.
pub(crate) fn ask_usage<A: 'static>(sent: &mut Sent, request: &mut Request<A>) {
    if sent.options.ask_usage && sent.streamed {
        sent.hides_usage = put_usage(sent.pool.provider(), request);
    }
}

/// Puts into a request that its stream is to tell its usage. False if it does so anyhow, or cannot be
/// asked.
fn put_usage<A: 'static>(provider: &dyn Provider, request: &mut Request<A>) -> bool {
    let Some(asking) = provider.ask_usage(&call(request)) else { return false };
    let length = asking.len();
    let body: &mut dyn Any = request.body_mut();
    let Some(body) = body.downcast_mut::<ReplayBody>() else { return false };
    body.replace(asking);
    let headers = request.headers_mut();
    // What is compressed cannot have anything left out.
    headers.remove(header::ACCEPT_ENCODING);
    if let Entry::Occupied(mut told) = headers.entry(header::CONTENT_LENGTH) {
        told.insert(length.into());
    }
    true
}

fn call<A: 'static>(request: &Request<A>) -> Call<'_> {
    Call {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        body: buffered(request.body()),
    }
}

/// Tells whether a body's caller breaks it off, if that can happen.
pub(super) fn body_failed<A: 'static>(body: &A) -> Option<Failed> {
    let body: &dyn Any = body;
    body.downcast_ref::<ReplayBody>().and_then(ReplayBody::failed).cloned()
}

/// The bytes of a body that has been buffered. Any other body is left alone, whatever its type.
fn buffered<A: 'static>(body: &A) -> &[u8] {
    let body: &dyn Any = body;
    body.downcast_ref::<ReplayBody>().and_then(ReplayBody::bytes).map_or(&[], |bytes| bytes)
}
