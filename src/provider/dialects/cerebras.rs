//! Cerebras.

use std::sync::LazyLock;

use super::openai;
use crate::{
    provider::{
        LimitHeader, Limits, Provider, ProviderSpec, Refill, Rule, Wait,
        error_shape::ErrorShape,
        limits::{DAY, HOUR, MINUTE},
    },
    usage::UsageShape,
    verdict::{Place, Scope},
};

/// Cerebras: `https://api.cerebras.ai/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an organisation, per model, each of a minute, an hour and a day; they refill all the
///   time. Prompt and `max_completion_tokens` count when the request arrives. Resets were reported until
///   2025, in seconds with a fraction. (<https://inference-docs.cerebras.ai/support/rate-limits>)
/// - Prompts are cached in blocks of 128 tokens, for an organisation, for five minutes at least.
///   (<https://inference-docs.cerebras.ai/capabilities/prompt-caching>)
/// - Errors have no object around them; `retry-after-ms` comes alone.
///   (<https://inference-docs.cerebras.ai/support/error>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Cerebras {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("cerebras", "https://api.cerebras.ai")
        .limits(limits())
        .rules(rules())
        .usage(&[UsageShape::CHAT_TOLD])
        .error_shape(ErrorShape::Bare)
});

impl Provider for Cerebras {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Rolling)
        .header(LimitHeader::requests("x-ratelimit-{}-requests-minute").per(MINUTE))
        .header(LimitHeader::requests("x-ratelimit-{}-requests-hour").per(HOUR))
        .header(LimitHeader::requests("x-ratelimit-{}-requests-day").per(DAY))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens-minute").per(MINUTE))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens-hour").per(HOUR))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens-day").per(DAY))
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
