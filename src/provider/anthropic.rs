//! Anthropic, with its own API and the path that speaks OpenAI's.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Uri};
use serde_json::{Value, json};

use super::{
    Answer, Call, Carrier, Framing, LateError, Provider, Reading, Refill, StreamEvent, by_status,
    clock,
    error_body::ErrorBody,
    in_stream,
    limit_headers::{self, Meaning, figure, reset_of_exhausted, subject},
    openai, request_body,
    retry_after::retry_after,
};
use crate::{
    Estimate, Exhausted, Reason, Usage,
    verdict::{Scope, Verdict},
};

/// Anthropic: messages and the rest of `https://api.anthropic.com/v1`, the OpenAI-compatible
/// `/v1/chat/completions` included.
///
/// - The key travels in `x-api-key`, on the compatible path as `authorization: Bearer <key>`.
///   `anthropic-version` is left to the caller.
/// - Limits hold for an organisation (workspaces may have lower ones), per class of models, never
///   per key. Cached input does not count on most models.
///   (<https://docs.claude.com/en/api/rate-limits>)
/// - `retry-after` comes with successes too; it is read from refusals only.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Anthropic {}

static CARRIERS: [Carrier; 2] =
    [Carrier::Header(HeaderName::from_static("x-api-key")), Carrier::Bearer];

impl Provider for Anthropic {
    fn name(&self) -> &str {
        "anthropic"
    }

    fn origin(&self) -> &str {
        "https://api.anthropic.com"
    }

    fn carriers(&self) -> &[Carrier] {
        &CARRIERS
    }

    /// <https://docs.claude.com/en/api/openai-sdk>
    fn carrier(&self, uri: &Uri) -> usize {
        usize::from(uri.path().ends_with("/chat/completions"))
    }

    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        request_body::estimate(call.body)
    }

    fn classify(&self, answer: &Answer<'_>) -> Verdict {
        let body = ErrorBody::read(answer);
        match answer.status.as_u16() {
            400 | 401 | 403 if body.begins("This organization has been disabled") => {
                Verdict::KeyRejected
            }
            // Looks like a caller's fault, and is not.
            400 | 403 if body.begins("Your credit balance is too low") => {
                Verdict::QuotaExhausted { retry_after: None, scope: Scope::Account }
            }
            400 | 403 | 429 if body.begins("You have reached your specified") => {
                usage_limit(answer, &body)
            }
            // "Your API key does not have permission to use the specified resource"
            403 if body.kind() == "permission_error" => Verdict::ModelRefused,
            429 if !body.is_html() => self.too_many(answer, &body),
            _ => by_status::verdict(answer, &body, Scope::Model),
        }
    }

    /// Both kinds of headers: the compatible path sends OpenAI's.
    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading)) {
        let of = (Scope::Model, Refill::Rolling);
        let meaning = |name: &str| meaning(name).or_else(|| openai::meaning(name));
        limit_headers::read(answer, of, meaning, report);
    }

    /// "When receiving a streaming response via SSE, it's possible that an error can occur after
    /// returning a 200 response" (<https://docs.claude.com/en/api/errors>): `event: error`, mostly
    /// `overloaded_error`, and often the very first event.
    fn framing(&self, headers: &HeaderMap, _: bool) -> Option<Framing> {
        in_stream::events(headers)
    }

    fn tells_usage(&self, headers: &HeaderMap) -> bool {
        in_stream::is_stream_or_json(headers)
    }

    /// "Only uncached input tokens and cache writes count towards ITPM on most models"
    /// (<https://docs.claude.com/en/api/rate-limits#cache-aware-itpm>).
    fn counted_input(&self, usage: &Usage) -> u64 {
        usage.all_input() - usage.cache_read.min(usage.all_input())
    }

    /// "OTPM rate limits are evaluated in real time as output tokens are produced", whatever
    /// `max_tokens` said (<https://docs.claude.com/en/api/rate-limits>).
    fn gives_back(&self) -> bool {
        true
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

    /// Always, as the official SDKs do (`_base_client.py` of anthropic-sdk-python).
    fn may_repeat(&self, _: &Method) -> bool {
        true
    }

    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        let kind = match exhausted.reason() {
            Reason::Busy | Reason::LineFull => "rate_limit_error",
            Reason::TooLarge => "request_too_large",
            Reason::NoKey => "api_error",
            Reason::TimedOut => "timeout_error",
        };
        let error = json!({ "type": kind, "message": exhausted.to_string() });
        json!({ "type": "error", "error": error }).to_string().into()
    }
}

impl Anthropic {
    fn too_many(self, answer: &Answer<'_>, body: &ErrorBody<'_>) -> Verdict {
        // The month's spend is used up (<https://docs.claude.com/en/api/errors>); months begin at
        // 00:00 UTC.
        if body.details().iter().any(is_spend_limit) {
            return Verdict::QuotaExhausted {
                retry_after: clock::until_next_month(clock::sent(answer)),
                scope: Scope::Account,
            };
        }
        let told = retry_after(answer);
        // One prompt larger than the whole limit, with most of that remaining.
        if told.is_none() && should_not_retry(answer) {
            return Verdict::CallerFault;
        }
        // Too many connections at once come without any time.
        let retry_after =
            told.or_else(|| reset_of_exhausted(|report| self.readings(answer, report)));
        Verdict::RateLimited { retry_after, scope: Scope::Model }
    }
}

/// `anthropic-ratelimit-input-tokens-remaining`.
fn meaning(header: &str) -> Option<Meaning> {
    let (whose, what) = header.strip_prefix("anthropic-ratelimit-")?.rsplit_once('-')?;
    Some((subject(whose)?, figure(what)?))
}

fn is_spend_limit(detail: &Value) -> bool {
    detail.get("error_code").and_then(Value::as_str) == Some("enforced_spend_limit_reached")
}

/// "You have reached your specified (workspace) API usage limits. You will regain access on
/// 2026-02-01 at 00:00 UTC."
fn usage_limit(answer: &Answer<'_>, body: &ErrorBody<'_>) -> Verdict {
    Verdict::QuotaExhausted {
        retry_after: clock::until_day_in(body.message(), clock::sent(answer)),
        scope: Scope::Account,
    }
}

fn should_not_retry(answer: &Answer<'_>) -> bool {
    answer.headers.get("x-should-retry").is_some_and(|value| value == "false")
}
