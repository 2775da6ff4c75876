//! The way of a request to one of the endpoints.

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
    Exhausted, KeyEndpointInfo, KeyId, KeyPool, Lease, Reason,
    engine::Ask,
    pool::{Acquire, Wanted},
    rotate::{Exchange, RequestContext, ResponseBody, turned_away},
};

use super::service::KeyBalance;

/// How many endpoints are looked at for one whose service is ready.
const MOST_LOOKS: usize = 8;

pin_project! {
    /// The response to come.
    ///
    /// Cancel safety: it may be dropped at any point. A request that was not sent yet gives
    /// everything back; one that was sent keeps its charge and frees its concurrency.
    #[must_use = "futures do nothing unless polled"]
    pub struct BalanceFuture<F, S, A, B>
    where
        S: Service<Request<A>>,
        B: Body,
    {
        balance: KeyBalance<F, S>,
        context: RequestContext,
        // Taken when it is sent.
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
        // In line for a key.
        Waiting { #[pin] acquire: Acquire },
        // With a key, for the service of its endpoint, or of another one.
        Choosing { lease: Option<Lease> },
        // For the service of the first that was chosen: no other was ready either.
        Readying { first: Option<(S, Lease)>, #[pin] patience: Sleep },
        // Nothing is sent: the answer is known.
        TurnedAway { exhausted: Option<Exhausted> },
        // For the response.
        Sent { #[pin] exchange: Exchange<F, B> },
        Done,
    }
}

impl<F, S, A, B> BalanceFuture<F, S, A, B>
where
    F: FnMut(&KeyEndpointInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    pub(super) fn new(
        balance: KeyBalance<F, S>,
        request: Request<A>,
        mut context: RequestContext,
        lease_or_ask: Result<Lease, Box<Ask>>,
    ) -> Self {
        let mut request = Some(request);
        let state = match lease_or_ask {
            Err(ask) => State::Waiting { acquire: context.pool.line_up(ask) },
            // Mostly it is ready, and nobody has to be woken for that.
            Ok(lease) => match if_ready(balance.service_for(&lease)) {
                Some(service) => send(service, lease, request.take(), &mut context),
                None => State::Choosing { lease: Some(lease) },
            },
        };
        Self { balance, context, request, state }
    }

    /// For a request that is not sent.
    pub(super) fn turned_away(
        balance: KeyBalance<F, S>,
        request: Request<A>,
        context: RequestContext,
        exhausted: Exhausted,
    ) -> Self {
        let state = State::TurnedAway { exhausted: Some(exhausted) };
        Self { balance, context, request: Some(request), state }
    }
}

/// A service that is ready now. Else it is asked again by whoever waits for it.
fn if_ready<S: Service<Request<A>>, A>(mut service: S) -> Option<S> {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(()))).then_some(service)
}

/// The endpoint that a request goes to.
enum Choice<S, E> {
    Ready(S, Lease),
    /// Its service is not ready, nor are those of others that have room. It wakes whoever asked.
    Busy(S, Lease),
    /// Its service has failed.
    Failed(E, Lease),
}

/// Takes the endpoint of a key, and that of another one where its service is not ready.
fn choose<F, S, A, B>(
    balance: &KeyBalance<F, S>,
    context: &mut RequestContext,
    request: &Request<A>,
    mut lease: Lease,
    cx: &mut Context<'_>,
) -> Choice<S, S::Error>
where
    F: FnMut(&KeyEndpointInfo) -> S,
    S: Service<Request<A>, Response = Response<B>> + Clone,
    A: 'static,
{
    let mut busy: Vec<KeyId> = Vec::new();
    let mut first = None;
    loop {
        let mut service = balance.service_for(&lease);
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => return Choice::Ready(service, lease),
            Poll::Ready(Err(error)) => return Choice::Failed(error, lease),
            Poll::Pending => busy.push(lease.key().clone()),
        }
        let (service, kept) = first.take().unwrap_or((service, lease));
        if busy.len() >= MOST_LOOKS {
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
    F: FnMut(&KeyEndpointInfo) -> S,
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
                        // There may be no key any more, and so nobody else who does it.
                        this.balance.follow();
                        return Poll::Ready(Ok(turned_away(this.context, exhausted)));
                    }
                },
                StateProj::Choosing { lease } => {
                    let (Some(lease), Some(request)) = (lease.take(), this.request.as_ref()) else {
                        return Poll::Pending;
                    };
                    match choose(this.balance, this.context, request, lease, cx) {
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
                            this.balance.failed(this.context, lease);
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
                            // Nothing was sent: the lease gives everything back.
                            this.state.set(State::Done);
                            let busy = Exhausted::new(Reason::Busy, None);
                            return Poll::Ready(Ok(turned_away(this.context, busy)));
                        }
                    };
                    let Some((service, lease)) = first.take() else { return Poll::Pending };
                    if let Err(error) = ready {
                        this.state.set(State::Done);
                        this.balance.failed(this.context, lease);
                        return Poll::Ready(Err(error));
                    }
                    send(service, lease, this.request.take(), this.context)
                }
                StateProj::TurnedAway { exhausted } => {
                    let Some(exhausted) = exhausted.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(turned_away(this.context, exhausted)));
                }
                StateProj::Sent { exchange } => return exchange.poll(this.context, cx),
                // Polled again after it was done: nothing is left to give.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
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
