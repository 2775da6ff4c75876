//! Together.

use std::sync::LazyLock;

use super::openai;
use crate::{
    provider::{
        LimitHeader, Limits, OutputCap, Provider, ProviderSpec, Refill, Rule, limits::SECOND,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Together: `https://api.together.xyz/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an account, per kind of model, and are kept second by second: headers report so many
///   per second, and may report more remaining than that. `retry-after` comes with successes too; it
///   is read from refusals only. (<https://docs.together.ai/docs/rate-limits>)
/// - `credit_limit` in an error's type is a rate limit all the same.
///   (<https://docs.together.ai/docs/error-codes>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Together {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("together", "https://api.together.xyz")
        .limits(
            Limits::of(Scope::Model, Refill::Rolling)
                .header(LimitHeader::requests("x-ratelimit-{}").per(SECOND))
                .header(LimitHeader::tokens("x-ratelimit-{}-tokens").per(SECOND)),
        )
        .rules(rules())
        .output_cap(OutputCap::Unknown)
        .usage(&[UsageShape::CHAT_TOLD])
});

impl Provider for Together {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

fn rules() -> Vec<Rule> {
    vec![
        // "You have been rate limited. Your rate limit is 60 queries per minute."
        Rule::rate_limited("together/rate-limit")
            .status(429)
            .code(["credit_limit"])
            .place(Place::Account),
        Rule::rate_limited("together/model-rate-limit").status(429).code(["model_rate_limit"]),
        // "You have reached your monthly spending limit"
        Rule::quota_exhausted("together/spending-limit").status(402).says(["spending limit"]),
        // The engine did not answer its own gateway in time.
        Rule::overloaded("together/engine-timeout").status(524).blame(Blame::Inferred),
        // Prompt and `max_tokens` together are more than the model takes: "`inputs` tokens +
        // `max_new_tokens` must be <= 8193".
        Rule::caller_fault("together/context-length").status(403).says([
            "max_new_tokens",
            "max_tokens",
            "context length",
        ]),
        // "Unable to access non-serverless model": an account may have an endpoint of its own for it.
        Rule::permission_refused("together/no-model-access")
            .status([400, 403, 404])
            .code(["model_not_available"])
            .place(Place::KeyModel)
            .blame(Blame::Inferred),
    ]
}
