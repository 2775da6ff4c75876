//! OpenRouter.

use std::sync::LazyLock;

use super::openai;
use crate::{
    provider::{
        Framing, LimitHeader, Limits, Match, OutputCap, Provider, ProviderSpec, Refill, Rule, Wait,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// OpenRouter: `https://openrouter.ai/api/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`. `HTTP-Referer` and `X-Title` are the caller's.
/// - Limits are an account's, whatever the key; credit may be capped per key. Headers report them with
///   OpenRouter's own 429 only (of free models), the reset in milliseconds since 1970.
///   (<https://openrouter.ai/docs/api-reference/limits>)
/// - An error may stand in a 200: in place of an answer, in a chunk, or beside the part of an answer.
/// - A 429 that says "Provider returned error" is the upstream's, of one model. It is taken for a limit of
///   this account on that model and not for an overload: another account may have a key of its own there.
///   (<https://openrouter.ai/docs/api-reference/errors>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenRouter {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("openrouter", "https://openrouter.ai")
        .limits(
            Limits::of(Scope::Model, Refill::Fixed).header(LimitHeader::requests("x-ratelimit-{}")),
        )
        .waits([
            Wait::retry_after(),
            Wait::reset(),
            Wait::json("/error/metadata/headers/X-RateLimit-Reset"),
        ])
        .rules(rules())
        .output_cap(OutputCap::Unknown)
        .errors_in(&[Framing::Events, Framing::Whole])
        .usage(&[UsageShape::CHAT_TOLD, UsageShape::RESPONSES])
});

impl Provider for OpenRouter {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

const SOURCE: &str = "/error/metadata/limit_source";

fn rules() -> Vec<Rule> {
    let resets_at = || Wait::json("/error/metadata/resets_at");
    vec![
        // Passes when one of the account's own requests has ended.
        Rule::rate_limited("openrouter/in-flight-budget")
            .json(SOURCE, Match::is(["openrouter_in_flight_budget"]))
            .place(Place::Account),
        // "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can
        // only afford 30104": a smaller one may be served, or this one by an account with more. It may report
        // the source of the limit, too.
        Rule::too_large("openrouter/can-only-afford")
            .status(402)
            .says(["can only afford"])
            .size_after("can only afford "),
        Rule::quota_exhausted("openrouter/key-limit")
            .status([402, 403])
            .json(SOURCE, Match::is(["openrouter_key_limit"]))
            .place(Place::Key)
            .wait(resets_at()),
        Rule::quota_exhausted("openrouter/budget")
            .status([402, 403])
            .json(SOURCE, Match::Present)
            .wait(resets_at())
            .wait(Wait::retry_after()),
        Rule::quota_exhausted("openrouter/no-credit").status(402).says(["credits"]),
        Rule::caller_fault("openrouter/moderation")
            .status(403)
            .json("/error/metadata/reasons", Match::Present),
        Rule::caller_fault("openrouter/upstream-forbids")
            .status(403)
            .begins(["Provider returned error"]),
        Rule::rate_limited("openrouter/upstream-limit")
            .status(429)
            .begins(["Provider returned error"])
            .place(Place::Model)
            .wait(Wait::retry_after()),
        Rule::quota_exhausted("openrouter/daily-limit")
            .status(429)
            .says(["per-day"])
            .place(Place::Model)
            .wait(Wait::retry_after())
            .wait(Wait::reset())
            .wait(Wait::json("/error/metadata/headers/X-RateLimit-Reset"))
            .wait(Wait::midnight("UTC")),
        Rule::rate_limited("openrouter/rate-limit")
            .status(429)
            .says(["rate limit exceeded", "limit_rpm"]),
        // "No endpoints found matching your data policy": a setting of the account, or of the request.
        Rule::permission_refused("openrouter/data-policy")
            .status(404)
            .says(["data policy"])
            .place(Place::KeyModel)
            .blame(Blame::Inferred),
        Rule::caller_fault("openrouter/no-endpoints").status(404).says(["no endpoints"]),
    ]
}
