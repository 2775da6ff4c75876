//! OpenAI: refusals, limit headers, chat completions, embeddings and models.
//!
//! Shapes as in the [API reference](https://platform.openai.com/docs/api-reference) and the guides
//! on rate limits and error codes.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    reply::{RefusalReply, ReplyContext, data, period_name, put},
};
use crate::{
    limit::Metered,
    sandbox::{
        clock::{ceil_millis, ceil_secs, go_duration},
        limits::{Exceeded, Remaining, Wait},
        refusal::Refusal,
        script,
    },
};

pub(super) fn refuse(refusal: &Refusal, context: &ReplyContext<'_>) -> RefusalReply {
    let ReplyContext { model, account, .. } = context;
    let invalid = "invalid_request_error";
    let reply = |status, kind: &str, code: Option<&str>, message: String| RefusalReply {
        status,
        headers: HeaderMap::new(),
        body: json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    };
    match refusal {
        Refusal::NoCredential => {
            let message = "You didn't provide an API key. You need to provide your API key in an \
                Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
            reply(StatusCode::UNAUTHORIZED, invalid, None, message.into())
        }
        Refusal::SeveralCredentials => {
            let message = "More than one API key was provided. Send exactly one.".into();
            reply(StatusCode::UNAUTHORIZED, invalid, Some("invalid_api_key"), message)
        }
        Refusal::UnknownKey => {
            let message = "Incorrect API key provided. You can find your API key at \
                https://platform.openai.com/account/api-keys.";
            reply(StatusCode::UNAUTHORIZED, invalid, Some("invalid_api_key"), message.into())
        }
        Refusal::UnknownPath => reply(StatusCode::NOT_FOUND, invalid, None, "Invalid URL".into()),
        Refusal::BadRequest(why) => reply(StatusCode::BAD_REQUEST, invalid, None, (*why).into()),
        Refusal::UnknownModel => {
            let message =
                format!("The model `{model}` does not exist or you do not have access to it.");
            reply(StatusCode::NOT_FOUND, invalid, Some("model_not_found"), message)
        }
        Refusal::ModelForbidden => {
            let message = format!("Project `{account}` does not have access to model `{model}`");
            reply(StatusCode::FORBIDDEN, invalid, Some("model_not_found"), message)
        }
        Refusal::PathForbidden => {
            let message = format!(
                "You have insufficient permissions for this operation. Missing scopes: api.{}.write.",
                resource(context.path),
            );
            reply(StatusCode::UNAUTHORIZED, invalid, None, message)
        }
        Refusal::HeaderRejected(_, value) => {
            let message = format!("No such organization: {value}.");
            reply(StatusCode::UNAUTHORIZED, invalid, Some("invalid_organization"), message)
        }
        Refusal::QuotaExhausted => {
            let message = "You exceeded your current quota, please check your plan and billing \
                details.";
            let quota = "insufficient_quota";
            reply(StatusCode::TOO_MANY_REQUESTS, quota, Some(quota), message.into())
        }
        Refusal::LimitExceeded(exceeded) => {
            let kind = if counts_tokens(exceeded.metered) { "tokens" } else { "requests" };
            let code = Some("rate_limit_exceeded");
            let mut limited = reply(
                StatusCode::TOO_MANY_REQUESTS,
                kind,
                code,
                exceeded_message(exceeded, context),
            );
            if let Wait::For(wait) = exceeded.wait {
                put(&mut limited.headers, "retry-after", ceil_secs(wait).to_string());
                put(&mut limited.headers, "retry-after-ms", ceil_millis(wait).to_string());
            }
            limited
        }
        Refusal::Overloaded => {
            let message = "The engine is currently overloaded, please try again later.".into();
            let (kind, code) = ("service_unavailable_error", Some("server_is_overloaded"));
            reply(StatusCode::SERVICE_UNAVAILABLE, kind, code, message)
        }
        Refusal::Error(status) if status.is_server_error() => {
            let message = "The server had an error while processing your request.".into();
            reply(*status, "server_error", Some("server_error"), message)
        }
        Refusal::Error(status) => reply(*status, invalid, None, format!("Answered with {status}.")),
    }
}

/// The resource of a path: `responses` of `/v1/responses`.
fn resource(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or_default()
}

