//! What the layer is told.

use std::time::Duration;

/// What the layer is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whether accepted responses tell the key that was used.
    pub(super) annotate: bool,
    /// Whether streams are asked for their usage.
    pub(super) ask_usage: bool,
    /// How long a stream is waited for until something comes that its caller waits for; its head is
    /// held back as long.
    pub(super) hold_back: Duration,
    /// Until then it is held back, if set, and then it counts as failed.
    pub(super) first_token: Option<Duration>,
    /// How long it may stop between two pieces of it.
    pub(super) idle: Option<Duration>,
}

impl Options {
    /// How long the head of a stream is held back.
    pub(super) fn patience(&self) -> Duration {
        self.first_token.unwrap_or(self.hold_back)
    }
}

impl Default for Options {
    fn default() -> Self {
        let hold_back = Duration::from_secs(2);
        Self { annotate: true, ask_usage: false, hold_back, first_token: None, idle: None }
    }
}
