//! xAI.

use std::sync::LazyLock;

use http::HeaderName;

use super::openai;
use crate::{
    provider::{
        LimitHeader, Limits, Match, OutputCap, PromptCache, Provider, ProviderSpec, Refill, Rule,
        error_shape::ErrorShape,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// xAI: `https://api.x.ai/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for a team, per model. Headers report them on some paths, and never when they are back.
///   (<https://docs.x.ai/docs/key-information/consumption-and-rate-limits>)
/// - `x-grok-conv-id` says which conversation a request is of, so that its prompt is found in a cache;
///   how long that is kept is not documented.
///   (<https://docs.x.ai/developers/advanced-api-usage/prompt-caching/best-practices>)
/// - Errors are `{"code": "prose", "error": "prose"}`; a bad key is a 400.
///   (<https://docs.x.ai/docs/key-information/debugging>)
/// - Of chat completions, reasoning is not in `completion_tokens`; of responses it is in
///   `output_tokens`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct XAi {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("xai", "https://api.x.ai")
        .limits(
            Limits::of(Scope::Model, Refill::Rolling)
                .header(LimitHeader::requests("x-ratelimit-{}-requests"))
                .header(LimitHeader::tokens("x-ratelimit-{}-tokens")),
        )
        .rules(rules())
        .output_cap(OutputCap::Unknown)
        .prompt_cache(PromptCache::new().header(HeaderName::from_static("x-grok-conv-id")))
        .usage(&[CHAT, UsageShape::RESPONSES])
        .error_shape(ErrorShape::Text)
});

impl Provider for XAi {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

const CHAT: UsageShape = UsageShape { output_has_reasoning: false, ..UsageShape::CHAT };

fn rules() -> Vec<Rule> {
    vec![
        Rule::key_rejected("xai/invalid-key").status(400).begins(["Incorrect API key provided"]),
        // "Your team ... has either used all available credits or reached its monthly spending limit",
        // "Your newly created team doesn't have any credits yet"
        Rule::quota_exhausted("xai/no-credit")
            .status([403, 429])
            .says(["used all available credits", "have any credits"]),
        // "Content violates usage guidelines. Team: ..., Failed check: SAFETY_CHECK_TYPE_..."
        Rule::caller_fault("xai/safety").status(403).says(["violates usage guidelines"]),
        // "The API key ... cannot be used to make requests against grok-4 because it lacks the permissions"
        Rule::permission_refused("xai/no-model-access")
            .status(403)
            .says(["cannot be used to make requests against"])
            .place(Place::KeyModel),
        // No more than another word for the status.
        Rule::permission_refused("xai/no-permission")
            .status(403)
            .json("/code", Match::contains(["does not have permission", "permission-denied"]))
            .blame(Blame::Inferred),
        // "Too many tokens for team ... and model ...", "Too many requests for team ..."
        Rule::rate_limited("xai/rate-limit").status(429).says(["for team"]),
    ]
}
