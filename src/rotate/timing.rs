//! How long a stream is waited for.

use std::time::Duration;

/// How long a stream is waited for, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Until something comes that its caller waits for; its head is held back as long.
    pub(super) hold_back: Duration,
    /// Until then it is held back, if set, and then it counts as failed.
    pub(super) first_token: Option<Duration>,
    /// Between two pieces of it.
    pub(super) idle: Option<Duration>,
}

impl Timing {
    /// How long the head of a stream is held back.
    pub(super) fn patience(&self) -> Duration {
        self.first_token.unwrap_or(self.hold_back)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { hold_back: Duration::from_secs(2), first_token: None, idle: None }
    }
}
