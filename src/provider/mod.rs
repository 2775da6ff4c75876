//! Dialects: how each provider takes a key, reports limits and refuses requests.
//!
//! A [`Provider`] translates between a provider's API and this crate. It holds no state and does no
//! I/O. Its [`ProviderSpec`] is data: how a key is sent, how limits are reported, the [rules](Rule) that
//! judge refusals, and where models, tokens and usage are found.
//!
//! | dialect | key | limits hold for | in headers | when they are back |
//! | --- | --- | --- | --- | --- |
//! | [`OpenAi`] | `authorization` | account and model | yes | `retry-after`, message |
//! | [`Anthropic`] | `x-api-key` | account and model | yes | `retry-after` |
//! | [`Gemini`] | `x-goog-api-key` | account and model | no | body |
//! | [`AzureOpenAi`] | `api-key` | account and deployment | yes | `retry-after` |
//! | [`Bedrock`] | `authorization` | account and model | no | not reported |
//! | [`Cerebras`] | `authorization` | account and model | yes | `retry-after-ms` |
//! | [`Cohere`] | `authorization` | account and model | for trial keys | not reported |
//! | [`DeepSeek`] | `authorization` | account and model | no | not reported |
//! | [`Fireworks`] | `authorization` | account | yes | not reported |
//! | [`GitHub`] | `authorization` | account and kind of request | yes | a time |
//! | [`Groq`] | `authorization` | account and model | yes | `retry-after`, message |
//! | [`Mistral`] | `authorization` | account and model | yes | not reported |
//! | [`OpenRouter`] | `authorization` | account and model | of refusals only | a time |
//! | [`Perplexity`] | `authorization` | account | no | not reported |
//! | [`Together`] | `authorization` | account and model | yes | `retry-after` |
//! | [`XAi`] | `authorization` | account and model | some | not reported |
//!
//! [`Generic`] serves any API that takes a key in a header and refuses with the usual status codes.
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderMap, StatusCode};
//! use tower_key_rotation::{OpenAi, Verdict, provider::{Answer, Provider}};
//!
//! let headers = HeaderMap::new();
//! let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, SystemTime::UNIX_EPOCH)
//!     .with_body(br#"{"error":{"type":"insufficient_quota"}}"#);
//! let ruling = OpenAi::default().classify(&answer);
//! assert!(matches!(ruling.verdict, Verdict::QuotaExhausted { .. }));
//! assert_eq!(ruling.rule, "openai/insufficient-quota");
//! ```
//!
//! [`Anthropic`]: crate::Anthropic
//! [`AzureOpenAi`]: crate::AzureOpenAi
//! [`Gemini`]: crate::Gemini
//! [`OpenAi`]: crate::OpenAi

mod auth;
mod builtin;
mod clock;
mod common_rules;
mod decode;
pub(crate) mod dialects;
mod duration;
mod error_body;
mod error_shape;
mod exchange;
mod interface;
mod limits;
mod model_path;
mod operation;
mod processing_time;
mod prompt_cache;
mod request_body;
mod retry_after;
mod rule;
mod spec;
mod stream_events;
#[cfg(test)]
mod tests;
mod tokens;

pub use self::{
    auth::AuthScheme,
    builtin::{Builtin, UnknownDialect},
    dialects::{
        Bedrock, Cerebras, Cohere, DeepSeek, Fireworks, Generic, GitHub, Groq, Mistral, OpenRouter,
        Perplexity, Together, XAi,
    },
    error_shape::ErrorShape,
    exchange::{Answer, Call},
    interface::Provider,
    limits::{LimitHeader, LimitReading, Limits, Refill},
    model_path::ModelPath,
    operation::{Access, Kind, Operation, Operations},
    prompt_cache::PromptCache,
    request_body::{BodyEdit, Estimate},
    rule::{Match, Rule, Ruling, Statuses, Wait, WaitError},
    spec::ProviderSpec,
    tokens::{OutputCap, TokenSize, Tokenizer},
};
pub(crate) use self::{
    decode::{Decoder, Encoding, unpacked},
    operation::{Billing, OPERATIONS},
    processing_time::processing_time,
    stream_events::is_any_text,
};
pub use crate::stream::{EventScanner, Framing, Scanned, StreamEvent};
