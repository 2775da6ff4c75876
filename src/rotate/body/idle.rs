//! A stream that stops in the middle.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Exhausted, Reason, provider::Provider};

/// Measures how long the next piece has been waited for. A caller who is slow to ask for it does not
/// count.
#[derive(Debug)]
pub(in crate::rotate) struct Idle {
    most: Duration,
    /// When the piece that is being waited for is late.
    late: Option<Instant>,
    /// Boxed, so that the body can be moved. It is set once for each time that it fires, not for each
    /// piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    pub(in crate::rotate) fn new(most: Duration) -> Self {
        Self { most, late: None, timer: None }
    }

    /// A piece has come.
    pub(in crate::rotate) fn rest(&mut self) {
        self.late = None;
    }

    /// A piece was asked for, and has not come. Ready when it is late.
    pub(in crate::rotate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let late = *self.late.get_or_insert_with(|| Instant::now() + self.most);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(late)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= late {
                return Poll::Ready(());
            }
            timer.as_mut().reset(late);
        }
        Poll::Pending
    }
}

/// What a stream of events ends with when it has stopped: an error in the dialect's own shape, as an
/// event of its own even if it stopped in the middle of one.
pub(in crate::rotate) fn last_words(provider: &dyn Provider) -> Bytes {
    let error = provider.refusal_body(&Exhausted::new(Reason::TimedOut, None));
    let mut words = BytesMut::from(&b"\n\nevent: error\ndata: "[..]);
    words.extend_from_slice(&error);
    words.extend_from_slice(b"\n\n");
    words.freeze()
}
