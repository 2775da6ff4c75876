//! Mistral.

use std::sync::LazyLock;

use http::HeaderName;

use super::openai;
use crate::{
    provider::{
        LimitHeader, Limits, Match, OutputCap, Provider, ProviderSpec, Refill, Rule,
        error_shape::ErrorShape,
        limits::{MINUTE, MONTH, SECOND},
        operation::Operations,
    },
    usage::UsageShape,
    verdict::Scope,
};

/// Mistral: `https://api.mistral.ai/v1`.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for a workspace, per model, in whole minutes. Since 2025 no header reports when they are
///   back, and a 429 may come with all tokens left.
///   (<https://docs.mistral.ai/deployment/ai-studio/tier>)
/// - A bad key is refused in three shapes, one of them an empty body.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Mistral {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("mistral", "https://api.mistral.ai")
        .limits(limits())
        .rules(rules())
        .operations(Operations::Mistral)
        .output_cap(OutputCap::Unknown)
        .processing_time(HeaderName::from_static("x-envoy-upstream-service-time"))
        .usage(&[USAGE])
        .error_shape(ErrorShape::Bare)
});

impl Provider for Mistral {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// In the last chunk always. Tokens of audio stand beside those of the prompt.
const USAGE: UsageShape =
    UsageShape { other_input: &["/prompt_tokens_details/audio_tokens"], ..UsageShape::CHAT_TOLD };

/// Three generations of headers: since August 2025, before, and the bare `ratelimitbysize` of 2024.
fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Fixed)
        .header(LimitHeader::requests("x-ratelimit-{}-req-minute").per(MINUTE))
        .header(LimitHeader::requests("x-ratelimit-{}-req-10-second").per(10 * SECOND))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens-minute").per(MINUTE))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens-month").per(MONTH))
        .header(LimitHeader::tokens("ratelimitbysize-{}").per(MINUTE))
        .header(LimitHeader::tokens("x-ratelimitbysize-{}-minute").per(MINUTE))
        .header(LimitHeader::tokens("x-ratelimitbysize-{}-month").per(MONTH))
}

fn rules() -> Vec<Rule> {
    vec![
        // "Service tier capacity exceeded for this model"
        Rule::overloaded("mistral/capacity").status(429).code(["3505"]),
        Rule::rate_limited("mistral/rate-limit").status(429).code(["1300", "rate_limited"]),
        Rule::rate_limited("mistral/rate-limit").status(429).says(["rate limit exceeded"]),
        // A 500 that says "Service unavailable."
        Rule::overloaded("mistral/unavailable").status(500).says(["service unavailable"]),
        Rule::caller_fault("mistral/invalid-model")
            .status(400)
            .json("/type", Match::is(["invalid_model"])),
    ]
}
