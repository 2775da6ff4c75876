//! The options of the middleware, and the setters that its layer and its service share.

use std::time::Duration;

/// The options of the middleware; each is explained at its setter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) annotate: bool,
    pub(crate) ask_usage: bool,
    pub(crate) hold_back_timeout: Duration,
    pub(crate) first_token_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
}

impl Options {
    /// How long the head of a stream is held back at most.
    pub(super) fn time_to_first_content(&self) -> Duration {
        self.first_token_timeout.unwrap_or(self.hold_back_timeout)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            annotate: true,
            ask_usage: false,
            hold_back_timeout: Duration::from_secs(2),
            first_token_timeout: None,
            idle_timeout: None,
        }
    }
}

/// Defines the setters of a layer or a service that has a field `options`.
macro_rules! define_option_setters {
    () => {
        /// Sets whether accepted responses carry [`KeyUsed`](crate::KeyUsed) in their extensions; on by
        /// default. Refusals always carry it.
        ///
        /// It is the only allocation that this middleware makes for a request that is admitted at once.
        pub fn annotate(mut self, annotate: bool) -> Self {
            self.options.annotate = annotate;
            self
        }

        /// Sets whether to ask for the usage of streams that report it only on request; off by default.
        ///
        /// OpenAI and many compatible providers want `stream_options.include_usage` in the request
        /// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options>).
        /// It is added to bodies that are a [`ReplayBody`](crate::ReplayBody) and do not set it, and
        /// `accept-encoding` is removed. The chunks that the provider adds for it, with usage and without
        /// choices, are not passed on; other chunks come with a `usage` of null. To leave them out, each
        /// event of up to 64 KiB is passed on only when its end has come, the response has no
        /// `content-length`, and a stream that is compressed nevertheless is passed on unpacked (with the
        /// feature `compression`).
        ///
        /// A provider that refuses the member is not asked for the next 10 minutes, by any service of the
        /// pool. [`QuotaAwareRetry`](crate::QuotaAwareRetry) sends the refused request again without it;
        /// otherwise its caller gets the refusal.
        pub fn ask_usage(mut self, ask_usage: bool) -> Self {
            self.options.ask_usage = ask_usage;
            self
        }

        /// Sets how long the head of a stream is held back until its first content; 2 s by default, and zero
        /// passes it on at once. While it is held back, the request can go to another key if the stream
        /// begins with an error.
        ///
        /// Everything before the first content (openings, pings, comments) is held back with the head,
        /// up to 64 KiB. After the first content, or after this time, everything is passed on at once.
        /// It applies to dialects that put errors into their streams
        /// ([`Provider::framing`](crate::provider::Provider::framing)). Other answers are passed on at
        /// once, and so are streams with another compression than gzip, deflate or brotli, and all
        /// compressed ones without the feature `compression`.
        pub fn hold_back_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.hold_back_timeout = timeout;
            self
        }

        /// Sets how long the first content of a stream may take; unlimited by default.
        ///
        /// The time begins when the request is sent if its body asks for a stream, otherwise with the
        /// head of the response. The head is held back for this time instead of
        /// [`hold_back_timeout`](Self::hold_back_timeout).
        ///
        /// A stream that is late counts as [`Transient`](crate::Verdict::Transient), so that the retry
        /// policy sends the request with another key if it may be repeated. If it is not repeated, the
        /// caller gets the stream as it is, and goes on waiting. If not even a head has come, the
        /// response is a 504 in the provider's error shape.
        pub fn first_token_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.first_token_timeout = Some(timeout);
            self
        }

        /// Sets how long a stream may stop between two of its pieces; unlimited by default.
        ///
        /// A stream that stops for longer counts as [`Transient`](crate::Verdict::Transient), its lease ends,
        /// and it ends with an error event: see [`ResponseBody`](crate::rotate::ResponseBody). The time
        /// counts only while the caller waits for a piece, so a slow reader is not mistaken for a slow
        /// provider.
        pub fn idle_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.idle_timeout = Some(timeout);
            self
        }
    };
}

pub(crate) use define_option_setters;
