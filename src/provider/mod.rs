//! Dialects: how a key is sent, how limits are told, how failures are read.
//!
//! A [`Provider`] is a set of plain functions from what is on the wire to the words of this crate. It
//! holds no state and does no I/O. Four dialects are built in; [`Generic`] serves any API that takes
//! a key in a header and refuses with the usual status codes.
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderMap, StatusCode};
//! use tower_key_rotation::{provider::{Answer, OpenAi, Provider}, Verdict};
//!
//! let headers = HeaderMap::new();
//! let answer = Answer {
//!     status: StatusCode::TOO_MANY_REQUESTS,
//!     headers: &headers,
//!     body: br#"{"error":{"type":"insufficient_quota"}}"#,
//!     now: SystemTime::UNIX_EPOCH,
//! };
//! assert!(matches!(OpenAi::default().classify(&answer), Verdict::QuotaExhausted { .. }));
//! ```

mod anthropic;
mod by_status;
mod clock;
mod duration;
mod error_body;
mod gemini;
mod generic;
mod ietf;
mod in_stream;
mod limit_headers;
mod openai;
mod request_body;
mod retry_after;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

pub use self::{
    anthropic::Anthropic, gemini::Gemini, generic::Generic, in_stream::LateError, openai::OpenAi,
};
pub use crate::stream::{Framing, StreamEvent};
use crate::{Exhausted, Scope, Usage, demand::Estimate, limit::Metered, verdict::Verdict};

/// A request as a provider sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URI.
    pub uri: &'a Uri,
    /// The headers, the caller's own credentials among them.
    pub headers: &'a HeaderMap,
    /// The body, empty where it has not been buffered.
    pub body: &'a [u8],
}

/// A response as a provider sees it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The first 64 KiB of a refusal's body as sent; empty for other responses.
    pub body: &'a [u8],
    /// When it arrived, by our clock. A provider's own clock (`date`) goes before it.
    pub now: SystemTime,
}

/// One line of what a response tells about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is limited.
    pub metered: Metered,
    /// Of what: the account as a whole, or the account for the model of the request.
    pub scope: Scope,
    /// How the allowance comes back.
    pub refill: Refill,
    /// Per how long, where the response says so.
    pub period: Option<Duration>,
    /// The whole allowance.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// When the whole allowance is back, counted from the arrival of the response.
    pub reset: Option<Duration>,
}

impl Reading {
    /// A reading that tells nothing yet.
    #[must_use]
    pub fn new(metered: Metered, scope: Scope, refill: Refill) -> Self {
        Self { metered, scope, refill, period: None, limit: None, remaining: None, reset: None }
    }
}

/// How an allowance comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refill {
    /// All the time. The reset is when the allowance is whole if nothing more is taken of it, so that
    /// what was used, divided by it, is the rate.
    Rolling,
    /// Whole at once, at the reset.
    Fixed,
}

/// How a key travels in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carrier {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// The key alone in a header of its own.
    Header(HeaderName),
}

/// A dialect.
///
/// Every function is called on the path of a request: none may block, and none may panic on
/// anything a provider or caller can send.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// A short lower-case name, such as `openai`.
    fn name(&self) -> &str;

    /// Scheme, host and port that keys may be sent to, such as `https://api.openai.com`.
    fn origin(&self) -> &str;

    /// The ways a key is sent, the usual one first; at least one.
    fn carriers(&self) -> &[Carrier];

    /// Which of [`carriers`](Self::carriers) a request takes, as an index; 0 by default.
    fn carrier(&self, uri: &Uri) -> usize {
        let _ = uri;
        0
    }

    /// The query parameter in which callers may send a key of their own, to be removed.
    fn query_carrier(&self) -> Option<&str> {
        None
    }

    /// Reads what a request asks for.
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a>;

    /// Judges a response with a status of 400 or above.
    fn classify(&self, answer: &Answer<'_>) -> Verdict;

    /// Reads what a response tells about limits, one call of `report` for each.
    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading));

    /// How to read the body of a response that began well, if errors may come in it; `None` by default:
    /// they do not, and it is passed on unread.
    ///
    /// `streamed` says whether the request asked for a stream, as far as [`estimate`](Self::estimate)
    /// could tell.
    fn framing(&self, headers: &HeaderMap, streamed: bool) -> Option<Framing> {
        let _ = (headers, streamed);
        None
    }

    /// Whether an event of a stream is nothing that anybody waits for, such as Anthropic's `ping`; not by
    /// default. What comes before the first event that is more may still be taken back.
    fn is_prelude(&self, event: &StreamEvent<'_>) -> bool {
        let _ = event;
        false
    }

    /// Whether an event is the last of its stream, such as `[DONE]`; not by default. What was used is
    /// known by then, also if the rest is not read.
    fn is_end(&self, event: &StreamEvent<'_>) -> bool {
        let _ = event;
        false
    }

    /// The error that an event of a stream tells of, as the response that it would have been, had it
    /// come in time; none by default. [`classify`](Self::classify) judges it.
    ///
    /// It is asked about every event of a stream, and has to be quick where there is no error.
    fn late_error<'a>(&self, event: &StreamEvent<'a>) -> Option<LateError<'a>> {
        let _ = event;
        None
    }

    /// Whether a response that began well tells what was used, in one of the shapes that
    /// [`UsageReader`](crate::usage::UsageReader) knows; not by default.
    fn tells_usage(&self, headers: &HeaderMap) -> bool {
        let _ = headers;
        false
    }

    /// The body of a request for a stream, with its usage asked for; none by default, and where it need
    /// not be asked for, or the caller has said whether to. It is called for requests for streams only.
    fn ask_usage(&self, call: &Call<'_>) -> Option<Bytes> {
        let _ = call;
        None
    }

    /// Whether an event is there for its usage alone; not by default. It is left out where the caller
    /// did not ask for it.
    fn is_usage_alone(&self, event: &StreamEvent<'_>) -> bool {
        let _ = event;
        false
    }

    /// How many tokens of a prompt count towards limits; all by default.
    fn counted_input(&self, usage: &Usage) -> u64 {
        usage.all_input()
    }

    /// Whether a limit on tokens gets back what a request turned out not to need; not by default.
    fn gives_back(&self) -> bool {
        false
    }

    /// Whether a request may be sent again after a broken connection or a 5xx, when the provider
    /// may have begun to work on it.
    fn may_repeat(&self, method: &Method) -> bool;

    /// The body of the answer when no key is left, in the provider's own error shape (JSON).
    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes;
}
