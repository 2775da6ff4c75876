//! The future of a request: in the queue, with a key, sent.

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

use crate::{Exhausted, Lease, pool::Acquire};

use super::{
    body::ResponseBody, exchange::Exchange, request::RequestContext, response::turned_away,
};

pin_project! {
    /// The response of [`KeyRotation`](super::KeyRotation).
    ///
    /// Cancel safety: it can be dropped at any point. A request that was not sent gives back its whole
    /// reservation. A request that was sent keeps its charge and frees its concurrency.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, A, B>
    where
        S: Service<Request<A>>,
        B: Body,
    {
        #[pin]
        state: State<S, A, S::Future, B>,
        context: RequestContext,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, A, F, B>
    where
        B: Body,
    {
        // Waits in the queue for a key.
        InLine { #[pin] acquire: Acquire, parked: Option<(S, Request<A>)> },
        // Has a key and waits for the inner service.
        Readying { ready: Option<(S, Request<A>, Lease)> },
        // The request is not sent: the answer is known.
        TurnedAway { exhausted: Option<Exhausted> },
        // The request is sent.
        Sent { #[pin] exchange: Exchange<F, B> },
        Done,
    }
}

impl<S, A, B> ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
    B: Body,
{
    pub(crate) fn sent(exchange: Exchange<S::Future, B>, context: RequestContext) -> Self {
        Self { state: State::Sent { exchange }, context }
    }

    pub(crate) fn in_line(
        acquire: Acquire,
        inner: S,
        request: Request<A>,
        context: RequestContext,
    ) -> Self {
        let state = State::InLine { acquire, parked: Some((inner, request)) };
        Self { state, context }
    }

    pub(crate) fn turned_away(exhausted: Exhausted, context: RequestContext) -> Self {
        Self { state: State::TurnedAway { exhausted: Some(exhausted) }, context }
    }
}

impl<S, A, B> Future for ResponseFuture<S, A, B>
where
    S: Service<Request<A>, Response = Response<B>>,
    A: 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::InLine { acquire, parked } => match ready!(acquire.poll(cx)) {
                    Ok(lease) => {
                        let ready = parked.take().map(|(inner, request)| (inner, request, lease));
                        State::Readying { ready }
                    }
                    Err(exhausted) => State::TurnedAway { exhausted: Some(exhausted) },
                },
                StateProj::Readying { ready: parked } => {
                    let Some((inner, ..)) = parked else { return Poll::Pending };
                    let ready = ready!(inner.poll_ready(cx));
                    let Some((mut inner, request, lease)) = parked.take() else {
                        return Poll::Pending;
                    };
                    if let Err(error) = ready {
                        // Nothing was sent: the lease gives everything back.
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                    let exchange = Exchange::send(&mut inner, request, lease, this.context);
                    State::Sent { exchange }
                }
                StateProj::TurnedAway { exhausted } => {
                    let Some(exhausted) = exhausted.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    return Poll::Ready(Ok(turned_away(this.context, exhausted)));
                }
                StateProj::Sent { exchange } => return exchange.poll(this.context, cx),
                // It was polled again after it was ready.
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
        f.debug_struct("ResponseFuture").field("pool", &self.context.pool).finish_non_exhaustive()
    }
}
