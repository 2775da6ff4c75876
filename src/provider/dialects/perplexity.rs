//! Perplexity.

use std::sync::LazyLock;

use super::openai;
use crate::{
    provider::{Limits, OutputCap, Provider, ProviderSpec, Refill, Rule},
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Perplexity: `https://api.perplexity.ai`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits go by what the account has spent, and leak like a bucket; no header reports them, nor a time to
///   wait. (<https://docs.perplexity.ai/guides/rate-limits-usage-tiers>)
/// - A 401 may mean that there is no credit, and may be a page.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Perplexity {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("perplexity", "https://api.perplexity.ai")
        .limits(Limits::of(Scope::Account, Refill::Rolling))
        .rules([
            // "Invalid API key or insufficient credits": it proves something of the key only.
            Rule::key_rejected("perplexity/no-credit-or-key")
                .status(401)
                .says(["insufficient credits"]),
            Rule::key_rejected("perplexity/no-credit-or-key")
                .status(401)
                .page()
                .place(Place::Operation)
                .blame(Blame::Inferred),
            Rule::key_rejected("perplexity/invalid-key").status(401).code(["invalid_api_key"]),
        ])
        .output_cap(OutputCap::Unknown)
        // In every chunk, growing.
        .usage(&[UsageShape::CHAT_TOLD])
});

impl Provider for Perplexity {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}
