//! Cerebras.

use std::sync::LazyLock;

use super::openai;
use crate::{
    Place, Scope,
    provider::{
        Facts, Limits, Line, Provider, Refill, Rule, UsageShape, Wait,
        limits::{DAY, HOUR, MINUTE},
        refusal_body::ErrorShape,
    },
};

/// Cerebras: `https://api.cerebras.ai/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an organisation, per model, each of a minute, an hour and a day; they refill all the
///   time. Prompt and `max_completion_tokens` count when the request arrives. Resets were told until
///   2025, in seconds with a fraction. (<https://inference-docs.cerebras.ai/support/rate-limits>)
/// - Prompts are cached in blocks of 128 tokens, for an organisation, for five minutes at least.
///   (<https://inference-docs.cerebras.ai/capabilities/prompt-caching>)
/// - Errors have no object around them; `retry-after-ms` comes alone.
///   (<https://inference-docs.cerebras.ai/support/error>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Cerebras {}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    openai::like("cerebras", "https://api.cerebras.ai")
        .limits(limits())
        .rules(rules())
        .usage(&[UsageShape::CHAT_TOLD])
        .error_shape(ErrorShape::Bare)
});

impl Provider for Cerebras {
    fn facts(&self) -> &Facts {
        &FACTS
    }
}

fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Rolling)
        .line(Line::requests("x-ratelimit-{}-requests-minute").per(MINUTE))
        .line(Line::requests("x-ratelimit-{}-requests-hour").per(HOUR))
        .line(Line::requests("x-ratelimit-{}-requests-day").per(DAY))
        .line(Line::tokens("x-ratelimit-{}-tokens-minute").per(MINUTE))
        .line(Line::tokens("x-ratelimit-{}-tokens-hour").per(HOUR))
        .line(Line::tokens("x-ratelimit-{}-tokens-day").per(DAY))
}

fn rules() -> Vec<Rule> {
    vec![
        // "We're experiencing high traffic right now!"
        Rule::overloaded("cerebras/queue").status(429).code(["queue_exceeded"]),
        // "Tokens per day limit exceeded"
        Rule::quota_exhausted("cerebras/daily-limit")
            .status(429)
            .begins(["Tokens per day", "Requests per day"])
            .place(Place::Model)
            .wait(Wait::retry_after())
            .wait(Wait::reset()),
        // The code says quota, and means so many per second, minute or hour.
        Rule::rate_limited("cerebras/rate-limit")
            .status(429)
            .code(["request_quota_exceeded", "token_quota_exceeded"]),
    ]
}
