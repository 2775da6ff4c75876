//! Gemini: refusals and generated content. It has no limit headers: everything stands in the body.
//!
//! Shapes as in the [API reference](https://ai.google.dev/api/generate-content) and in
//! [`google.rpc`](https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto).

use std::{ops::Range, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    Context, Told,
    answer::{Answer, Part},
};
use crate::{
    limit::Metered,
    sandbox::{
        clock::ceil_secs,
        limits::{Over, Wait},
        refusal::Refusal,
        request::Streaming,
        script,
    },
};

const A_DAY: Duration = Duration::from_secs(86_400);

pub(super) fn refuse(refusal: &Refusal, context: &Context<'_>) -> Told {
    let model = context.model;
    let say = |status: StatusCode, message: &str, details: Option<Value>| {
        let mut error =
            json!({"code": status.as_u16(), "message": message, "status": name_of(status)});
        if let (Some(error), Some(details)) = (error.as_object_mut(), details) {
            error.insert("details".into(), details);
        }
        Told { status, headers: HeaderMap::new(), body: json!({"error": error}) }
    };
    match refusal {
        Refusal::NoCredential => {
            let message = "Method doesn't allow unregistered callers (callers without established \
                identity). Please use API Key or other form of API consumer identity to call this \
                API.";
            say(StatusCode::FORBIDDEN, message, None)
        }
        Refusal::SeveralCredentials => {
            let message = "Multiple authentication credentials received. Please pass only one.";
            say(StatusCode::BAD_REQUEST, message, None)
        }
        Refusal::UnknownKey => {
            let message = "API key not valid. Please pass a valid API key.";
            say(StatusCode::BAD_REQUEST, message, Some(reason("API_KEY_INVALID")))
        }
        Refusal::UnknownPath => say(StatusCode::NOT_FOUND, "Not found.", None),
        Refusal::BadRequest(why) => say(StatusCode::BAD_REQUEST, why, None),
        Refusal::UnknownModel => {
            let message = format!("models/{model} is not found for API version v1beta.");
            say(StatusCode::NOT_FOUND, &message, None)
        }
        Refusal::ModelForbidden => {
            let message = format!("The caller does not have permission to use models/{model}.");
            say(StatusCode::FORBIDDEN, &message, None)
        }
        Refusal::PathForbidden => {
            let message =
                "Requests to this API generativelanguage.googleapis.com method are blocked.";
            say(StatusCode::FORBIDDEN, message, Some(reason("API_KEY_SERVICE_BLOCKED")))
        }
        Refusal::HeaderRejected(_, value) => {
            let message =
                format!("Caller does not have required permission to use project {value}.");
            say(StatusCode::FORBIDDEN, &message, Some(reason("USER_PROJECT_DENIED")))
        }
        Refusal::Exhausted => {
            let quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
            // The provider sends a short delay here too, though it says nothing about the day.
            let wait = Duration::from_secs(49);
            let details = quota_details(Metered::Requests, quota, model, 50, wait);
            say(StatusCode::TOO_MANY_REQUESTS, &quota_message(wait), Some(details))
        }
        Refusal::Over(over) => {
            let Some(wait) = wait(over) else {
                let message = "Resource has been exhausted (e.g. check quota).";
                return say(StatusCode::TOO_MANY_REQUESTS, message, None);
            };
            let details = quota_details(over.metered, &quota_id(over), model, over.amount, wait);
            say(StatusCode::TOO_MANY_REQUESTS, &quota_message(wait), Some(details))
        }
        Refusal::Overloaded => say(StatusCode::SERVICE_UNAVAILABLE, OVERLOADED, None),
        Refusal::Error(status) => say(*status, &format!("Answered with {status}."), None),
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

/// Why, in a word for programs.
fn reason(reason: &str) -> Value {
    json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }])
}

/// The delay told: also, as the provider does, with a request that can never fit.
fn wait(over: &Over) -> Option<Duration> {
    match over.wait {
        Wait::Untold | Wait::Unknown => None,
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

fn quota_id(over: &Over) -> String {
    let per = if over.period >= A_DAY { "PerDay" } else { "PerMinute" };
    match over.metered {
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
        let reason = if answer.cut_short { "MAX_TOKENS" } else { "STOP" };
        candidate.insert("finishReason".into(), reason.into());
    }
    let mut usage = json!({
        "promptTokenCount": answer.prompt,
        "totalTokenCount": answer.prompt.saturating_add(so_far),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.prompt}],
    });
    // The count is absent where nothing was generated.
    if so_far > 0
        && let Some(usage) = usage.as_object_mut()
    {
        usage.insert("candidatesTokenCount".into(), so_far.into());
    }
    if answer.cached.read > 0
        && let Some(usage) = usage.as_object_mut()
    {
        usage.insert("cachedContentTokenCount".into(), answer.cached.read.into());
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
        // There are no others.
        Part::Head(_) | Part::Tail(_) => 0..0,
    };
    element(answer, number, &chunk(answer, tokens), number + 1 == answer.frames())
}

pub(super) fn error() -> Value {
    json!({"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}})
}

pub(super) fn error_frame(answer: &Answer, number: u64, error: &Value) -> String {
    element(answer, number, error, true)
}

/// An event with CRLF line ends, or an element of the array.
fn element(answer: &Answer, number: u64, value: &Value, last: bool) -> String {
    if answer.streaming == Streaming::Events {
        return format!("data: {value}\r\n\r\n");
    }
    let open = if number == 0 { "[" } else { ",\r\n" };
    let close = if last { "\n]\n" } else { "\n" };
    format!("{open}{value}{close}")
}
