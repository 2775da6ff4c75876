//! Groq.

use std::{sync::LazyLock, time::Duration};

use super::openai;
use crate::{
    provider::{
        LimitHeader, Limits, PromptCache, Provider, ProviderSpec, Refill, Rule, Wait,
        limits::{DAY, MINUTE},
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Groq: `https://api.groq.com/openai/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an organisation, per model, and refill all the time; cached tokens do not count.
///   `x-ratelimit-*-requests` always reports those of a *day*, `-tokens` those of a *minute*; tokens of a
///   day are not reported. (<https://console.groq.com/docs/rate-limits>)
/// - Prompts are cached for two hours after their last use.
///   (<https://console.groq.com/docs/prompt-caching>)
/// - A request that is larger than the limit is a 413 with the code of a rate limit.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Groq {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("groq", "https://api.groq.com")
        .limits(
            Limits::of(Scope::Model, Refill::Rolling)
                .header(LimitHeader::requests("x-ratelimit-{}-requests").per(DAY))
                .header(LimitHeader::tokens("x-ratelimit-{}-tokens").per(MINUTE)),
        )
        .rules(rules())
        .without_cache_reads()
        .prompt_cache(PromptCache::new().lifetime(Duration::from_secs(2 * 3_600)))
        // In the last chunk always; with `include_usage` once more.
        .usage(&[UsageShape::CHAT_TOLD, UsageShape::RESPONSES])
});

impl Provider for Groq {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// <https://console.groq.com/docs/errors>, <https://console.groq.com/docs/spend-limits>
fn rules() -> Vec<Rule> {
    vec![
        Rule::too_large("groq/request-too-large")
            .status(413)
            .code(["rate_limit_exceeded"])
            .size_after("limit "),
        // The organisation's spend of the month.
        Rule::quota_exhausted("groq/spend-limit")
            .status(400)
            .code(["blocked_api_access"])
            .wait(Wait::next_month()),
        // "Organization has been restricted. Please reach out to support"
        Rule::key_rejected("groq/organization-restricted")
            .status([400, 401, 403])
            .code(["organization_restricted"]),
        // "The model `m` is blocked at the project level", or its terms were not accepted.
        // (<https://console.groq.com/docs/model-permissions>)
        Rule::permission_refused("groq/no-model-access")
            .status([400, 403])
            .code([
                "model_permission_blocked_org",
                "model_permission_blocked_project",
                "model_terms_required",
            ])
            .place(Place::KeyModel),
        // The model has called a tool wrongly: the next attempt may do better, but with any key.
        Rule::caller_fault("groq/tool-use-failed").status(400).code(["tool_use_failed"]),
        Rule::overloaded("groq/flex-capacity").status(498).blame(Blame::Inferred),
    ]
}