fn counts_tokens(metered: Metered) -> bool {
    matches!(metered, Metered::Tokens | Metered::InputTokens | Metered::OutputTokens)
}

fn exceeded_message(exceeded: &Exceeded, context: &ReplyContext<'_>) -> String {
    let ReplyContext { model, account, .. } = context;
    let Exceeded { metered, amount, period, used, requested, wait } = exceeded;
    let per = period_name(*period);
    match wait {
        Wait::Hidden => {
            format!("Rate limit reached for {model} in organization {account} on {metered}.")
        }
        Wait::Unknown => {
            format!("Too many concurrent requests for {model} in organization {account}.")
        }
        Wait::Never(_) => format!(
            "Request too large for {model} in organization {account} on {metered} per {per}: Limit \
             {amount}, Requested {requested}. The input or output tokens must be reduced in order \
             to run successfully.",
        ),
        Wait::For(wait) => format!(
            "Rate limit reached for {model} in organization {account} on {metered} per {per}: \
             Limit {amount}, Used {used}, Requested {requested}. Please try again in {}.",
            go_duration(*wait),
        ),
    }
}

pub(super) fn add_ids(headers: &mut HeaderMap, context: &ReplyContext<'_>) {
    put(headers, "openai-organization", context.account);
    put(headers, "x-request-id", format!("req_{}", context.request_id));
}

/// Adds one family of headers for requests and one for tokens, each for the first such limit in the list.
pub(super) fn add_limits(headers: &mut HeaderMap, limits: &[Remaining]) {
    let mut add = |of: &Remaining, names: [&'static str; 3]| {
        let [limit, remaining, reset] = names;
        put(headers, limit, of.amount.to_string());
        put(headers, remaining, of.remaining.to_string());
        put(headers, reset, go_duration(of.reset));
    };
    if let Some(of) = limits.iter().find(|of| of.metered == Metered::Requests) {
        let names = [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ];
        add(of, names);
    }
    if let Some(of) = limits.iter().find(|of| counts_tokens(of.metered)) {
        let names = [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ];
        add(of, names);
    }
}

pub(super) fn chat(answer: &Answer) -> Value {
    let text = script::text(0..answer.tokens);
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": "chat.completion",
        "created": answer.created,
        "model": &*answer.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": finish_reason(answer),
        }],
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    })
}

pub(super) fn frame(answer: &Answer, part: &Part) -> String {
    let chunk = |choices: Value| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", answer.id),
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": &*answer.model,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
            "choices": choices,
        });
        // If the request asks for usage, every chunk has this field.
        if answer.include_usage
            && let Some(fields) = chunk.as_object_mut()
        {
            fields.insert("usage".into(), Value::Null);
        }
        chunk
    };
    let choice = |delta: Value, reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]))
    };
    match part {
        Part::Head(_) => {
            let delta = json!({"role": "assistant", "content": "", "refusal": null});
            data(&choice(delta, None))
        }
        Part::Text(tokens) => data(&choice(json!({"content": script::text(tokens.clone())}), None)),
        Part::Tail(0) => data(&choice(json!({}), Some(finish_reason(answer)))),
        Part::Tail(1) if answer.include_usage => {
            let mut last = chunk(json!([]));
            if let Some(fields) = last.as_object_mut() {
                fields.insert("usage".into(), usage(answer));
            }
            data(&last)
        }
        Part::Tail(_) => "data: [DONE]\n\n".into(),
    }
}

pub(super) fn error() -> Value {
    json!({"error": {
        "message": "The server had an error while processing your request.",
        "type": "server_error",
        "param": null,
        "code": "server_error",
    }})
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.is_truncated { "length" } else { "stop" }
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens.saturating_add(answer.tokens),
        "prompt_tokens_details": {"cached_tokens": answer.cache_use.read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

pub(super) fn embeddings(answer: &Answer) -> Value {
    json!({
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5, 0.5, 0.5]}],
        "model": &*answer.model,
        "usage": {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens},
    })
}

pub(super) fn models(answer: &Answer) -> Value {
    let model = |id: &Arc<str>| json!({"id": &**id, "object": "model", "created": answer.created, "owned_by": "sandbox"});
    json!({"object": "list", "data": answer.models.iter().map(model).collect::<Vec<_>>()})
}
