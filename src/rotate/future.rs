//! The way of a request, from the line to the response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::{Attempt, KeyPool, KeyUsed, Lease, Ruling, Trail, pool::Acquire, trail::Refusal};

use super::{
    answer,
    body::ResponseBody,
    refusal::{PATIENCE, Read, Reading},
};

pin_project! {
    /// The response to come.
    ///
    /// Cancel safety: it may be dropped at any point. A request that was not sent yet gives
    /// everything back; one that was sent keeps its charge and frees its concurrency.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, A, B>
    where
        S: Service<Request<A>>,
        B: Body,
    {
        #[pin]
        state: State<S, A, S::Future, B>,
        sent: Sent,
    }
}

/// What is known of a request beside the request itself.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) pool: KeyPool,
    pub(super) trail: Option<Trail>,
    /// When it first asked for a key.
    pub(super) since: Instant,
    pub(super) annotate: bool,
}

pin_project! {
    #[project = StateProj]
    enum State<S, A, F, B>
    where
        B: Body,
    {
        // In line for a key.
        Waiting { #[pin] acquire: Acquire, parked: Option<(S, Request<A>)> },
        // With a key, for the inner service.
        Readying { lease: Option<Lease>, parked: Option<(S, Request<A>)> },
        // For the response. Without a lease the request leads elsewhere.
        Calling { #[pin] call: F, lease: Option<Lease> },
        // For the body of a refusal.
        Reading { reading: Option<Reading<B>>, #[pin] patience: Sleep },
        Done,
    }
}

impl<S, A, B> ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
    B: Body,
{
    /// For a request that leads elsewhere.
    pub(super) fn passing(call: S::Future, pool: KeyPool) -> Self {
        let sent = Sent { pool, trail: None, since: Instant::now(), annotate: false };
        Self { state: State::Calling { call, lease: None }, sent }
    }

    pub(super) fn calling(call: S::Future, lease: Lease, sent: Sent) -> Self {
        Self { state: State::Calling { call, lease: Some(lease) }, sent }
    }

    pub(super) fn waiting(acquire: Acquire, inner: S, request: Request<A>, sent: Sent) -> Self {
        Self { state: State::Waiting { acquire, parked: Some((inner, request)) }, sent }
    }
}

impl<S, A, B> Future for ResponseFuture<S, A, B>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Waiting { acquire, parked } => match ready!(acquire.poll(cx)) {
                    Ok(lease) => State::Readying { lease: Some(lease), parked: parked.take() },
                    Err(exhausted) => {
                        this.state.set(State::Done);
                        return Poll::Ready(Ok(this.sent.turned_away(exhausted)));
                    }
                },
                StateProj::Readying { lease, parked } => {
                    let ready = match parked {
                        Some((inner, _)) => ready!(inner.poll_ready(cx)),
                        None => Ok(()),
                    };
                    if let Err(error) = ready {
                        // Nothing was sent: the lease gives everything back.
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                    let (Some((mut inner, mut request)), Some(mut lease)) =
                        (parked.take(), lease.take())
                    else {
                        return Poll::Pending;
                    };
                    let lease = lease.apply(&mut request).ok().map(|()| lease);
                    State::Calling { call: inner.call(request), lease }
                }
                StateProj::Calling { call, lease } => {
                    let result = ready!(call.poll(cx));
                    let lease = lease.take();
                    this.state.set(State::Done);
                    match (result, lease) {
                        (result, None) => return Poll::Ready(result.map(|r| this.sent.pass(r))),
                        (Err(error), Some(lease)) => {
                            this.sent.failed(lease);
                            return Poll::Ready(Err(error));
                        }
                        (Ok(response), Some(lease)) if is_error(&response) => {
                            let (head, body) = response.into_parts();
                            let reading = Some(Reading::new(head, body, lease));
                            State::Reading { reading, patience: sleep(PATIENCE) }
                        }
                        (Ok(response), Some(lease)) => {
                            return Poll::Ready(Ok(this.sent.accepted(response, lease)));
                        }
                    }
                }
                StateProj::Reading { reading, patience } => {
                    let in_time = reading.as_mut().map(|reading| reading.poll(cx));
                    if in_time.is_some_and(|poll| poll.is_pending()) {
                        ready!(patience.poll(cx));
                    }
                    let Some(reading) = reading.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    return Poll::Ready(Ok(this.sent.refused(reading.finish())));
                }
                // Polled again after it was done: nothing is left to give.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

fn is_error<B>(response: &Response<B>) -> bool {
    response.status().is_client_error() || response.status().is_server_error()
}

impl Sent {
    /// The request led elsewhere: nothing is learnt from the answer.
    fn pass<B: Body<Data = Bytes>>(&self, response: Response<B>) -> Response<ResponseBody<B>> {
        response.map(|body| ResponseBody::passing(body, None))
    }

    /// No lease in time.
    fn turned_away<B: Body<Data = Bytes>>(
        &self,
        exhausted: crate::Exhausted,
    ) -> Response<ResponseBody<B>> {
        let refusal = self.trail.as_ref().and_then(Trail::last_refusal);
        let mut response = match refusal {
            Some(refusal) => answer::again(&refusal),
            None => answer::exhausted(self.pool.provider(), exhausted),
        };
        self.add_trail(response.extensions_mut());
        response
    }

    fn failed(&self, mut lease: Lease) {
        let Ruling { verdict, rule } = lease.failed();
        if let Some(trail) = &self.trail {
            let (key, account) = (lease.key().cloned(), lease.account().cloned());
            trail.push(Attempt { key, account, verdict, rule, waited: lease.waited() }, None);
        }
    }

    fn accepted<B: Body<Data = Bytes>>(
        &self,
        mut response: Response<B>,
        mut lease: Lease,
    ) -> Response<ResponseBody<B>> {
        let ruling = lease.observe(response.status(), response.headers(), b"");
        self.pool.strip_headers(response.headers_mut());
        if self.annotate || self.trail.is_some() {
            self.annotate(response.extensions_mut(), &lease, ruling, None);
        }
        response.map(|body| ResponseBody::passing(body, Some(lease)))
    }

    fn refused<B: Body<Data = Bytes>>(&self, mut read: Read<B>) -> Response<ResponseBody<B>> {
        read.blot();
        let whole = read.whole();
        let Read { mut head, mut lease, ahead, rest, text } = read;
        let ruling = lease.observe(head.status, &head.headers, &text);
        self.pool.strip_headers(&mut head.headers);
        let refusal = whole.map(|body| {
            let headers = head.headers.clone();
            Arc::new(Refusal { status: head.status, version: head.version, headers, body })
        });
        self.annotate(&mut head.extensions, &lease, ruling, refusal);
        Response::from_parts(head, ResponseBody::read_ahead(ahead, rest, lease))
    }

    /// Tells which key was used, here and in the trail.
    fn annotate(
        &self,
        extensions: &mut http::Extensions,
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

    fn add_trail(&self, extensions: &mut http::Extensions) {
        if let Some(trail) = &self.trail {
            extensions.insert(trail.clone());
        }
    }
}

impl<S, A, B> fmt::Debug for ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("pool", &self.sent.pool).finish_non_exhaustive()
    }
}
