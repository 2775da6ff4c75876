//! The built-in dialects: a spec for each provider, with its sources.

mod anthropic;
mod azure;
mod bedrock;
mod cerebras;
mod cohere;
mod deepseek;
mod fireworks;
mod gemini;
mod generic;
mod github;
mod groq;
mod mistral;
mod openai;
mod openrouter;
mod perplexity;
mod together;
mod xai;

pub use self::{
    anthropic::Anthropic, azure::AzureOpenAi, bedrock::Bedrock, cerebras::Cerebras, cohere::Cohere,
    deepseek::DeepSeek, fireworks::Fireworks, gemini::Gemini, generic::Generic, github::GitHub,
    groq::Groq, mistral::Mistral, openai::OpenAi, openrouter::OpenRouter, perplexity::Perplexity,
    together::Together, xai::XAi,
};
