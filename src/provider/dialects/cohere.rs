//! Cohere.

use std::sync::LazyLock;

use http::HeaderName;

use crate::{
    provider::{
        Framing, LimitHeader, Limits, Provider, ProviderSpec, Refill, Rule, Wait,
        error_shape::ErrorShape, limits::MINUTE, operation::Operations,
    },
    usage::UsageShape,
    verdict::{Place, Scope},
};

/// Cohere: `https://api.cohere.com`, versions 1 and 2 and the OpenAI-compatible `/compatibility/v1`.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits are calls per minute, for each endpoint and model; trial keys of one organisation share
///   1,000 calls a month. Headers report the limits of trial keys only, and never when they are back.
///   (<https://docs.cohere.com/docs/rate-limits>)
/// - A billing cap is each key's own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Cohere {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    ProviderSpec::new("cohere", "https://api.cohere.com")
        .limits(
            Limits::of(Scope::Model, Refill::Fixed)
                .header(LimitHeader::requests("x-trial-endpoint-call-{}").per(MINUTE)),
        )
        .rules(rules())
        .operations(Operations::Collections)
        .reads_bodies()
        .processing_time(HeaderName::from_static("x-envoy-upstream-service-time"))
        .errors_in(&[Framing::Events, Framing::Whole])
        .usage(&[USAGE, META, UsageShape::CHAT_TOLD])
        .repeats_post()
        .error_shape(ErrorShape::Message)
});

impl Provider for Cohere {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// What is metered; what is billed stands in `billed_units`.
/// <https://docs.cohere.com/reference/chat>
const USAGE: UsageShape = UsageShape {
    mark: Some("/billed_units"),
    input: &["/tokens/input_tokens", "/billed_units/input_tokens"],
    cache_read: &["/cached_tokens"],
    cache_write: &[],
    output: &["/tokens/output_tokens", "/billed_units/output_tokens"],
    reasoning: &["/tokens/reasoning_tokens"],
    ..UsageShape::CHAT_TOLD
};

/// The same of version 1.
const META: UsageShape = UsageShape { member: "meta", ..USAGE };

/// <https://docs.cohere.com/reference/errors>
fn rules() -> Vec<Rule> {
    vec![
        // "You are using a Trial key, which is limited to 1000 API calls / month."
        Rule::quota_exhausted("cohere/monthly-calls")
            .status(429)
            .says(["calls / month", "per month"])
            .wait(Wait::next_month()),
        // "... limited to 40 API calls / minute", "You are past the per minute request limit"
        Rule::rate_limited("cohere/rate-limit")
            .status(429)
            .says(["/ minute", "per minute"])
            .wait(Wait::retry_after())
            .wait(Wait::after(MINUTE)),
        // "Maximum billing reached for this API key as set in your dashboard"
        Rule::quota_exhausted("cohere/billing-cap")
            .status(402)
            .says(["maximum billing reached"])
            .place(Place::Key)
            .wait(Wait::next_month()),
        // "Please add or update your payment method to continue"
        Rule::quota_exhausted("cohere/no-payment-method").status(402).says(["payment method"]),
    ]
}
