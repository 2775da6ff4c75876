//! Anthropic, with its own API and the path that speaks OpenAI's.

use std::sync::LazyLock;

use http::{HeaderName, HeaderValue};

use crate::{
    limit::Metered,
    provider::{
        AuthScheme, Framing, LimitHeader, Limits, Match, OutputCap, Provider, ProviderSpec, Refill,
        Rule, TokenSize, Wait, error_shape::ErrorShape, operation::Operations,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Anthropic: messages and the rest of `https://api.anthropic.com/v1`, the OpenAI-compatible
/// `/v1/chat/completions` included.
///
/// - The key travels in `x-api-key`, on the compatible path as `authorization: Bearer <key>`.
///   `anthropic-version: 2023-06-01` is added where the caller sends none.
///   (<https://docs.claude.com/en/api/versioning>, <https://docs.claude.com/en/api/openai-sdk>)
/// - Limits hold for an organisation (workspaces may have lower ones), per class of models, never
///   per key, and refill all the time. "Only uncached input tokens and cache writes count towards ITPM on
///   most models", and output as it is produced, whatever `max_tokens` says.
///   (<https://docs.claude.com/en/api/rate-limits>)
/// - What stands before a `cache_control` mark is cached, for an organisation or workspace, for five
///   minutes after each use; from 1,024 tokens on for most models, from 512 or 4,096 for others.
///   `metadata.user_id` names a user, not a conversation.
///   (<https://docs.claude.com/en/docs/build-with-claude/prompt-caching>)
/// - An error may be an event of a stream, and often is its first: `overloaded_error`.
///   (<https://docs.claude.com/en/api/errors>)
/// - `retry-after` comes with successes too; it is read from refusals only.
/// - A POST may be repeated, as the official SDKs do (`_base_client.py` of anthropic-sdk-python).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Anthropic {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    ProviderSpec::new("anthropic", "https://api.anthropic.com")
        .auth(AuthScheme::Header(HeaderName::from_static("x-api-key")))
        .processing_time(HeaderName::from_static("x-envoy-upstream-service-time"))
        .auth_on("/chat/completions", AuthScheme::Bearer)
        .header(
            HeaderName::from_static("anthropic-version"),
            HeaderValue::from_static("2023-06-01"),
        )
        .limits(limits())
        .rules(rules())
        .operations(Operations::Collections)
        .reads_bodies()
        .tokens(TokenSize::ANTHROPIC)
        .output_cap(OutputCap::Produced)
        .without_cache_reads()
        .errors_in(&[Framing::Events, Framing::Whole])
        .usage(&[UsageShape::MESSAGES, UsageShape::CHAT])
        .repeats_post()
        .error_shape(ErrorShape::Anthropic)
});

impl Provider for Anthropic {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// Resets are times in RFC 3339, when the whole allowance is back; 1970 means unknown. The compatible
/// path sends OpenAI's headers, but the limit without its word.
fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Rolling)
        .header(LimitHeader::requests("anthropic-ratelimit-requests-{}"))
        .header(LimitHeader::tokens("anthropic-ratelimit-tokens-{}"))
        .header(LimitHeader::of(Metered::InputTokens, "anthropic-ratelimit-input-tokens-{}"))
        .header(LimitHeader::of(Metered::OutputTokens, "anthropic-ratelimit-output-tokens-{}"))
        .header(LimitHeader::requests("x-ratelimit-{}-requests").limit_in("x-ratelimit-requests"))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens").limit_in("x-ratelimit-tokens"))
}

/// <https://docs.claude.com/en/api/errors>
fn rules() -> Vec<Rule> {
    vec![
        Rule::key_rejected("anthropic/organization-disabled")
            .status([400, 401, 403])
            .begins(["This organization has been disabled"]),
        Rule::key_rejected("anthropic/invalid-key")
            .status(401)
            .code(["authentication_error"])
            .begins([
                "invalid x-api-key",
                "invalid bearer token",
                "invalid api key",
                "your api key",
            ]),
        // The same is said of a workspace that a header names, and of paths for administrators.
        Rule::key_rejected("anthropic/not-authenticated")
            .status(401)
            .code(["authentication_error"])
            .place(Place::Operation)
            .blame(Blame::Inferred),
        // Looks like a caller's fault, and is not.
        Rule::quota_exhausted("anthropic/no-credit")
            .status([400, 403])
            .begins(["Your credit balance is too low"]),
        // "You have reached your specified (workspace) API usage limits. You will regain access on
        // 2026-02-01 at 00:00 UTC."
        Rule::quota_exhausted("anthropic/usage-limit")
            .status([400, 403, 429])
            .begins(["You have reached your specified"])
            .wait(Wait::date()),
        // The month's spend is used up; months begin at 00:00 UTC.
        spend_limit("/error/details/error_code"),
        spend_limit("/error/details/*/error_code"),
        // "Your API key does not have permission to use the specified resource"
        // Said of a missing scope, and of a beta header that the organisation may not use.
        Rule::permission_refused("anthropic/no-permission")
            .status(403)
            .code(["permission_error"])
            .blame(Blame::Inferred),
        // One prompt larger than the whole limit, with most of that remaining: "This request would exceed
        // your organization's rate limit of 450,000 input tokens per minute". In other words: "the rate
        // limit for your organization (...) of 450,000".
        Rule::too_large("anthropic/request-too-large")
            .status(429)
            .header("x-should-retry", Match::is(["false"]))
            .header("retry-after", Match::Absent)
            .size_after(" of "),
        // Comes without any time.
        Rule::rate_limited("anthropic/too-many-connections")
            .status(429)
            .begins(["Number of concurrent connections"]),
        Rule::rate_limited("anthropic/rate-limit").status(429).code(["rate_limit_error"]),
        Rule::overloaded("anthropic/overloaded").status(500..=599).code(["overloaded_error"]),
    ]
}

fn spend_limit(pointer: &'static str) -> Rule {
    Rule::quota_exhausted("anthropic/spend-limit")
        .status(429)
        .json(pointer, Match::is(["enforced_spend_limit_reached"]))
        .wait(Wait::next_month())
}
