//! Gemini: refusals and generated content. It has no limit headers; the body says everything.
//!
//! Shapes as in the [API reference](https://ai.google.dev/api/generate-content) and in
//! [`google.rpc`](https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto).

use std::{ops::Range, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    reply::{RefusalReply, ReplyContext},
};
use crate::{
    limit::Metered,
    sandbox::{
        clock::ceil_secs,
        limits::{Exceeded, Wait},
        refusal::Refusal,
        route::Delivery,
        script,
    },
};

const A_DAY: Duration = Duration::from_secs(86_400);

pub(super) fn refuse(refusal: &Refusal, context: &ReplyContext<'_>) -> RefusalReply {
    let model = context.model;
    let reply = |status: StatusCode, message: &str, details: Option<Value>| {
        let mut error =
            json!({"code": status.as_u16(), "message": message, "status": name_of(status)});
        if let (Some(error), Some(details)) = (error.as_object_mut(), details) {
            error.insert("details".into(), details);
        }
        RefusalReply { status, headers: HeaderMap::new(), body: json!({"error": error}) }
    };
    match refusal {
        Refusal::NoCredential => {
            let message = "Method doesn't allow unregistered callers (callers without established \
                identity). Please use API Key or other form of API consumer identity to call this \
                API.";
            reply(StatusCode::FORBIDDEN, message, None)
        }
        Refusal::SeveralCredentials => {
            let message = "Multiple authentication credentials received. Please pass only one.";
            reply(StatusCode::BAD_REQUEST, message, None)
        }
        Refusal::UnknownKey => {
            let message = "API key not valid. Please pass a valid API key.";
            reply(StatusCode::BAD_REQUEST, message, Some(reason("API_KEY_INVALID")))
        }
        Refusal::UnknownPath => reply(StatusCode::NOT_FOUND, "Not found.", None),
        Refusal::BadRequest(why) => reply(StatusCode::BAD_REQUEST, why, None),
        Refusal::UnknownModel => {
            let message = format!("models/{model} is not found for API version v1beta.");
            reply(StatusCode::NOT_FOUND, &message, None)
        }
        Refusal::ModelForbidden => {
            let message = format!("The caller does not have permission to use models/{model}.");
            reply(StatusCode::FORBIDDEN, &message, None)
        }
        Refusal::PathForbidden => {
            let message =
                "Requests to this API generativelanguage.googleapis.com method are blocked.";
            reply(StatusCode::FORBIDDEN, message, Some(reason("API_KEY_SERVICE_BLOCKED")))
        }
        Refusal::HeaderRejected(_, value) => {
            let message =
                format!("Caller does not have required permission to use project {value}.");
            reply(StatusCode::FORBIDDEN, &message, Some(reason("USER_PROJECT_DENIED")))
        }
        Refusal::QuotaExhausted => {
            let quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
            // The provider sends a short delay here too, although the quota is one of the whole day.
            let wait = Duration::from_secs(49);
            let details = quota_details(Metered::Requests, quota, model, 50, wait);
            reply(StatusCode::TOO_MANY_REQUESTS, &quota_message(wait), Some(details))
        }
        Refusal::LimitExceeded(exceeded) => {
            let Some(wait) = wait(exceeded) else {
                let message = "Resource has been exhausted (e.g. check quota).";
                return reply(StatusCode::TOO_MANY_REQUESTS, message, None);
            };
            let details =
                quota_details(exceeded.metered, &quota_id(exceeded), model, exceeded.amount, wait);
            reply(StatusCode::TOO_MANY_REQUESTS, &quota_message(wait), Some(details))
        }
        Refusal::Overloaded => reply(StatusCode::SERVICE_UNAVAILABLE, OVERLOADED, None),
        Refusal::Error(status) => reply(*status, &format!("Answered with {status}."), None),
    }
}

const OVERLOADED: &str = "The model is overloaded. Please try again later.";

