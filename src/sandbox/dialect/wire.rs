//! Refusals and headers of each wire format.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use super::{
    anthropic, gemini, openai,
    reply::{RefusalReply, ReplyContext, put},
};
use crate::sandbox::{limits::Remaining, refusal::Refusal, route::WireFormat};

pub(in crate::sandbox) fn refuse(
    wire: WireFormat,
    refusal: &Refusal,
    context: &ReplyContext<'_>,
) -> RefusalReply {
    match wire {
        WireFormat::OpenAi => openai::refuse(refusal, context),
        WireFormat::Anthropic => anthropic::refuse(refusal, context),
        WireFormat::Gemini => gemini::refuse(refusal, context),
        WireFormat::GeminiArray => {
            let reply = gemini::refuse(refusal, context);
            RefusalReply { body: Value::Array(vec![reply.body]), ..reply }
        }
    }
}

/// Adds the headers of every response to a known key.
pub(in crate::sandbox) fn add_ids(
    wire: WireFormat,
    headers: &mut HeaderMap,
    context: &ReplyContext<'_>,
) {
    match wire {
        WireFormat::OpenAi => openai::add_ids(headers, context),
        WireFormat::Anthropic => anthropic::add_ids(headers, context),
        WireFormat::Gemini | WireFormat::GeminiArray => {}
    }
}

/// Adds the headers that say what remains of the limits.
pub(in crate::sandbox) fn add_limits(
    wire: WireFormat,
    headers: &mut HeaderMap,
    remaining: &[Remaining],
    context: &ReplyContext<'_>,
) {
    match wire {
        WireFormat::OpenAi => openai::add_limits(headers, remaining),
        WireFormat::Anthropic => anthropic::add_limits(headers, remaining, context),
        WireFormat::Gemini | WireFormat::GeminiArray => {}
    }
}

/// Adds the header that says how long the answer took.
pub(in crate::sandbox) fn add_processing_time(
    wire: WireFormat,
    headers: &mut HeaderMap,
    took: Duration,
) {
    let (name, value) = match wire {
        WireFormat::OpenAi => ("openai-processing-ms", took.as_millis().to_string()),
        WireFormat::Anthropic => ("x-envoy-upstream-service-time", took.as_millis().to_string()),
        WireFormat::Gemini | WireFormat::GeminiArray => {
            ("server-timing", format!("gfet4t7; dur={}", took.as_millis()))
        }
    };
    put(headers, name, value);
}
