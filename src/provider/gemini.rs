//! Google's Gemini API, with its own paths and those that speak OpenAI's.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Uri};
use serde_json::{Value, json};

use super::{
    Answer, Call, Carrier, Framing, LateError, Provider, Reading, StreamEvent, by_status, clock,
    duration, error_body::ErrorBody, in_stream, request_body, retry_after::retry_after,
};
use crate::{
    Estimate, Exhausted, Reason,
    verdict::{Scope, Verdict},
};

/// Google's Gemini API: `https://generativelanguage.googleapis.com/v1beta`, the OpenAI-compatible
/// `/v1beta/openai/` included.
///
/// - The key travels in `x-goog-api-key`, on the compatible paths as `authorization: Bearer <key>`.
///   Callers' own `?key=` is removed.
/// - Limits hold for a Google Cloud project, per model, never per key. Days end at midnight in
///   California. (<https://ai.google.dev/gemini-api/docs/rate-limits>)
/// - No header tells a limit: what is known comes from the bodies of refusals. A bad key is a 400.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Gemini {}

static CARRIERS: [Carrier; 2] =
    [Carrier::Header(HeaderName::from_static("x-goog-api-key")), Carrier::Bearer];

/// `ErrorInfo.reason` of a key that will never do
/// (<https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto>).
const DEAD: &[&str] =
    &["API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "CONSUMER_SUSPENDED", "SERVICE_DISABLED"];

/// Of a key that is good, but not from this address or application.
const RESTRICTED: &[&str] = &["API_KEY_IP_ADDRESS_BLOCKED", "API_KEY_HTTP_REFERRER_BLOCKED"];

/// Of a request that carried no key, or something else in its place.
const NO_KEY: &[&str] = &["CREDENTIALS_MISSING", "ACCESS_TOKEN_TYPE_UNSUPPORTED"];

impl Provider for Gemini {
    fn name(&self) -> &str {
        "gemini"
    }

    fn origin(&self) -> &str {
        "https://generativelanguage.googleapis.com"
    }

    fn carriers(&self) -> &[Carrier] {
        &CARRIERS
    }

    /// <https://ai.google.dev/gemini-api/docs/openai>
    fn carrier(&self, uri: &Uri) -> usize {
        usize::from(uri.path().contains("/openai/"))
    }

    fn query_carrier(&self) -> Option<&str> {
        Some("key")
    }

    /// The model is in the path (`/v1beta/models/gemini-2.5-flash:generateContent`), on the
    /// compatible paths in the body.
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let mut estimate = request_body::estimate(call.body);
        if let Some((model, method)) = model_and_method(call.uri) {
            estimate.model = Some(Cow::Borrowed(model));
            estimate.stream = method == "streamGenerateContent";
        }
        // One model, one name.
        if let Some(Cow::Borrowed(model)) = &mut estimate.model {
            *model = model.strip_prefix("models/").unwrap_or(model);
        }
        estimate
    }

    /// A 403 without a reason that we know is the caller's: files and caches belong to one project,
    /// and asking for another's is no fault of the key.
    fn classify(&self, answer: &Answer<'_>) -> Verdict {
        let body = ErrorBody::read(answer);
        match answer.status.as_u16() {
            400 | 401 | 403 if is_dead(&body) => Verdict::KeyRejected,
            401 if has_reason(&body, NO_KEY) => Verdict::CallerFault,
            403 if has_reason(&body, RESTRICTED) => Verdict::ModelRefused,
            429 if !body.is_html() => too_many(answer, &body),
            _ => by_status::verdict(answer, &body, Scope::Model),
        }
    }

    fn readings(&self, _: &Answer<'_>, _: &mut dyn FnMut(Reading)) {}

    /// `streamGenerateContent` sends one JSON array, and events only with `alt=sse`
    /// (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).
    fn framing(&self, headers: &HeaderMap, streamed: bool) -> Option<Framing> {
        let is_list = streamed && in_stream::is_type(headers, "application/json");
        in_stream::events(headers).or(is_list.then_some(Framing::List))
    }

    fn tells_usage(&self, headers: &HeaderMap) -> bool {
        in_stream::is_stream_or_json(headers)
    }

    fn is_prelude(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_prelude(event)
    }

    fn is_end(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_end(event)
    }

    fn late_error<'a>(&self, event: &StreamEvent<'a>) -> Option<LateError<'a>> {
        in_stream::late_error(event)
    }

    /// Always, as Google's SDKs do.
    fn may_repeat(&self, _: &Method) -> bool {
        true
    }

    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        let status = match exhausted.reason() {
            Reason::Busy | Reason::LineFull => "RESOURCE_EXHAUSTED",
            Reason::TooLarge => "INVALID_ARGUMENT",
            Reason::NoKey => "UNAVAILABLE",
            Reason::TimedOut => "DEADLINE_EXCEEDED",
        };
        let details: Vec<Value> = exhausted
            .retry_after_secs()
            .map(|seconds| {
                json!({
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": format!("{seconds}s"),
                })
            })
            .into_iter()
            .collect();
        json!({ "error": {
            "code": exhausted.status().as_u16(),
            "message": exhausted.to_string(),
            "status": status,
            "details": details,
        }})
        .to_string()
        .into()
    }
}

