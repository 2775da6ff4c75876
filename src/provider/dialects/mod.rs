//! The built-in dialects: a spec for each provider, with its sources.

pub(crate) mod anthropic;
pub(crate) mod azure;
mod bedrock;
mod cerebras;
mod cohere;
mod deepseek;
mod fireworks;
pub(crate) mod gemini;
mod generic;
mod github;
mod groq;
mod mistral;
pub(crate) mod openai;
mod openrouter;
mod perplexity;
mod together;
mod xai;

pub use self::{
    bedrock::Bedrock, cerebras::Cerebras, cohere::Cohere, deepseek::DeepSeek, fireworks::Fireworks,
    generic::Generic, github::GitHub, groq::Groq, mistral::Mistral, openrouter::OpenRouter,
    perplexity::Perplexity, together::Together, xai::XAi,
};
