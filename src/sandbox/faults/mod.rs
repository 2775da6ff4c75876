//! What can be made to go wrong.

mod queue;
mod set;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

pub(super) use set::{Faults, Struck};

use crate::sandbox::refusal::Refusal;

/// Something that goes wrong, for [`Sandbox::fail`](crate::sandbox::Sandbox::fail).
///
/// Some faults last until [`Fault::restore`], or for a time; others strike the next `n` requests.
/// Where several would strike one request, the lasting ones go first, then those that wait in line.
#[must_use]
pub struct Fault(Kind);

enum Kind {
    Revoke(String),
    Forbid(String, String),
    ForbidPath(String, String),
    Exhaust(String),
    Cool(String, Duration),
    OverloadModel(String, Duration),
    Outage(Duration),
    RejectHeader(String, String),
    Restore(String),
    Refuse(Refusal, u64),
    Answer(Box<Response<Bytes>>, u64),
    Connections(u64),
    Slow(Duration, u64),
    Stream(StreamFault, u64),
}

/// A stream that goes wrong before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFault {
    /// The body fails after so many events.
    Cut(u64),
    /// An error event follows so many events, and nothing else.
    Error(u64),
    /// The same, and it says that the account has no quota left.
    Exhausted(u64),
    /// Nothing comes for a time after so many events.
    Stall(u64, Duration),
}

impl Fault {
    /// The secret is unknown from now on (401; Gemini: 400).
    pub fn revoke(secret: impl Into<String>) -> Self {
        Self(Kind::Revoke(secret.into()))
    }

    /// The secret may not use the model (403).
    pub fn forbid_model(secret: impl Into<String>, model: impl Into<String>) -> Self {
        Self(Kind::Forbid(secret.into(), model.into()))
    }

    /// The secret is restricted: it may not be used for paths that contain this part (OpenAI: 401 "Missing
    /// scopes"; Anthropic and Gemini: 403).
    pub fn forbid_path(secret: impl Into<String>, path_part: impl Into<String>) -> Self {
        Self(Kind::ForbidPath(secret.into(), path_part.into()))
    }

    /// The account has no quota left (OpenAI: 429 `insufficient_quota`; Anthropic: 400, credit too
    /// low; Gemini: 429, quota per day).
    pub fn exhaust(account: impl Into<String>) -> Self {
        Self(Kind::Exhaust(account.into()))
    }

    /// The account is refused with 429 for this time, and told how much of it is left.
    pub fn cool(account: impl Into<String>, time: Duration) -> Self {
        Self(Kind::Cool(account.into(), time))
    }

    /// Requests for the model find the provider overloaded for this time (503; Anthropic: 529), whatever
    /// their key. Other models are served.
    pub fn overload_model(model: impl Into<String>, time: Duration) -> Self {
        Self(Kind::OverloadModel(model.into(), time))
    }

    /// No key is known for this time (401; Gemini: 400). Then all is as before.
    pub fn outage(time: Duration) -> Self {
        Self(Kind::Outage(time))
    }

    /// Requests with such a header, whose value contains this part, are at fault from now on and refused
    /// with every key (OpenAI: 401 `invalid_organization`; Anthropic: 400; Gemini: 403
    /// `USER_PROJECT_DENIED`). The refusal repeats the value.
    pub fn reject_header(name: impl Into<String>, value_part: impl Into<String>) -> Self {
        Self(Kind::RejectHeader(name.into(), value_part.into()))
    }

    /// Ends every lasting fault of the secret or the account of this name.
    pub fn restore(secret_or_account: impl Into<String>) -> Self {
        Self(Kind::Restore(secret_or_account.into()))
    }

    /// The next `n` requests find the provider overloaded (503; Anthropic: 529).
    pub fn overload(n: u64) -> Self {
        Self(Kind::Refuse(Refusal::Overloaded, n))
    }

    /// The next `n` requests are answered with this status and an error body.
    pub fn error(status: StatusCode, n: u64) -> Self {
        Self(Kind::Refuse(Refusal::Error(status), n))
    }

    /// The next `n` requests with a known secret are answered with exactly this, whatever they ask for and
    /// whatever else is wrong. `date` is added if it has none.
    pub fn answer(response: Response<Bytes>, n: u64) -> Self {
        Self(Kind::Answer(Box::new(response), n))
    }

    /// The next `n` calls end in
    /// [`SandboxError::ConnectionRefused`](crate::sandbox::SandboxError::ConnectionRefused).
    pub fn refuse_connections(n: u64) -> Self {
        Self(Kind::Connections(n))
    }

    /// The next `n` responses come this much later, whatever they are.
    pub fn slow(time: Duration, n: u64) -> Self {
        Self(Kind::Slow(time, n))
    }

    /// The next `n` streams fail with
    /// [`SandboxError::StreamCut`](crate::sandbox::SandboxError::StreamCut) after so many events,
    /// where they have more. Every event counts, also those that carry no text.
    pub fn cut_streams(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Cut(after_events), n))
    }

    /// The next `n` streams, begun with a 200, end in an error event after so many events, where
    /// they have more. Every event counts, also those that carry no text.
    pub fn stream_error(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Error(after_events), n))
    }

    /// The next `n` streams, begun with a 200, end after so many events in an error event that says that
    /// the account has no quota left, in the words of [`exhaust`](Self::exhaust).
    pub fn stream_exhausted(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Exhausted(after_events), n))
    }

    /// The next `n` streams stop for this long after so many events, and then go on.
    pub fn stall_streams(after_events: u64, time: Duration, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Stall(after_events, time), n))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Revoke(_) => f.write_str("Revoke(..)"),
            Kind::Forbid(_, model) => write!(f, "ForbidModel(.., {model:?})"),
            Kind::ForbidPath(_, part) => write!(f, "ForbidPath(.., {part:?})"),
            Kind::Exhaust(account) => write!(f, "Exhaust({account:?})"),
            Kind::Cool(account, time) => write!(f, "Cool({account:?}, {time:?})"),
            Kind::OverloadModel(model, time) => write!(f, "OverloadModel({model:?}, {time:?})"),
            Kind::Outage(time) => write!(f, "Outage({time:?})"),
            Kind::RejectHeader(name, _) => write!(f, "RejectHeader({name:?}, ..)"),
            // It may be a secret.
            Kind::Restore(_) => f.write_str("Restore(..)"),
            Kind::Refuse(refusal, n) => write!(f, "{refusal:?} x {n}"),
            Kind::Answer(response, n) => write!(f, "Answer({}) x {n}", response.status()),
            Kind::Connections(n) => write!(f, "RefuseConnections x {n}"),
            Kind::Slow(time, n) => write!(f, "Slow({time:?}) x {n}"),
            Kind::Stream(fault, n) => write!(f, "Stream{fault:?} x {n}"),
        }
    }
}
