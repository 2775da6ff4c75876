//! The response that a caller gets: the provider's own, or one that the middleware makes.
//!
//! What the pool learns from a response is learned here, before the caller sees it. Which key was used is
//! written into its extensions and into the trail.

mod hold_back;
mod refusal;
mod synthetic;

use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, Response};
use http_body::Body;

use crate::{
    Exhausted, KeyUsed, Lease, Verdict,
    error::Reason,
    pool::{Attempt, Closed, Refusal},
    provider::{Framing, Ruling},
    verdict::Blame,
};

use super::{
    body::{IdleTimer, ReadAhead, ResponseBody, Tap, Watched},
    request::RequestContext,
};

pub(super) use hold_back::HeldStream;
pub(super) use refusal::RefusalReader;

/// Passes on the response to a request that was sent without a key: nothing is learned from it.
pub(super) fn without_key<B: Body<Data = Bytes>>(
    response: Response<B>,
) -> Response<ResponseBody<B>> {
    response.map(|body| ResponseBody::new(ReadAhead::new(body), None))
}

/// Answers a request that gets no lease in time: with the answer of the provider to an earlier attempt, if
/// that helps the caller more than an answer of the middleware.
pub(crate) fn turned_away<B: Body<Data = Bytes>>(
    context: &RequestContext,
    exhausted: Exhausted,
) -> Response<ResponseBody<B>> {
    let response = match earlier_refusal(context, &exhausted) {
        Some(refusal) => synthetic::repeated(&refusal),
        None => synthetic::exhausted(context.pool.provider(), exhausted),
    };
    let mut response = response.map(ResponseBody::whole);
    add_trail(context, response.extensions_mut());
    response
}

/// Answers a request that got no response head within the timeout for the first token.
pub(super) fn late<B: Body<Data = Bytes>>(
    context: &RequestContext,
    lease: Option<Lease>,
) -> Response<ResponseBody<B>> {
    let mut response = turned_away(context, Exhausted::new(Reason::TimedOut, None));
    if let Some(mut lease) = lease {
        let ruling = lease.late();
        annotate(context, response.extensions_mut(), &mut lease, ruling, None);
    }
    response
}

/// Passes on an accepted response that is no stream.
pub(super) fn accepted<B: Body<Data = Bytes>>(
    context: &RequestContext,
    mut response: Response<B>,
    mut lease: Lease,
) -> Response<ResponseBody<B>> {
    let untyped = context.hides_usage.then(|| Tap::of_untyped(&lease, &response)).flatten();
    let hide = match &untyped {
        Some(_) => context.hide_usage(response.headers_mut()),
        None => None,
    };
    let tap = untyped.or_else(|| Tap::of_whole(&lease, &response));
    let ruling = lease.observe(response.status(), response.headers(), b"");
    context.pool.strip_headers(response.headers_mut());
    if context.options.annotate || context.trail.is_some() {
        annotate(context, response.extensions_mut(), &mut lease, ruling, None);
    }
    let watched = Watched { lease, tap, idle: None };
    response.map(|body| ResponseBody::new(ReadAhead::new(body), Some(watched)).hiding(hide))
}

/// Passes on a stream. If its first token is late, the ruling is a refusal, so that the retry policy may
/// try again; the stream is passed on nevertheless, in case it does not.
pub(super) fn stream<B: Body<Data = Bytes>>(
    context: &RequestContext,
    held: HeldStream<B>,
    ruling: Ruling,
) -> Response<ResponseBody<B>> {
    let HeldStream { mut head, mut lease, body, mut tap } = held;
    context.pool.strip_headers(&mut head.headers);
    if context.options.annotate || context.trail.is_some() || ruling.verdict.is_refusal() {
        annotate(context, &mut head.extensions, &mut lease, ruling, None);
    }
    let idle = context.options.idle_timeout.map(IdleTimer::new);
    let hide = match tap.watch().framing() {
        Some(Framing::Events) => context.hide_usage(&mut head.headers),
        _ => None,
    };
    let watched = Watched { lease, tap: Some(tap), idle };
    let body = ResponseBody::new(body, Some(watched)).hiding(hide);
    Response::from_parts(head, body)
}

/// Judges a refusal and passes it on.
pub(super) fn refusal<B: Body<Data = Bytes>>(
    context: &RequestContext,
    mut reader: RefusalReader<B>,
) -> Response<ResponseBody<B>> {
    context.pool.strip_headers(&mut reader.head.headers);
    let (ruling, mut refusal) = reader.judge();
    // A stream that has failed may have reported its usage before.
    let hide = if reader.is_stream() { context.hide_usage(&mut reader.head.headers) } else { None };
    if hide.is_some() {
        refusal = refusal.map(|refusal| without_usage(context, &refusal));
    }
    let is_unasked = context.hides_usage && reader.refuses_usage(&ruling);
    if is_unasked {
        context.pool.note_usage_refused();
        // The caller is not to see a refusal of what it did not send.
        refusal = None;
    }
    let RefusalReader { mut head, mut lease, body, .. } = reader;
    annotate(context, &mut head.extensions, &mut lease, ruling, refusal);
    if let Some(used) = head.extensions.get_mut::<KeyUsed>() {
        used.is_unasked = is_unasked;
    }
    let watched = Watched { lease, tap: None, idle: None };
    Response::from_parts(head, ResponseBody::new(body, Some(watched)).hiding(hide))
}

/// The copy of a stream that has failed, without the usage that its caller did not ask for.
fn without_usage(context: &RequestContext, refusal: &Refusal) -> Arc<Refusal> {
    let Refusal { status, version, mut headers, mut body } = refusal.clone();
    if let Some(hide) = context.hide_usage(&mut headers) {
        body = hide.of_whole(body);
    }
    Arc::new(Refusal { status, version, headers, body })
}

/// The answer of the provider to an earlier attempt, if that helps the caller.
fn earlier_refusal(context: &RequestContext, exhausted: &Exhausted) -> Option<Arc<Refusal>> {
    let trail = context.trail.as_ref()?;
    match trail.closed() {
        Some(Closed::First) => return trail.first_refusal(),
        Some(Closed::NoKey) => return None,
        None => {}
    }
    // A caller that reads about an invalid key would suspect its own token.
    let is_rejected =
        |attempt: &Attempt| attempt.verdict == Verdict::KeyRejected && attempt.blame == Blame::Told;
    let is_about_keys = exhausted.reason() == Reason::NoKey
        || trail.visit(|attempts| attempts.iter().any(is_rejected));
    if is_about_keys { None } else { trail.last_refusal() }
}

/// Writes which key was used into the extensions of a response, and into the trail.
fn annotate(
    context: &RequestContext,
    extensions: &mut Extensions,
    lease: &mut Lease,
    ruling: Ruling,
    refusal: Option<Arc<Refusal>>,
) {
    let open = lease.take_open();
    let used = KeyUsed {
        waited: lease.waited(),
        since: context.since,
        model: lease.model(),
        generates: lease.generates(),
        is_probe: lease.is_probe(),
        open,
        refusal,
        ..KeyUsed::new(lease.key().clone(), Arc::clone(lease.account()), ruling)
    };
    if let Some(trail) = &context.trail {
        trail.push(Attempt::from(&used), used.open.clone(), used.refusal.clone());
    }
    extensions.insert(used);
    add_trail(context, extensions);
}

fn add_trail(context: &RequestContext, extensions: &mut Extensions) {
    if let Some(trail) = &context.trail {
        extensions.insert(trail.clone());
    }
}