fn name_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        402 | 429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "UNKNOWN",
    }
}

/// The machine-readable reason.
fn reason(reason: &str) -> Value {
    json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }])
}

/// The delay that the response states. As the provider does, it states one even if the request can never
/// fit.
fn wait(exceeded: &Exceeded) -> Option<Duration> {
    match exceeded.wait {
        Wait::Hidden | Wait::Unknown => None,
        Wait::For(wait) | Wait::Never(wait) => Some(wait),
    }
}

fn quota_message(wait: Duration) -> String {
    format!(
        "You exceeded your current quota, please check your plan and billing details.\nPlease retry \
         in {}s.",
        wait.as_secs_f64(),
    )
}

fn quota_id(exceeded: &Exceeded) -> String {
    let per = if exceeded.period >= A_DAY { "PerDay" } else { "PerMinute" };
    match exceeded.metered {
        Metered::Requests | Metered::Concurrent => {
            format!("GenerateRequests{per}PerProjectPerModel")
        }
        _ => format!("GenerateContentInputTokensPerModel{per}"),
    }
}

fn quota_details(
    metered: Metered,
    quota_id: &str,
    model: &str,
    amount: u64,
    wait: Duration,
) -> Value {
    let metric = match metered {
        Metered::Requests | Metered::Concurrent => "generate_content_requests",
        _ => "generate_content_input_token_count",
    };
    json!([
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": format!("generativelanguage.googleapis.com/{metric}"),
                "quotaId": quota_id,
                "quotaDimensions": {"location": "global", "model": model},
                "quotaValue": amount.to_string(),
            }],
        },
        {
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", ceil_secs(wait)),
        },
    ])
}

/// Some tokens of the answer: a part of a stream, or all of it.
pub(super) fn chunk(answer: &Answer, tokens: Range<u64>) -> Value {
    let (so_far, last) = (tokens.end, tokens.end == answer.tokens);
    let content = json!({"parts": [{"text": script::text(tokens)}], "role": "model"});
    let mut candidate = json!({"content": content, "index": 0});
    if last && let Some(candidate) = candidate.as_object_mut() {
        let reason = if answer.is_truncated { "MAX_TOKENS" } else { "STOP" };
        candidate.insert("finishReason".into(), reason.into());
    }
    let mut usage = json!({
        "promptTokenCount": answer.prompt_tokens,
        "totalTokenCount": answer.prompt_tokens.saturating_add(so_far),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.prompt_tokens}],
    });
    // The provider leaves the count out while nothing has been generated.
    if so_far > 0
        && let Some(usage) = usage.as_object_mut()
    {
        usage.insert("candidatesTokenCount".into(), so_far.into());
    }
    if answer.cache_use.read > 0
        && let Some(usage) = usage.as_object_mut()
    {
        usage.insert("cachedContentTokenCount".into(), answer.cache_use.read.into());
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": &*answer.model,
        "responseId": answer.id,
    })
}

pub(super) fn frame(answer: &Answer, number: u64, part: &Part) -> String {
    let tokens = match part {
        Part::Text(tokens) => tokens.clone(),
        // A Gemini stream has only text frames.
        Part::Head(_) | Part::Tail(_) => 0..0,
    };
    element(answer, number, &chunk(answer, tokens), number + 1 == answer.frame_count())
}

pub(super) fn error() -> Value {
    json!({"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}})
}

pub(super) fn error_frame(answer: &Answer, number: u64, error: &Value) -> String {
    element(answer, number, error, true)
}

/// An event with CRLF line ends, or an element of the JSON array.
fn element(answer: &Answer, number: u64, value: &Value, last: bool) -> String {
    if answer.delivery == Delivery::Events {
        return format!("data: {value}\r\n\r\n");
    }
    let open = if number == 0 { "[" } else { ",\r\n" };
    let close = if last { "\n]\n" } else { "\n" };
    format!("{open}{value}{close}")
}
