//! The layer.

use std::time::Duration;

use tower_layer::Layer;

use crate::KeyPool;

use super::{options::Options, service::KeyRotation};

/// Wraps services in [`KeyRotation`]. All state is in the pool: services made by several layers over
/// one pool share its limits.
#[derive(Clone, Debug)]
#[must_use]
pub struct KeyRotationLayer {
    pool: KeyPool,
    options: Options,
}

impl KeyRotationLayer {
    /// A layer over a pool.
    pub fn new(pool: &KeyPool) -> Self {
        Self { pool: pool.clone(), options: Options::default() }
    }

    /// Whether accepted responses carry [`KeyUsed`](crate::KeyUsed) in their extensions; they do by
    /// default. It is all that this layer allocates on its fast path. Refusals carry it always.
    pub fn annotate(mut self, annotate: bool) -> Self {
        self.options.annotate = annotate;
        self
    }

    /// Whether streams that tell their usage only to those who ask are asked; not by default.
    ///
    /// OpenAI and many who speak so want `stream_options.include_usage` in the request
    /// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options>). It is
    /// put into bodies that are a [`ReplayBody`](crate::ReplayBody) and say nothing of it, and
    /// `accept-encoding` is left out. The chunk that comes of it, the last of the stream and without
    /// choices, is then not passed on; other chunks come with a `usage` of null. To be able to leave
    /// it out, each event is passed on once its end has come.
    pub fn ask_usage(mut self, ask: bool) -> Self {
        self.options.ask_usage = ask;
        self
    }

    /// How long the head of a stream is held back at most until something comes that its caller waits
    /// for, so that an error that comes first can go to another key unseen; 2 s by default, and zero
    /// for not at all.
    ///
    /// What comes before (openings, pings, comments) is held with it, up to 64 KiB. Then everything
    /// flows: nothing is held back after the first content, or after this time. It is for dialects
    /// that tell errors in their streams ([`Provider::framing`](crate::provider::Provider::framing));
    /// other answers, and streams that are compressed otherwise than with gzip, deflate or brotli, pass at once.
    pub fn hold_back(mut self, time: Duration) -> Self {
        self.options.hold_back = time;
        self
    }

    /// How long the first content of a stream may take; off by default.
    ///
    /// It is counted from the moment that the request is sent, if its body tells that it asks for a
    /// stream, else from the head of the response. The head is held back as long, in place of
    /// [`hold_back`](Self::hold_back). A stream that is late counts as
    /// [`Transient`](crate::Verdict::Transient), so that it goes to another key if the request may be
    /// repeated; if it is not repeated, its caller gets it as it is, to wait on. Where not even a
    /// head has come, the answer is a 504 in the dialect's shape.
    pub fn first_token(mut self, time: Duration) -> Self {
        self.options.first_token = Some(time);
        self
    }

    /// How long a stream may stop between two pieces of it; off by default.
    ///
    /// A stream that stops for longer counts as [`Transient`](crate::Verdict::Transient), its lease is
    /// freed, and it ends with an error event: see [`ResponseBody`](super::ResponseBody). The time is
    /// counted while the caller waits for a piece, so a slow reader is no slow provider.
    pub fn idle(mut self, time: Duration) -> Self {
        self.options.idle = Some(time);
        self
    }
}

#[cfg(feature = "balance")]
impl KeyRotationLayer {
    pub(crate) fn options(&self) -> Options {
        self.options
    }
}

impl<S> Layer<S> for KeyRotationLayer {
    type Service = KeyRotation<S>;

    fn layer(&self, inner: S) -> KeyRotation<S> {
        KeyRotation::of(inner, self.pool.clone(), self.options)
    }
}
