//! A fault as a test describes it.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::sandbox::refusal::Refusal;

/// A failure to inject with [`Sandbox::fail`](crate::sandbox::Sandbox::fail).
///
/// Some faults last until [`Fault::restore`], or for a time. Others affect the next `n` requests. If
/// several faults apply to one request, lasting faults come first, then the oldest of the others.
#[must_use]
pub struct Fault(pub(super) Kind);

pub(super) enum Kind {
    Revoke(String),
    ForbidModel(String, String),
    ForbidPath(String, String),
    ExhaustQuota(String),
    RateLimit(String, Duration),
    OverloadModel(String, Duration),
    AuthOutage(Duration),
    RejectHeader(String, String),
    Restore(String),
    Refuse(Refusal, u64),
    RespondWith(Box<Response<Bytes>>, u64),
    RefuseConnections(u64),
    Delay(Duration, u64),
    Stream(StreamFault, u64),
}

/// How a stream fails before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum StreamFault {
    /// The body fails after this many events.
    Cut(u64),
    /// The stream ends in an error event after this many events.
    Error(u64),
    /// The same, and the error says that the account has no quota left.
    QuotaExhausted(u64),
    /// The stream pauses for a time after this many events.
    Stall(u64, Duration),
}

impl Fault {
    /// The secret is unknown from now on (401; Gemini: 400).
    pub fn revoke(secret: impl Into<String>) -> Self {
        Self(Kind::Revoke(secret.into()))
    }

    /// The secret may not use the model (403).
    pub fn forbid_model(secret: impl Into<String>, model: impl Into<String>) -> Self {
        Self(Kind::ForbidModel(secret.into(), model.into()))
    }

    /// The secret may not be used for paths that contain this part (OpenAI: 401 "Missing scopes";
    /// Anthropic and Gemini: 403).
    pub fn forbid_path(secret: impl Into<String>, path_part: impl Into<String>) -> Self {
        Self(Kind::ForbidPath(secret.into(), path_part.into()))
    }

    /// The account has no quota left (OpenAI: 429 `insufficient_quota`; Anthropic: 400, credit too
    /// low; Gemini: 429, quota per day).
    pub fn exhaust_quota(account: impl Into<String>) -> Self {
        Self(Kind::ExhaustQuota(account.into()))
    }

    /// The account is refused with 429 for this time. Each refusal states how much of the time is left.
    pub fn rate_limit(account: impl Into<String>, time: Duration) -> Self {
        Self(Kind::RateLimit(account.into(), time))
    }

    /// The model is overloaded for this time (503; Anthropic: 529), with every key. Other models are
    /// served.
    pub fn overload_model(model: impl Into<String>, time: Duration) -> Self {
        Self(Kind::OverloadModel(model.into(), time))
    }

    /// No key is known for this time (401; Gemini: 400): the provider cannot check keys.
    pub fn auth_outage(time: Duration) -> Self {
        Self(Kind::AuthOutage(time))
    }

    /// From now on, requests with this header and a value that contains this part are refused with
    /// every key (OpenAI: 401 `invalid_organization`; Anthropic: 400; Gemini: 403
    /// `USER_PROJECT_DENIED`). The refusal repeats the value.
    pub fn reject_header(name: impl Into<String>, value_part: impl Into<String>) -> Self {
        Self(Kind::RejectHeader(name.into(), value_part.into()))
    }

    /// Ends every lasting fault of this secret or account.
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

    /// The next `n` requests with a known secret get exactly this response. It comes before all other
    /// faults and checks. A `date` header is added if the response has none.
    pub fn respond_with(response: Response<Bytes>, n: u64) -> Self {
        Self(Kind::RespondWith(Box::new(response), n))
    }

    /// The next `n` calls end in
    /// [`SandboxError::ConnectionRefused`](crate::sandbox::SandboxError::ConnectionRefused).
    pub fn refuse_connections(n: u64) -> Self {
        Self(Kind::RefuseConnections(n))
    }

    /// The next `n` responses, refusals included, come this much later.
    pub fn delay(time: Duration, n: u64) -> Self {
        Self(Kind::Delay(time, n))
    }

    /// The next `n` streams fail with
    /// [`SandboxError::StreamCut`](crate::sandbox::SandboxError::StreamCut) after this many events, if
    /// they have more. Events without text count too.
    pub fn cut_streams(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Cut(after_events), n))
    }

    /// The next `n` streams start with a 200 and end in an error event after this many events, if they
    /// have more. Events without text count too.
    pub fn stream_error(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Error(after_events), n))
    }

    /// As [`stream_error`](Self::stream_error), but the error event says that the account has no quota
    /// left, as in the refusals of [`exhaust_quota`](Self::exhaust_quota).
    pub fn stream_quota_error(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::QuotaExhausted(after_events), n))
    }

    /// The next `n` streams pause for this time after this many events, and then continue.
    pub fn stall_streams(after_events: u64, time: Duration, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Stall(after_events, time), n))
    }
}

/// Shows no secret.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Revoke(_) => f.write_str("Revoke(..)"),
            Kind::ForbidModel(_, model) => write!(f, "ForbidModel(.., {model:?})"),
            Kind::ForbidPath(_, part) => write!(f, "ForbidPath(.., {part:?})"),
            Kind::ExhaustQuota(account) => write!(f, "ExhaustQuota({account:?})"),
            Kind::RateLimit(account, time) => write!(f, "RateLimit({account:?}, {time:?})"),
            Kind::OverloadModel(model, time) => write!(f, "OverloadModel({model:?}, {time:?})"),
            Kind::AuthOutage(time) => write!(f, "AuthOutage({time:?})"),
            Kind::RejectHeader(name, _) => write!(f, "RejectHeader({name:?}, ..)"),
            // The name may be a secret.
            Kind::Restore(_) => f.write_str("Restore(..)"),
            Kind::Refuse(refusal, n) => write!(f, "{refusal:?} x {n}"),
            Kind::RespondWith(response, n) => write!(f, "RespondWith({}) x {n}", response.status()),
            Kind::RefuseConnections(n) => write!(f, "RefuseConnections x {n}"),
            Kind::Delay(time, n) => write!(f, "Delay({time:?}) x {n}"),
            Kind::Stream(fault, n) => write!(f, "Stream{fault:?} x {n}"),
        }
    }
}
