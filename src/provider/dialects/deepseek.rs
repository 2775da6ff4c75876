//! DeepSeek.

use std::sync::LazyLock;

use http::HeaderName;

use super::openai;
use crate::{
    provider::{AuthScheme, Limits, OutputCap, Provider, ProviderSpec, Refill, Rule, TokenSize},
    usage::UsageShape,
    verdict::Scope,
};

/// DeepSeek: `https://api.deepseek.com`, in OpenAI's dialect, and in Anthropic's on `/anthropic`.
///
/// - The key travels as `authorization: Bearer <key>`, on `/anthropic` in `x-api-key`.
/// - The only limit is on requests at once, for an account and model, whatever the key; one is free when
///   an answer has ended, and no header reports it.
///   (<https://api-docs.deepseek.com/quick_start/rate_limit>)
/// - Errors name `invalid_request_error` in `code` whatever they are about.
///   (<https://api-docs.deepseek.com/quick_start/error_codes>)
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DeepSeek {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    openai::like("deepseek", "https://api.deepseek.com")
        .auth_on("/anthropic/", AuthScheme::Header(HeaderName::from_static("x-api-key")))
        .limits(Limits::of(Scope::Model, Refill::Rolling))
        .rules([
            Rule::quota_exhausted("deepseek/no-balance")
                .status(402)
                .begins(["Insufficient Balance"]),
            Rule::key_rejected("deepseek/invalid-key").status(401).code(["authentication_error"]),
        ])
        .tokens(TokenSize::DEEPSEEK)
        .output_cap(OutputCap::Produced)
        .usage(&[
            // In the last chunk that has content, always.
            UsageShape::CHAT_TOLD,
            UsageShape::MESSAGES_MARKED,
            UsageShape::RESPONSES,
        ])
});

impl Provider for DeepSeek {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}
