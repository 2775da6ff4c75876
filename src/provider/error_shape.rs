//! Our own refusals when no key is left, in the shape of each provider's errors.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{Exhausted, error::Reason};

/// What a provider's errors look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorShape {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// The same without the object around it: Cerebras, Mistral.
    Bare,
    /// `{"type": "error", "error": {"type", "message"}}`
    Anthropic,
    /// `{"error": {"code", "message", "status", "details"}}`
    Google,
    /// `{"code", "error"}`, both text: xAI.
    Text,
    /// `{"message"}`: Bedrock, Cohere, GitHub.
    Message,
    /// `{"error": {"type", "message"}}`
    Plain,
}

impl ErrorShape {
    pub(super) fn body(self, exhausted: &Exhausted) -> Bytes {
        let message = exhausted.to_string();
        let (kind, code) = openai_words(exhausted);
        let openai = json!({ "message": message, "type": kind, "param": null, "code": code });
        let body = match self {
            Self::OpenAi => json!({ "error": openai }),
            Self::Bare => openai,
            Self::Anthropic => {
                json!({ "type": "error", "error": { "type": anthropic_word(exhausted), "message": message } })
            }
            Self::Google => google(exhausted, &message),
            Self::Text => json!({ "code": code, "error": message }),
            Self::Message => json!({ "message": message }),
            Self::Plain => json!({ "error": { "type": exhausted.reason(), "message": message } }),
        };
        body.to_string().into()
    }
}

fn openai_words(exhausted: &Exhausted) -> (&'static str, &'static str) {
    match exhausted.reason() {
        Reason::Busy | Reason::LineFull => ("requests", "rate_limit_exceeded"),
        Reason::Quota => ("insufficient_quota", "no_quota_available"),
        Reason::Overloaded => ("server_error", "overloaded"),
        Reason::Budget => ("insufficient_quota", "budget_exceeded"),
        Reason::Unpriced => ("invalid_request_error", "model_unpriced"),
        Reason::TooLarge => ("invalid_request_error", "request_too_large"),
        Reason::BodyBrokenOff => ("invalid_request_error", "body_broken_off"),
        Reason::NoKey => ("server_error", "no_key_available"),
        Reason::TimedOut => ("server_error", "timeout"),
    }
}

fn anthropic_word(exhausted: &Exhausted) -> &'static str {
    match exhausted.reason() {
        Reason::Busy | Reason::LineFull | Reason::Quota | Reason::Budget => "rate_limit_error",
        Reason::Overloaded => "overloaded_error",
        Reason::Unpriced => "permission_error",
        Reason::TooLarge => "request_too_large",
        Reason::BodyBrokenOff => "invalid_request_error",
        Reason::NoKey => "api_error",
        Reason::TimedOut => "timeout_error",
    }
}

fn google(exhausted: &Exhausted, message: &str) -> Value {
    let status = match exhausted.reason() {
        Reason::Busy | Reason::LineFull | Reason::Quota | Reason::Budget => "RESOURCE_EXHAUSTED",
        Reason::Unpriced => "PERMISSION_DENIED",
        Reason::TooLarge | Reason::BodyBrokenOff => "INVALID_ARGUMENT",
        Reason::NoKey | Reason::Overloaded => "UNAVAILABLE",
        Reason::TimedOut => "DEADLINE_EXCEEDED",
    };
    let retry = |seconds| {
        json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{seconds}s"),
        })
    };
    let details: Vec<Value> = exhausted.retry_after_secs().map(retry).into_iter().collect();
    json!({ "error": {
        "code": exhausted.status().as_u16(),
        "message": message,
        "status": status,
        "details": details,
    }})
}
