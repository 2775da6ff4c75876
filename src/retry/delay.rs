//! The pause before another attempt.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(8);

pin_project! {
    /// The pause before another attempt; none when it is made with another key.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryDelay {
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl RetryDelay {
    pub(super) fn none() -> Self {
        Self { sleep: None }
    }

    /// Exponential backoff with jitter: doubles from 250 ms to 8 s; each pause is 50-100 % of that.
    pub(super) fn backoff(retry: u32) -> Self {
        let longest = FIRST_PAUSE.saturating_mul(1 << retry.min(16)).min(MAX_PAUSE);
        Self { sleep: Some(sleep(longest.mul_f64(0.5 + fastrand::f64() / 2.0))) }
    }
}

impl Future for RetryDelay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = self.project().sleep.as_pin_mut() {
            ready!(sleep.poll(cx));
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for RetryDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryDelay").field("pauses", &self.sleep.is_some()).finish()
    }
}
