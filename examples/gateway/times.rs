//! Measures the time of a request: in the queue, in calls, and in pauses between attempts.
//!
//! The library reports how long each attempt waited. It does not report attempts that failed in the queue or
//! whose caller hung up, nor the pauses of the retry policy. So one layer above the rotation notes when
//! attempts start and end, and another layer below it notes when a request is sent.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::Request;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

/// The time of one request: an extension of it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Arc<Mutex<Clock>>);

#[derive(Debug, Default)]
struct Clock {
    spent: Spent,
    /// The current phase, and its start.
    running: Option<(Part, Instant)>,
}

/// The time that was spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// In the queue for keys, over all attempts.
    pub(crate) line: Duration,
    /// From sending to the head of the answer, and as much of its body as was read to judge it.
    pub(crate) calls: Duration,
    /// Between attempts.
    pub(crate) pauses: Duration,
    /// The number of calls.
    pub(crate) made: u32,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Line,
    Call,
    Pause,
}

impl Times {
    /// Notes that the answer has come. The time since the last attempt was no pause before another attempt.
    pub(crate) fn answered(&self) {
        let mut clock = self.clock();
        clock.running.take_if(|(part, _)| matches!(part, Part::Pause));
        clock.turn(None);
    }

    /// Notes that the caller has hung up.
    pub(crate) fn given_up(&self) {
        self.clock().turn(None);
    }

    pub(crate) fn spent(&self) -> Spent {
        self.clock().spent
    }

    fn turn(&self, part: Part) {
        self.clock().turn(Some(part));
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn turn(&mut self, next: Option<Part>) {
        let now = Instant::now();
        let Self { spent, running } = self;
        if let Some((part, since)) = running.take() {
            *match part {
                Part::Line => &mut spent.line,
                Part::Call => &mut spent.calls,
                Part::Pause => &mut spent.pauses,
            } += now - since;
        }
        *running = next.map(|next| (next, now));
    }
}

/// Notes that a request is sent: it has a key.
pub(crate) fn sent<B>(request: Request<B>) -> Request<B> {
    if let Some(times) = request.extensions().get::<Times>() {
        let mut clock = times.clock();
        clock.turn(Some(Part::Call));
        clock.spent.made += 1;
    }
    request
}

/// Notes when attempts begin and end.
#[derive(Clone, Debug)]
pub(crate) struct Timed<S>(S);

impl<S> Timed<S> {
    pub(crate) fn new(attempts: S) -> Self {
        Self(attempts)
    }
}

impl<S, B> Service<Request<B>> for Timed<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TimedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let attempt = request.extensions().get::<Times>().cloned().map(Attempt::begin);
        TimedFuture { answer: self.0.call(request), attempt }
    }
}

pin_project! {
    pub(crate) struct TimedFuture<F> {
        #[pin]
        answer: F,
        attempt: Option<Attempt>,
    }
}

impl<F: Future> Future for TimedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.answer.poll(cx));
        *this.attempt = None;
        Poll::Ready(output)
    }
}

/// An attempt, until it is dropped. After that comes a pause, unless the request is over.
struct Attempt(Times);

impl Attempt {
    fn begin(times: Times) -> Self {
        times.turn(Part::Line);
        Self(times)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.turn(Part::Pause);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_after_the_last_attempt_is_no_pause() {
        let (times, millis) = (Times::default(), Duration::from_millis);
        for (line, call, after) in [(1, 20, 300), (4_000, 50, 600_000)] {
            let attempt = Attempt::begin(times.clone());
            advance(millis(line)).await;
            let mut request = Request::new(());
            request.extensions_mut().insert(times.clone());
            sent(request);
            advance(millis(call)).await;
            drop(attempt);
            advance(millis(after)).await;
        }
        times.answered();
        advance(millis(70_000)).await;
        times.given_up();
        let (line, calls, pauses) = (millis(4_001), millis(70), millis(300));
        assert_eq!(times.spent(), Spent { line, calls, pauses, made: 2 });
    }
}
