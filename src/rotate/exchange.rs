//! From the call to the response: puts the key in, sends the request, and judges the response before the
//! caller sees it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use crate::{Lease, provider::Ruling};

use super::{
    body::{ResponseBody, Stage, Tap},
    request::RequestContext,
    response::{self, HeldStream, RefusalReader},
};

pin_project! {
    /// A request that was sent, and its response as far as it must be known to judge it.
    pub(crate) struct Exchange<F, B>
    where
        B: Body,
    {
        #[pin]
        state: State<F, B>,
        // The time that the current state may still take.
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
        // Waits for the response. Without a lease, nothing is learned from it.
        Calling { #[pin] call: F, lease: Option<Lease> },
        // Holds a stream back until its first content.
        Holding { held: Option<HeldStream<B>> },
        // Reads the body of a refusal.
        Reading { reader: Option<RefusalReader<B>> },
        Done,
    }
}

impl<F, B: Body> Exchange<F, B> {
    /// Puts the key of a lease into a request and sends it with a service that is ready. A request that
    /// cannot be redirected to where its key is sent goes out without a key, and the lease gives back
    /// what it reserved.
    pub(crate) fn send<S, A>(
        service: &mut S,
        mut request: Request<A>,
        lease: Lease,
        context: &mut RequestContext,
    ) -> Self
    where
        S: Service<Request<A>, Future = F>,
        A: 'static,
    {
        context.ask_usage(&mut request);
        let lease = lease.put_key_into(&mut request);
        let call = service.call(request);
        let timer = lease.as_ref().and_then(|_| context.first_token_timer());
        Self { state: State::Calling { call, lease }, timer }
    }

    /// A request that was sent without a key.
    pub(super) fn without_key(call: F) -> Self {
        Self { state: State::Calling { call, lease: None }, timer: None }
    }
}

impl<F, B> Exchange<F, B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The response, once it is judged.
    ///
    /// Cancel safety: it can be dropped at any point. A request that was sent keeps its charge.
    pub(crate) fn poll<E>(
        self: Pin<&mut Self>,
        context: &RequestContext,
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
                        return Poll::Ready(Ok(response::late(context, lease)));
                    };
                    let lease = lease.take();
                    this.state.set(State::Done);
                    match (result, lease) {
                        (result, None) => return Poll::Ready(result.map(response::without_key)),
                        (Err(error), Some(lease)) => {
                            context.call_failed(lease);
                            return Poll::Ready(Err(error));
                        }
                        (Ok(response), Some(lease)) => match Next::of(response, lease, context) {
                            Next::Read(reader) => {
                                this.timer.set(None);
                                State::Reading { reader: Some(reader) }
                            }
                            Next::Hold(held) => State::Holding { held: Some(held) },
                            Next::Pass(response, lease) => {
                                let response = response::accepted(context, response, lease);
                                return Poll::Ready(Ok(response));
                            }
                        },
                    }
                }
                StateProj::Holding { held: parked } => {
                    let Some(held) = parked else { return Poll::Pending };
                    let (stage, ruling) = match held.poll(cx) {
                        Poll::Ready(stage) => (stage, Ruling::accepted()),
                        Poll::Pending => {
                            let options = &context.options;
                            let time = options.time_to_first_content();
                            ready!(poll_timer(this.timer.as_mut(), time, cx));
                            (Stage::Begun, held.expire(options))
                        }
                    };
                    let Some(held) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    let Stage::Failed(ruling) = stage else {
                        return Poll::Ready(Ok(response::stream(context, held, ruling)));
                    };
                    this.timer.set(None);
                    State::Reading { reader: Some(held.fail(*ruling)) }
                }
                StateProj::Reading { reader: parked } => {
                    let Some(reader) = parked else { return Poll::Pending };
                    if reader.poll(cx).is_pending() {
                        ready!(poll_timer(this.timer.as_mut(), reader.timeout(), cx));
                    }
                    let Some(reader) = parked.take() else { return Poll::Pending };
                    this.state.set(State::Done);
                    return Poll::Ready(Ok(response::refusal(context, reader)));
                }
                // It was polled again after it was ready.
                StateProj::Done => return Poll::Pending,
            };
            this.state.set(next);
        }
    }
}

/// What is to be done with a response.
enum Next<B: Body> {
    /// Its status is that of a refusal: its body says why.
    Read(RefusalReader<B>),
    /// It is a stream, in which an error may come.
    Hold(HeldStream<B>),
    /// It is passed on at once.
    Pass(Response<B>, Lease),
}

impl<B: Body<Data = Bytes> + Unpin> Next<B> {
    fn of(response: Response<B>, lease: Lease, context: &RequestContext) -> Self {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let (head, body) = response.into_parts();
            return Self::Read(RefusalReader::by_status(head, body, lease));
        }
        match Tap::of_stream(&lease, &response, context.is_stream) {
            Some(tap) => {
                let (head, body) = response.into_parts();
                Self::Hold(HeldStream::new(head, body, lease, tap, &context.options))
            }
            None => Self::Pass(response, lease),
        }
    }
}

/// Ready when the time is over. It begins with the first poll, unless the timer was set before.
fn poll_timer(
    mut timer: Pin<&mut Option<Sleep>>,
    time: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if timer.is_none() {
        timer.set(Some(sleep(time)));
    }
    timer.as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(cx))
}
