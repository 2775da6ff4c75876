//! A stream that stops in the middle.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Exhausted, error::Reason, provider::Provider};

/// Measures how long the caller has waited for the next piece. The time that a slow caller takes before it
/// asks for the piece does not count.
#[derive(Debug)]
pub(in crate::rotate) struct IdleTimer {
    timeout: Duration,
    /// When the piece that the caller waits for is late.
    deadline: Option<Instant>,
    /// Boxed, so that the body can be moved. It is set again when it fires, and not for each piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    pub(in crate::rotate) fn new(timeout: Duration) -> Self {
        Self { timeout, deadline: None, timer: None }
    }

    /// A piece has come.
    pub(super) fn stop(&mut self) {
        self.deadline = None;
    }

    /// The caller has asked for a piece that has not come. Ready when it is late.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.timeout);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// The last event of a stream of events that has stopped: an error in the provider's own shape. It is an
/// event of its own even if the stream stopped in the middle of one.
pub(super) fn timeout_event(provider: &dyn Provider) -> Bytes {
    let error = provider.refusal_body(&Exhausted::new(Reason::TimedOut, None));
    let mut event = BytesMut::from(&b"\n\nevent: error\ndata: "[..]);
    event.extend_from_slice(&error);
    event.extend_from_slice(b"\n\n");
    event.freeze()
}
