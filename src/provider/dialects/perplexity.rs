//! Perplexity.

use std::sync::LazyLock;

use super::openai;
use crate::{
    Scope,
    provider::{Facts, Limits, OutputCap, Provider, Refill, Rule, UsageShape},
};

/// Perplexity: `https://api.perplexity.ai`, in OpenAI's dialect.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits go by what the account has spent, and leak like a bucket; no header tells them, nor a time to
///   wait. (<https://docs.perplexity.ai/guides/rate-limits-usage-tiers>)
/// - A 401 may mean that there is no credit, and may be a page: the key is put aside then, and tried
///   again.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Perplexity {}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    openai::like("perplexity", "https://api.perplexity.ai")
        .limits(Limits::of(Scope::Account, Refill::Rolling))
        .rules([
            Rule::quota_exhausted("perplexity/no-credit-or-key")
                .status(401)
                .says(["insufficient credits"]),
            Rule::quota_exhausted("perplexity/no-credit-or-key").status(401).page(),
            Rule::key_rejected("perplexity/invalid-key").status(401).code(["invalid_api_key"]),
        ])
        .output_cap(OutputCap::Unknown)
        // In every chunk, growing.
        .usage(&[UsageShape::CHAT_TOLD])
});

impl Provider for Perplexity {
    fn facts(&self) -> &Facts {
        &FACTS
    }
}
