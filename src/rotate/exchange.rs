//! From the call to the response: what comes back is judged before anybody else sees it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use crate::{Lease, Ruling};

use super::{
    body::{ResponseBody, Stage, Tap},
    response::{Held, Reading, Sent},
};

pin_project! {
    /// A call that was made, and its answer as far as it has to be known.
    pub(crate) struct Answering<F, B>
    where
        B: Body,
    {
        #[pin]
        state: State<F, B>,
        // For what comes of the response, as long as the state has patience.
        #[pin]
        timer: Option<Sleep>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B>
    where
        B: Body,
    {
        // For the response. Without a lease the request leads elsewhere.
        Calling { #[pin] call: F, lease: Option<Lease> },
        // For something in a stream that its caller waits for.
        Holding { held: Option<Held<B>> },
        // For the body of a refusal.
        Reading { reading: Option<Reading<B>> },
        Done,
    }
}

impl<F, B: Body> Answering<F, B> {
    /// For a call that was made just now. Without a lease, nothing is learnt from its answer.
    pub(crate) fn new(call: F, lease: Option<Lease>, sent: &Sent) -> Self {
        let timer = lease.as_ref().and_then(|_| sent.first_token());
        Self { state: State::Calling { call, lease }, timer }
    }
}

impl<F, B> Answering<F, B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Cancel safety: it may be dropped at any point; a request that was sent keeps its charge.
    pub(crate) fn poll<E>(
        self: Pin<&mut Self>,
        sent: &Sent,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResponseBody<B>>, E>>
    where
        F: Future<Output = Result<Response<B>, E>>,
    {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { call, lease } => {
                    let Poll::Ready(result) = call.poll(cx) else {
                        let Some(timer) = this.timer.as_mut().as_pin_mut() else {
                            return Poll::Pending;
                        };
                        ready!(timer.poll(cx));
                        let lease = lease.take();
                        this.state.set(State::Done);
                        return Poll::Ready(Ok(sent.unanswered(lease)));
                    };
                    let lease = lease.take();
                    this.state.set(State::Done);
                    match (result, lease) {
                        (result, None) => return Poll::Ready(result.map(|r| sent.pass(r))),
                        (Err(error), Some(lease)) => {
                            sent.failed(lease);
                            return Poll::Ready(Err(error));
                        }
                        (Ok(response), Some(lease)) => match Next::of(response, lease, sent) {
                            Next::Read(reading) => {
                                this.timer.set(None);
                                State::Reading { reading: Some(reading) }
                            }
                            Next::Hold(held) => State::Holding { held: Some(held) },
                            Next::Pass(response, lease) => {
                                return Poll::Ready(Ok(sent.accepted(response, lease)));
                            }
                        },
                    }
                }
                StateProj::Holding { held: parked } => {
                    let Some(held) = parked else { return Poll::Pending };
                    let (stage, ruling) = match held.poll(cx) {
                        Poll::Ready(stage) => (stage, Ruling::accepted()),
                        Poll::Pending => {
                            let options = &sent.options;
                            ready!(poll_timer(this.timer.as_mut(), || options.patience(), cx));
                            (Stage::Begun, held.expire(options))
                        }
                    };
                    let Some(held) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    let Stage::Failed(ruling) = stage else {
                        return Poll::Ready(Ok(sent.streamed(held, ruling)));
                    };
                    this.timer.set(None);
                    State::Reading { reading: Some(held.fail(*ruling)) }
                }
                StateProj::Reading { reading: parked } => {
                    let Some(reading) = parked else { return Poll::Pending };
                    if reading.poll(cx).is_pending() {
                        ready!(poll_timer(this.timer.as_mut(), || reading.patience(), cx));
                    }
                    let Some(reading) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    return Poll::Ready(Ok(sent.refused(reading)));
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
    Pass(Response<B>, Lease),
}

impl<B: Body<Data = Bytes> + Unpin> Next<B> {
    fn of(response: Response<B>, lease: Lease, sent: &Sent) -> Self {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let (head, body) = response.into_parts();
            return Self::Read(Reading::by_status(head, body, lease));
        }
        match Tap::of_stream(&lease, &response, sent.streamed) {
            Some(tap) => {
                let (head, body) = response.into_parts();
                Self::Hold(Held::new(head, body, lease, tap, &sent.options))
            }
            None => Self::Pass(response, lease),
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
