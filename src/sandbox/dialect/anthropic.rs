//! Anthropic: refusals, limit headers and messages.
//!
//! Shapes as in the API reference's pages on
//! [errors](https://docs.anthropic.com/en/api/errors),
//! [rate limits](https://docs.anthropic.com/en/api/rate-limits) and
//! [streaming](https://docs.anthropic.com/en/docs/build-with-claude/streaming).

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    reply::{RefusalReply, ReplyContext, event, period_name, put},
};
use crate::{
    limit::Metered,
    sandbox::{
        cache::CacheUse,
        clock::{ceil_secs, rfc3339},
        limits::{Exceeded, Remaining, Wait},
        refusal::Refusal,
        script,
    },
};

pub(super) fn refuse(refusal: &Refusal, context: &ReplyContext<'_>) -> RefusalReply {
    let reply = |status, kind: &str, retry: bool, message: &str| {
        let mut headers = HeaderMap::new();
        put(&mut headers, "x-should-retry", retry.to_string());
        let request_id = format!("req_{}", context.request_id);
        let error = json!({"type": kind, "message": message});
        RefusalReply {
            status,
            headers,
            body: json!({"type": "error", "error": error, "request_id": request_id}),
        }
    };
    let unauthorized =
        |message| reply(StatusCode::UNAUTHORIZED, "authentication_error", false, message);
    let invalid = |message| reply(StatusCode::BAD_REQUEST, "invalid_request_error", false, message);
    match refusal {
        Refusal::NoCredential => unauthorized("x-api-key header is required"),
        Refusal::SeveralCredentials => unauthorized("more than one API key was sent"),
        Refusal::UnknownKey => unauthorized("invalid x-api-key"),
        Refusal::UnknownPath => reply(StatusCode::NOT_FOUND, "not_found_error", false, "Not Found"),
        Refusal::BadRequest(why) => invalid(why),
        Refusal::UnknownModel => {
            let message = format!("model: {}", context.model);
            reply(StatusCode::NOT_FOUND, "not_found_error", false, &message)
        }
        Refusal::ModelForbidden => {
            let message = format!("Your API key may not use the model {}.", context.model);
            reply(StatusCode::FORBIDDEN, "permission_error", false, &message)
        }
        Refusal::PathForbidden => {
            let message = "Your API key does not have permission to use the specified resource.";
            reply(StatusCode::FORBIDDEN, "permission_error", false, message)
        }
        Refusal::HeaderRejected(name, value) => {
            invalid(&format!("Unexpected value(s) `{value}` for the `{name}` header."))
        }
        Refusal::QuotaExhausted => invalid(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits.",
        ),
        Refusal::LimitExceeded(exceeded) => {
            let retry = !matches!(exceeded.wait, Wait::Never(_));
            let message = exceeded_message(exceeded, context);
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut limited = reply(status, "rate_limit_error", retry, &message);
            if let Wait::For(wait) = exceeded.wait {
                put(&mut limited.headers, "retry-after", ceil_secs(wait).to_string());
            }
            limited
        }
        Refusal::Overloaded => {
            let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            reply(status, "overloaded_error", true, "Overloaded")
        }
        Refusal::Error(status) => {
            let message = format!("Answered with {status}.");
            reply(*status, kind_of(*status), status.is_server_error(), &message)
        }
    }
}

fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn exceeded_message(exceeded: &Exceeded, context: &ReplyContext<'_>) -> String {
    let Exceeded { metered, amount, period, .. } = exceeded;
    if exceeded.wait == Wait::Unknown {
        return "Number of concurrent connections has exceeded your rate limit. Please try again \
                later."
            .into();
    }
    format!(
        "This request would exceed the rate limit for your organization ({}) of {amount} {metered} \
         per {}. You can see the response headers for current usage.",
        context.account,
        period_name(*period),
    )
}

pub(super) fn add_ids(headers: &mut HeaderMap, context: &ReplyContext<'_>) {
    put(headers, "anthropic-organization-id", context.account);
    put(headers, "request-id", format!("req_{}", context.request_id));
}

/// Adds one family of headers for each kind of limit, for the first of its kind in the list.
pub(super) fn add_limits(
    headers: &mut HeaderMap,
    limits: &[Remaining],
    context: &ReplyContext<'_>,
) {
    for of in limits {
        let [limit, remaining, reset] = match of.metered {
            Metered::Requests => [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
            Metered::Tokens => [
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
            Metered::InputTokens => [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
            Metered::OutputTokens => [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
            Metered::Concurrent | Metered::Spend => continue,
        };
        put(headers, limit, of.amount.to_string());
        put(headers, remaining, of.remaining.to_string());
        put(headers, reset, rfc3339(context.now.saturating_add(of.reset)));
    }
}

pub(super) fn message(answer: &Answer) -> Value {
    json!({
        "model": &*answer.model,
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": script::text(0..answer.tokens)}],
        "stop_reason": stop_reason(answer),
        "stop_sequence": null,
        "usage": usage(answer, answer.tokens),
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.is_truncated { "max_tokens" } else { "end_turn" }
}

fn usage(answer: &Answer, output: u64) -> Value {
    let CacheUse { read, write, write_1h } = answer.cache_use;
    json!({
        "input_tokens": uncached(answer),
        "cache_creation_input_tokens": write + write_1h,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write,
            "ephemeral_1h_input_tokens": write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

/// Prompt tokens that were neither read from the cache nor written to it.
fn uncached(answer: &Answer) -> u64 {
    let CacheUse { read, write, write_1h } = answer.cache_use;
    answer.prompt_tokens.saturating_sub(read + write + write_1h)
}

pub(super) fn frame(answer: &Answer, part: &Part) -> String {
    let typed = |name: &str, mut fields: Value| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("type".into(), name.into());
        }
        event(name, &fields)
    };
    match part {
        Part::Head(0) => {
            let message = json!({
                "model": &*answer.model,
                "id": format!("msg_{}", answer.id),
                "type": "message",
                "role": "assistant",
                "content": [],
                "stop_reason": null,
                "stop_sequence": null,
                // The output is not known yet; the provider sends a small number in its place.
                "usage": usage(answer, 1),
            });
            typed("message_start", json!({"message": message}))
        }
        Part::Head(1) => {
            let block = json!({"type": "text", "text": ""});
            typed("content_block_start", json!({"index": 0, "content_block": block}))
        }
        Part::Head(_) => typed("ping", json!({})),
        Part::Text(tokens) => {
            let delta = json!({"type": "text_delta", "text": script::text(tokens.clone())});
            typed("content_block_delta", json!({"index": 0, "delta": delta}))
        }
        Part::Tail(0) => typed("content_block_stop", json!({"index": 0})),
        Part::Tail(1) => {
            let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
            let usage = json!({
                "input_tokens": uncached(answer),
                "cache_creation_input_tokens": answer.cache_use.write + answer.cache_use.write_1h,
                "cache_read_input_tokens": answer.cache_use.read,
                "output_tokens": answer.tokens,
            });
            typed("message_delta", json!({"delta": delta, "usage": usage}))
        }
        Part::Tail(_) => typed("message_stop", json!({})),
    }
}

pub(super) fn error() -> Value {
    let error = json!({"type": "overloaded_error", "message": "Overloaded", "details": null});
    json!({"type": "error", "error": error})
}