fn model_and_method(uri: &Uri) -> Option<(&str, &str)> {
    uri.path().rsplit('/').next()?.split_once(':')
}

/// Every 429 says `RESOURCE_EXHAUSTED`; what is exhausted stands in the details.
fn too_many(answer: &Answer<'_>, body: &ErrorBody<'_>) -> Verdict {
    // Until the middle of 2026; 402 since.
    if body.says("prepayment credits are depleted") {
        return Verdict::QuotaExhausted { retry_after: None, scope: Scope::Account };
    }
    // A model that is not in the project's plan: no wait helps, though one is told.
    if is_limit_zero(body) {
        return Verdict::QuotaExhausted { retry_after: None, scope: Scope::Model };
    }
    if violations(body).any(|violation| text(violation, "quotaId").contains("PerDay")) {
        // Here too the told delay, of seconds, misleads.
        let retry_after = clock::until_pacific_midnight(clock::sent(answer));
        return Verdict::QuotaExhausted { retry_after, scope: Scope::Model };
    }
    let told = retry_info(body)
        .or_else(|| retry_after(answer))
        .or_else(|| duration::after_phrase(body.message(), "retry in "))
        .filter(|wait| !wait.is_zero());
    // "Resource has been exhausted (e.g. check quota)" and not a word more: Google's own capacity.
    if told.is_none() && body.details().is_empty() && body.status() == "RESOURCE_EXHAUSTED" {
        return by_status::overloaded(answer);
    }
    Verdict::RateLimited { retry_after: told, scope: Scope::Model }
}

fn is_dead(body: &ErrorBody<'_>) -> bool {
    has_reason(body, DEAD)
        || body.begins("API key not valid")
        || body.begins("API key expired")
        || body.begins("Your API key was reported as leaked")
}

fn has_reason(body: &ErrorBody<'_>, reasons: &[&str]) -> bool {
    body.details().iter().any(|detail| reasons.contains(&text(detail, "reason")))
}

fn violations<'b>(body: &'b ErrorBody<'_>) -> impl Iterator<Item = &'b Value> {
    body.details().iter().filter_map(|detail| detail.get("violations")?.as_array()).flatten()
}

/// "Quota exceeded for metric: ..., limit: 0", and then no `quotaValue`.
fn is_limit_zero(body: &ErrorBody<'_>) -> bool {
    let mut limits = body.message().split("limit: ").skip(1);
    limits.any(|rest| {
        rest.strip_prefix('0').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `google.rpc.RetryInfo`.
fn retry_info(body: &ErrorBody<'_>) -> Option<Duration> {
    body.details().iter().find_map(|detail| duration::wait(text(detail, "retryDelay")))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
