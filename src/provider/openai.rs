//! OpenAI, and the many that speak as it does.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;

use super::{
    Answer, Call, Carrier, Framing, LateError, Provider, Reading, Refill, StreamEvent, by_status,
    duration,
    error_body::ErrorBody,
    in_stream,
    limit_headers::{self, Figure, Meaning, figure, reset_of_exhausted, subject},
    request_body,
    retry_after::retry_after,
};
use crate::{
    Estimate, Exhausted, Reason,
    verdict::{Scope, Verdict},
};

/// OpenAI: chat completions, responses, embeddings and the rest of `https://api.openai.com/v1`.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an organisation and a project, per model; quota for the whole of them. Two keys
///   of one project share everything: put them on one [`Account`](crate::Account).
///   (<https://platform.openai.com/docs/guides/rate-limits>)
/// - `x-ratelimit-*-requests` tells the *daily* allowance on small tiers, so a 429 comes with most
///   of it left.
///
/// Other providers that speak this dialect are served with their own origin.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenAi {}

/// No money, or a limit on it reached, mostly told with 429 and without a time to wait
/// (<https://platform.openai.com/docs/guides/error-codes>; `billing_hard_limit_reached` comes with
/// 400, from images).
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// The account is closed, whatever the status that says so.
const CLOSED: &[&str] = &["account_deactivated", "access_terminated"];

impl Provider for OpenAi {
    fn name(&self) -> &str {
        "openai"
    }

    fn origin(&self) -> &str {
        "https://api.openai.com"
    }

    fn carriers(&self) -> &[Carrier] {
        &[Carrier::Bearer]
    }

    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        request_body::estimate(call.body)
    }

    fn classify(&self, answer: &Answer<'_>) -> Verdict {
        let body = ErrorBody::read(answer);
        if body.is(QUOTA) {
            let retry_after = retry_after(answer);
            return Verdict::QuotaExhausted { retry_after, scope: Scope::Account };
        }
        if body.is(CLOSED) {
            return Verdict::KeyRejected;
        }
        match answer.status.as_u16() {
            // xAI, which speaks this dialect, says it with 400.
            400 if body.begins("Incorrect API key provided") => Verdict::KeyRejected,
            401 => unauthorized(answer, &body),
            403 | 404 if is_no_access(&body) => Verdict::ModelRefused,
            429 if !body.is_html() => self.too_many(answer, &body),
            _ => by_status::verdict(answer, &body, Scope::Model),
        }
    }

    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading)) {
        limit_headers::read(answer, (Scope::Model, Refill::Rolling), meaning, report);
    }

    /// Chat completions tell an error in place of a chunk, responses in `response.failed` or `error`
    /// (<https://platform.openai.com/docs/api-reference/responses-streaming>).
    fn framing(&self, headers: &HeaderMap, _: bool) -> Option<Framing> {
        in_stream::events(headers)
    }

    fn tells_usage(&self, headers: &HeaderMap) -> bool {
        in_stream::is_stream_or_json(headers)
    }

    /// Chat completions, and the older completions; responses tell it always.
    fn ask_usage(&self, call: &Call<'_>) -> Option<Bytes> {
        let is_asked_for = call.uri.path().ends_with("/completions");
        is_asked_for.then(|| request_body::with_usage(call.body)).flatten()
    }

    fn is_usage_alone(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_usage_alone(event)
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

    /// Always: the official SDKs repeat a POST after a broken connection or a 5xx
    /// (`_base_client.py` of openai-python).
    fn may_repeat(&self, _: &Method) -> bool {
        true
    }

    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        let (kind, code) = match exhausted.reason() {
            Reason::Busy | Reason::LineFull => ("requests", "rate_limit_exceeded"),
            Reason::TooLarge => ("invalid_request_error", "request_too_large"),
            Reason::NoKey => ("server_error", "no_key_available"),
            Reason::TimedOut => ("server_error", "timeout"),
        };
        let message = exhausted.to_string();
        let error = json!({ "message": message, "type": kind, "param": null, "code": code });
        json!({ "error": error }).to_string().into()
    }
}

impl OpenAi {
    fn too_many(self, answer: &Answer<'_>, body: &ErrorBody<'_>) -> Verdict {
        // One request larger than the whole limit: "Request too large for gpt-4.1-nano in
        // organization ... on tokens per min (TPM): Limit 1000000, Requested 2500013".
        if body.begins("Request too large") {
            return Verdict::CallerFault;
        }
        // `slow_down` is about the ramp of all traffic, the others about a model's limit.
        let scope = if body.code() == "slow_down" { Scope::Account } else { Scope::Model };
        let retry_after = retry_after(answer)
            .or_else(|| try_again_in(body))
            .or_else(|| reset_of_exhausted(|report| self.readings(answer, report)));
        Verdict::RateLimited { retry_after, scope }
    }
}

/// `x-ratelimit-remaining-tokens`; on Anthropic's path that speaks this dialect the limit is plain
/// `x-ratelimit-tokens`.
pub(crate) fn meaning(header: &str) -> Option<Meaning> {
    let rest = header.strip_prefix("x-ratelimit-")?;
    if let Some(subject) = subject(rest) {
        return Some((subject, Figure::Limit));
    }
    let (what, whose) = rest.split_once('-')?;
    Some((subject(whose)?, figure(what)?))
}

/// "Rate limit reached for ... Please try again in 20s."
fn try_again_in(body: &ErrorBody<'_>) -> Option<Duration> {
    duration::after_phrase(body.message(), "try again in ").filter(|wait| !wait.is_zero())
}

/// 401 is not always the end of a key.
fn unauthorized(answer: &Answer<'_>, body: &ErrorBody<'_>) -> Verdict {
    if body.begins("You didn't provide an API key") {
        // Nobody sent one, so none was rejected.
        Verdict::CallerFault
    } else if body.says("missing scopes") || is_wrong_address(body) {
        // A restricted key, or one that is good from other addresses only.
        Verdict::ModelRefused
    } else {
        by_status::verdict(answer, body, Scope::Model)
    }
}

fn is_wrong_address(body: &ErrorBody<'_>) -> bool {
    body.code() == "ip_not_authorized" || body.says("ip not authorized")
}

/// "Project `proj_1` does not have access to model `gpt-4o`". Not "The model `gpt-9` does not exist
/// or you do not have access to it", which is nearly always a wrong name: were it taken for a
/// refusal, each such request would be tried with every key.
fn is_no_access(body: &ErrorBody<'_>) -> bool {
    body.says("not have access to model") || body.says("missing scopes")
}
