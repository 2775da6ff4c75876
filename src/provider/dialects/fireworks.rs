//! Fireworks.

use std::sync::LazyLock;

use super::openai;
use crate::{
    limit::Metered,
    provider::{
        LimitHeader, Limits, OutputCap, Provider, ProviderSpec, Refill, Rule, limits::MINUTE,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Fireworks: `https://api.fireworks.ai/inference/v1`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an account, service accounts included, in rolling minutes, and adapt to its traffic:
///   headers report the least that is granted, and no time.
///   (<https://docs.fireworks.ai/guides/quotas_usage/rate-limits>)
/// - A bad key is a 403, an account that has not paid a 412.
///   (<https://docs.fireworks.ai/guides/inference-error-codes>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Fireworks {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("fireworks", "https://api.fireworks.ai")
        .limits(limits())
        .rules(rules())
        .output_cap(OutputCap::Produced)
        .usage(&[UsageShape::CHAT_TOLD, UsageShape::RESPONSES])
});

impl Provider for Fireworks {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

fn limits() -> Limits {
    let of = |metered, template| LimitHeader::of(metered, template).per(MINUTE);
    Limits::of(Scope::Account, Refill::Rolling)
        .header(of(Metered::Requests, "x-ratelimit-{}-requests"))
        .header(of(Metered::InputTokens, "x-ratelimit-{}-tokens-prompt"))
        .header(of(Metered::InputTokens, "x-ratelimit-{}-tokens-cache-adjusted-prompt"))
        .header(of(Metered::OutputTokens, "x-ratelimit-{}-tokens-generated"))
}

fn rules() -> Vec<Rule> {
    vec![
        // "Account ... is suspended, possibly due to reaching the monthly spending limit or failure to
        // pay past invoices". Other 412s are about adapters that cannot be loaded.
        Rule::quota_exhausted("fireworks/suspended").status(412).says(["is suspended"]),
        // `{"error": "unauthorized"}`: that is what a bad key gets, but the word does not say so.
        Rule::key_rejected("fireworks/invalid-key")
            .status(403)
            .begins(["unauthorized"])
            .place(Place::Operation)
            .blame(Blame::Inferred),
        // "Request didn't generate first token before the given deadline"
        Rule::overloaded("fireworks/capacity")
            .status(429)
            .says(["generate first token"])
            .blame(Blame::Inferred),
        Rule::rate_limited("fireworks/rate-limit").status(429).says(["usage limits", "rate limit"]),
        Rule::overloaded("fireworks/unavailable").status(520).blame(Blame::Inferred),
    ]
}
