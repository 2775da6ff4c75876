//! The way of a request, from the line to the response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{Exhausted, KeyPool, Lease, pool::Acquire};

use super::{body::ResponseBody, exchange::Answering, response::Sent};

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
        // Nothing is sent: the answer is known.
        TurnedAway { exhausted: Option<Exhausted> },
        // For the response.
        Answering { #[pin] answering: Answering<F, B> },
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
        Self::of(call, None, Sent::elsewhere(pool))
    }

    pub(crate) fn calling(call: S::Future, lease: Lease, sent: Sent) -> Self {
        Self::of(call, Some(lease), sent)
    }

    pub(crate) fn waiting(acquire: Acquire, inner: S, request: Request<A>, sent: Sent) -> Self {
        let state = State::Waiting { acquire, parked: Some((inner, request)) };
        Self { state, sent }
    }

    /// For a request that is not sent.
    pub(crate) fn turned_away(exhausted: Exhausted, sent: Sent) -> Self {
        Self { state: State::TurnedAway { exhausted: Some(exhausted) }, sent }
    }

    pub(crate) fn of(call: S::Future, lease: Option<Lease>, sent: Sent) -> Self {
        let answering = Answering::new(call, lease, &sent);
        Self { state: State::Answering { answering }, sent }
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
                    let call = inner.call(request);
                    State::Answering { answering: Answering::new(call, lease, this.sent) }
                }
                StateProj::TurnedAway { exhausted } => {
                    let Some(exhausted) = exhausted.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(this.sent.turned_away(exhausted)));
                }
                StateProj::Answering { answering } => return answering.poll(this.sent, cx),
                // Polled again after it was done: nothing is left to give.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
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
