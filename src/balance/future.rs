//! A request on its way to one of the endpoints.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::{
    Exhausted, KeyId, KeyPool, Lease,
    engine::Ask,
    error::Reason,
    pool::{Acquire, KeyInfo, Wanted},
    rotate::{Exchange, RequestContext, ResponseBody, turned_away},
};

use super::services::KeyServices;

pin_project! {
    /// The future of a response of [`KeyBalance`](super::KeyBalance).
    ///
    /// Cancel safety: it may be dropped at any point. A request that was not sent yet gives back
    /// everything that it reserved. A request that was sent keeps its charge on the limits and frees its
    /// concurrency.
    #[must_use = "futures do nothing unless polled"]
    pub struct BalanceFuture<F, S, A, B>
    where
        S: Service<Request<A>>,
        B: Body,
    {
        services: KeyServices<F, S>,
        context: RequestContext,
        // None after it was sent.
        request: Option<Request<A>>,
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B>
    where
        B: Body,
    {
        // In the queue for a key.
        Waiting { #[pin] acquire: Acquire },
        // Has a key. Takes the service of its endpoint, or another endpoint if that one is not ready.
        Choosing { lease: Option<Lease> },
        // No endpoint is ready. Waits for the service of the first one.
        Readying { first: Option<(S, Lease)>, #[pin] patience: Sleep },
        // The request is refused without being sent.
        TurnedAway { exhausted: Option<Exhausted> },
        // Sent. Waits for the response.
        Sent { #[pin] exchange: Exchange<F, B> },
        Done,
    }
}

impl<F, S, A, B> BalanceFuture<F, S, A, B>
where
    F: FnMut(&KeyInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    pub(super) fn new(
        services: KeyServices<F, S>,
        request: Request<A>,
        mut context: RequestContext,
        lease_or_ask: Result<Lease, Box<Ask>>,
    ) -> Self {
        let mut request = Some(request);
        let state = match lease_or_ask {
            Err(ask) => State::Waiting { acquire: context.pool.line_up(ask) },
            // Usually it is ready at once, so no waker is needed.
            Ok(lease) => match if_ready(services.service_for(&lease)) {
                Some(service) => send(service, lease, request.take(), &mut context),
                None => State::Choosing { lease: Some(lease) },
            },
        };
        Self { services, context, request, state }
    }

    /// Refuses a request without sending it.
    pub(super) fn turned_away(
        services: KeyServices<F, S>,
        request: Request<A>,
        context: RequestContext,
        exhausted: Exhausted,
    ) -> Self {
        let state = State::TurnedAway { exhausted: Some(exhausted) };
        Self { services, context, request: Some(request), state }
    }
}

/// The service if it is ready now. Otherwise the future polls it again, with a waker.
fn if_ready<S: Service<Request<A>>, A>(mut service: S) -> Option<S> {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(()))).then_some(service)
}

/// The endpoint that a request goes to.
enum Choice<S, E> {
    Ready(S, Lease),
    /// Its service is not ready, and neither are those of other endpoints with room. Its service wakes the
    /// task.
    Busy(S, Lease),
    /// Its service has failed.
    Failed(E, Lease),
}

/// How many endpoints are tried at most for one whose service is ready.
const MAX_TRIES: usize = 8;

/// Takes the endpoint of the lease's key, or of another key if the service of the first is not ready.
fn choose<F, S, A, B>(
    services: &KeyServices<F, S>,
    context: &mut RequestContext,
    request: &Request<A>,
    mut lease: Lease,
    cx: &mut Context<'_>,
) -> Choice<S, S::Error>
where
    F: FnMut(&KeyInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
{
    let mut busy: Vec<KeyId> = Vec::new();
    let mut first = None;
    loop {
        let mut service = services.service_for(&lease);
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => return Choice::Ready(service, lease),
            Poll::Ready(Err(error)) => return Choice::Failed(error, lease),
            Poll::Pending => busy.push(lease.key().clone()),
        }
        let (service, kept) = first.take().unwrap_or((service, lease));
        if busy.len() >= MAX_TRIES {
            return Choice::Busy(service, kept);
        }
        let without = |pool: &KeyPool, wanted: &Wanted<'_>| pool.lease_without(wanted, &busy);
        match context.ask(Instant::now(), request, without) {
            Some(other) => (first, lease) = (Some((service, kept)), other),
            None => return Choice::Busy(service, kept),
        }
    }
}

impl<F, S, A, B> Future for BalanceFuture<F, S, A, B>
where
    F: FnMut(&KeyInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Waiting { acquire } => match ready!(acquire.poll(cx)) {
                    Ok(lease) => State::Choosing { lease: Some(lease) },
                    Err(exhausted) => {
                        this.state.set(State::Done);
                        // If no key is left, no later request would do this.
                        this.services.update();
                        return Poll::Ready(Ok(turned_away(this.context, exhausted)));
                    }
                },
                StateProj::Choosing { lease } => {
                    let (Some(lease), Some(request)) = (lease.take(), this.request.as_ref()) else {
                        return Poll::Pending;
                    };
                    match choose(this.services, this.context, request, lease, cx) {
                        Choice::Ready(service, lease) => {
                            send(service, lease, this.request.take(), this.context)
                        }
                        Choice::Busy(service, lease) => {
                            let patience = this.context.pool.patience(this.context.since);
                            let patience = sleep_until(patience);
                            State::Readying { first: Some((service, lease)), patience }
                        }
                        Choice::Failed(error, lease) => {
                            this.state.set(State::Done);
                            service_failed(this.services, this.context, lease);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                StateProj::Readying { first, patience } => {
                    let Some((service, _)) = first else { return Poll::Pending };
                    let ready = match service.poll_ready(cx) {
                        Poll::Ready(ready) => ready,
                        Poll::Pending => {
                            ready!(patience.poll(cx));
                            // Nothing was sent, so the lease gives everything back.
                            this.state.set(State::Done);
                            let busy = Exhausted::new(Reason::Busy, None);
                            return Poll::Ready(Ok(turned_away(this.context, busy)));
                        }
                    };
                    let Some((service, lease)) = first.take() else { return Poll::Pending };
                    if let Err(error) = ready {
                        this.state.set(State::Done);
                        service_failed(this.services, this.context, lease);
                        return Poll::Ready(Err(error));
                    }
                    send(service, lease, this.request.take(), this.context)
                }
                StateProj::TurnedAway { exhausted } => {
                    let Some(exhausted) = exhausted.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(turned_away(this.context, exhausted)));
                }
                StateProj::Sent { exchange } => return exchange.poll(this.context, cx),
                // Polled again after completion.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// Makes the pool count the failure, and a new service for the key.
fn service_failed<F, S>(services: &KeyServices<F, S>, context: &RequestContext, lease: Lease)
where
    F: FnMut(&KeyInfo) -> S,
{
    services.renew(lease.key());
    context.call_failed(lease);
}

/// Calls a service that is ready.
fn send<S, A, B>(
    mut service: S,
    lease: Lease,
    request: Option<Request<A>>,
    context: &mut RequestContext,
) -> State<S, S::Future, B>
where
    S: Service<Request<A>, Response = Response<B>>,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    let Some(request) = request else { return State::Done };
    State::Sent { exchange: Exchange::send(&mut service, request, lease, context) }
}

impl<F, S, A, B> fmt::Debug for BalanceFuture<F, S, A, B>
where
    S: Service<Request<A>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceFuture").field("pool", &self.context.pool).finish_non_exhaustive()
    }
}
