//! Anthropic: refusals, limit headers and messages.
//!
//! Shapes as in the API reference's pages on
//! [errors](https://docs.anthropic.com/en/api/errors),
//! [rate limits](https://docs.anthropic.com/en/api/rate-limits) and
//! [streaming](https://docs.anthropic.com/en/docs/build-with-claude/streaming).

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    Context, Told,
    answer::{Answer, Part, event},
    put,
};
use crate::{
    limit::Metered,
    sandbox::{
        cache::Cached,
        clock::{ceil_secs, rfc3339},
        limits::{Left, Over, Wait},
        refusal::Refusal,
        script,
    },
};

/// How many frames of a stream come before the text, and how many after it.
pub(super) const HEAD: u64 = 3;
pub(super) const TAIL: u64 = 3;

pub(super) fn refuse(refusal: &Refusal, context: &Context<'_>) -> Told {
    let say = |status, kind: &str, retry: bool, message: &str| {
        let mut headers = HeaderMap::new();
        put(&mut headers, "x-should-retry", retry.to_string());
        let request_id = format!("req_{}", context.request_id);
        let error = json!({"type": kind, "message": message});
        Told {
            status,
            headers,
            body: json!({"type": "error", "error": error, "request_id": request_id}),
        }
    };
    let unauthorized =
        |message| say(StatusCode::UNAUTHORIZED, "authentication_error", false, message);
    let invalid = |message| say(StatusCode::BAD_REQUEST, "invalid_request_error", false, message);
    match refusal {
        Refusal::NoCredential => unauthorized("x-api-key header is required"),
        Refusal::SeveralCredentials => unauthorized("more than one API key was sent"),
        Refusal::UnknownKey => unauthorized("invalid x-api-key"),
        Refusal::UnknownPath => say(StatusCode::NOT_FOUND, "not_found_error", false, "Not Found"),
        Refusal::BadRequest(why) => invalid(why),
        Refusal::UnknownModel => {
            let message = format!("model: {}", context.model);
            say(StatusCode::NOT_FOUND, "not_found_error", false, &message)
        }
        Refusal::ModelForbidden => {
            let message = format!("Your API key may not use the model {}.", context.model);
            say(StatusCode::FORBIDDEN, "permission_error", false, &message)
        }
        Refusal::PathForbidden => {
            let message = "Your API key does not have permission to use the specified resource.";
            say(StatusCode::FORBIDDEN, "permission_error", false, message)
        }
        Refusal::HeaderRejected(name, value) => {
            invalid(&format!("Unexpected value(s) `{value}` for the `{name}` header."))
        }
        Refusal::Exhausted => invalid(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits.",
        ),
        Refusal::Over(over) => {
            let retry = !matches!(over.wait, Wait::Never(_));
            let message = over_message(over, context);
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut told = say(status, "rate_limit_error", retry, &message);
            if let Wait::For(wait) = over.wait {
                put(&mut told.headers, "retry-after", ceil_secs(wait).to_string());
            }
            told
        }
        Refusal::Overloaded => {
            let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            say(status, "overloaded_error", true, "Overloaded")
        }
        Refusal::Error(status) => {
            let message = format!("Answered with {status}.");
            say(*status, kind_of(*status), status.is_server_error(), &message)
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

fn over_message(over: &Over, context: &Context<'_>) -> String {
    let Over { metered, amount, period, .. } = over;
    if over.wait == Wait::Unknown {
        return "Number of concurrent connections has exceeded your rate limit. Please try again \
                later."
            .into();
    }
    format!(
        "This request would exceed the rate limit for your organization ({}) of {amount} {metered} \
         per {}. You can see the response headers for current usage.",
        context.account,
        super::per(*period),
    )
}

pub(super) fn greet(headers: &mut HeaderMap, context: &Context<'_>) {
    put(headers, "anthropic-organization-id", context.account);
    put(headers, "request-id", format!("req_{}", context.request_id));
}

/// One family of headers for each kind of limit: the first of its kind in the list.
pub(super) fn tell_left(headers: &mut HeaderMap, left: &[Left], context: &Context<'_>) {
    for left in left {
        let [limit, remaining, reset] = match left.metered {
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
        put(headers, limit, left.amount.to_string());
        put(headers, remaining, left.left.to_string());
        put(headers, reset, rfc3339(context.now.saturating_add(left.reset)));
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
    if answer.cut_short { "max_tokens" } else { "end_turn" }
}

fn usage(answer: &Answer, output: u64) -> Value {
    let Cached { read, write, write_1h } = answer.cached;
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

/// The tokens that the cache has nothing to do with.
fn uncached(answer: &Answer) -> u64 {
    let Cached { read, write, write_1h } = answer.cached;
    answer.prompt.saturating_sub(read + write + write_1h)
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
                // What comes out is not known yet: a small number stands in for it.
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
                "cache_creation_input_tokens": answer.cached.write + answer.cached.write_1h,
                "cache_read_input_tokens": answer.cached.read,
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
