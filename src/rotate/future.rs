//! The way of a request, from the line to the response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::{KeyPool, Lease, Ruling, pool::Acquire};

use super::{
    body::ResponseBody,
    held::Held,
    options::Options,
    refusal::Reading,
    sent::Sent,
    tap::{Tap, tap},
    watch::Stage,
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
        // For what comes of the response, as long as the state has patience.
        #[pin]
        timer: Option<Sleep>,
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
        // For the response. Without a lease the request leads elsewhere.
        Calling { #[pin] call: F, lease: Option<Lease> },
        // For something in a stream that its caller waits for.
        Holding { held: Option<Held<B>> },
        // For the body of a refusal.
        Reading { reading: Option<Reading<B>> },
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
        let since = Instant::now();
        let options = Options::default();
        let (streamed, hides_usage) = (false, false);
        let sent = Sent { pool, trail: None, since, options, streamed, hides_usage };
        Self { state: State::Calling { call, lease: None }, timer: None, sent }
    }

    pub(super) fn calling(call: S::Future, lease: Lease, sent: Sent) -> Self {
        let timer = sent.first_token();
        Self { state: State::Calling { call, lease: Some(lease) }, timer, sent }
    }

    pub(super) fn waiting(acquire: Acquire, inner: S, request: Request<A>, sent: Sent) -> Self {
        let state = State::Waiting { acquire, parked: Some((inner, request)) };
        Self { state, timer: None, sent }
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
                    this.timer.set(this.sent.first_token());
                    State::Calling { call: inner.call(request), lease }
                }
                StateProj::Calling { call, lease } => {
                    let Poll::Ready(result) = call.poll(cx) else {
                        let Some(timer) = this.timer.as_mut().as_pin_mut() else {
                            return Poll::Pending;
                        };
                        ready!(timer.poll(cx));
                        let lease = lease.take();
                        this.state.set(State::Done);
                        return Poll::Ready(Ok(this.sent.unanswered(lease)));
                    };
                    let lease = lease.take();
                    this.state.set(State::Done);
                    match (result, lease) {
                        (result, None) => return Poll::Ready(result.map(|r| this.sent.pass(r))),
                        (Err(error), Some(lease)) => {
                            this.sent.failed(lease);
                            return Poll::Ready(Err(error));
                        }
                        (Ok(response), Some(lease)) => match Next::of(response, lease, this.sent) {
                            Next::Read(reading) => {
                                this.timer.set(None);
                                State::Reading { reading: Some(reading) }
                            }
                            Next::Hold(held) => State::Holding { held: Some(held) },
                            Next::Pass(response, lease, tap) => {
                                return Poll::Ready(Ok(this.sent.accepted(response, lease, tap)));
                            }
                        },
                    }
                }
                StateProj::Holding { held: parked } => {
                    let Some(held) = parked else { return Poll::Pending };
                    let (stage, ruling) = match held.poll(cx) {
                        Poll::Ready(stage) => (stage, Ruling::accepted()),
                        Poll::Pending => {
                            let options = &this.sent.options;
                            ready!(poll_timer(this.timer.as_mut(), || options.patience(), cx));
                            (Stage::Begun, held.expire(options))
                        }
                    };
                    let Some(held) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    let Stage::Failed(ruling) = stage else {
                        return Poll::Ready(Ok(this.sent.streamed(held, ruling)));
                    };
                    this.timer.set(None);
                    State::Reading { reading: Some(held.fail(ruling)) }
                }
                StateProj::Reading { reading: parked } => {
                    let Some(reading) = parked else { return Poll::Pending };
                    if reading.poll(cx).is_pending() {
                        ready!(poll_timer(this.timer.as_mut(), || reading.patience(), cx));
                    }
                    let Some(reading) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    return Poll::Ready(Ok(this.sent.refused(reading)));
                }
                // Polled again after it was done: nothing is left to give.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// What is to be done with a response.
enum Next<B: Body> {
    /// A refusal: its body tells why.
    Read(Reading<B>),
    /// A stream, in which an error may come.
    Hold(Held<B>),
    Pass(Response<B>, Lease, Option<Tap>),
}

impl<B: Body<Data = Bytes> + Unpin> Next<B> {
    fn of(response: Response<B>, lease: Lease, sent: &Sent) -> Self {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let (head, body) = response.into_parts();
            return Self::Read(Reading::by_status(head, body, lease));
        }
        if response.body().is_end_stream() {
            return Self::Pass(response, lease, None);
        }
        match tap(&lease, &response, sent.streamed) {
            Some(tap) if *tap.stage() == Stage::Prelude => {
                let (head, body) = response.into_parts();
                Self::Hold(Held::new(head, body, lease, tap, &sent.options))
            }
            tap => Self::Pass(response, lease, tap),
        }
    }
}

/// Whether the time is over; it begins now, if it has not begun yet.
fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    time: impl FnOnce() -> Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if timer.is_none() {
        timer.set(Some(sleep(time())));
    }
    timer.as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(cx))
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
