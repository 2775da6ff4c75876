//! How a provider is spoken to.

use tower_key_rotation::{
    Anthropic, AzureOpenAi, Bedrock, Cerebras, Cohere, DeepSeek, Fireworks, Gemini, Generic,
    GitHub, Groq, KeyPool, KeyPoolBuilder, Mistral, OpenAi, OpenRouter, Perplexity, Together, XAi,
};

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Azure,
    Bedrock,
    Cerebras,
    Cohere,
    DeepSeek,
    Fireworks,
    GitHub,
    Groq,
    Mistral,
    OpenRouter,
    Perplexity,
    Together,
    XAi,
    Generic,
}

impl Dialect {
    const ALL: [Self; 17] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Azure,
        Self::Bedrock,
        Self::Cerebras,
        Self::Cohere,
        Self::DeepSeek,
        Self::Fireworks,
        Self::GitHub,
        Self::Groq,
        Self::Mistral,
        Self::OpenRouter,
        Self::Perplexity,
        Self::Together,
        Self::XAi,
        Self::Generic,
    ];

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name() == text)
            .ok_or_else(|| format!("{text:?} is none of {}", known()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Azure => "azure",
            Self::Bedrock => "bedrock",
            Self::Cerebras => "cerebras",
            Self::Cohere => "cohere",
            Self::DeepSeek => "deepseek",
            Self::Fireworks => "fireworks",
            Self::GitHub => "github",
            Self::Groq => "groq",
            Self::Mistral => "mistral",
            Self::OpenRouter => "openrouter",
            Self::Perplexity => "perplexity",
            Self::Together => "together",
            Self::XAi => "xai",
            Self::Generic => "generic",
        }
    }

    /// A pool that speaks so, with an origin of its own.
    pub(crate) fn pool(self, origin: &str) -> KeyPoolBuilder {
        match self {
            Self::OpenAi => KeyPool::builder(OpenAi::default()),
            Self::Anthropic => KeyPool::builder(Anthropic::default()),
            Self::Gemini => KeyPool::builder(Gemini::default()),
            Self::Azure => KeyPool::builder(AzureOpenAi::new(origin.to_owned())),
            Self::Bedrock => KeyPool::builder(Bedrock::endpoint(origin.to_owned())),
            Self::Cerebras => KeyPool::builder(Cerebras::default()),
            Self::Cohere => KeyPool::builder(Cohere::default()),
            Self::DeepSeek => KeyPool::builder(DeepSeek::default()),
            Self::Fireworks => KeyPool::builder(Fireworks::default()),
            Self::GitHub => KeyPool::builder(GitHub::default()),
            Self::Groq => KeyPool::builder(Groq::default()),
            Self::Mistral => KeyPool::builder(Mistral::default()),
            Self::OpenRouter => KeyPool::builder(OpenRouter::default()),
            Self::Perplexity => KeyPool::builder(Perplexity::default()),
            Self::Together => KeyPool::builder(Together::default()),
            Self::XAi => KeyPool::builder(XAi::default()),
            Self::Generic => KeyPool::builder(Generic::new(origin.to_owned())),
        }
        .origin(origin)
    }

    /// None where every resource, region or API has its own.
    pub(super) fn default_base(self) -> Option<&'static str> {
        Some(match self {
            Self::OpenAi => "https://api.openai.com",
            Self::Anthropic => "https://api.anthropic.com",
            Self::Gemini => "https://generativelanguage.googleapis.com",
            Self::Cerebras => "https://api.cerebras.ai",
            Self::Cohere => "https://api.cohere.com",
            Self::DeepSeek => "https://api.deepseek.com",
            Self::Fireworks => "https://api.fireworks.ai",
            Self::GitHub => "https://api.github.com",
            Self::Groq => "https://api.groq.com",
            Self::Mistral => "https://api.mistral.ai",
            Self::OpenRouter => "https://openrouter.ai",
            Self::Perplexity => "https://api.perplexity.ai",
            Self::Together => "https://api.together.xyz",
            Self::XAi => "https://api.x.ai",
            Self::Azure | Self::Bedrock | Self::Generic => return None,
        })
    }

    /// The models that come here when the configuration does not say: those that nobody else has.
    pub(super) fn default_models(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &[
                "gpt-*",
                "chatgpt-*",
                "o1*",
                "o3*",
                "o4*",
                "ft:*",
                "codex-*",
                "computer-use-*",
                "text-*",
                "omni-*",
                "dall-e-*",
                "whisper-*",
                "tts-*",
                "sora-*",
            ],
            Self::Anthropic => &["claude-*"],
            Self::Gemini => &["gemini-*", "gemma-*", "models/*"],
            Self::Cohere => &["command-*", "c4ai-*"],
            Self::DeepSeek => &["deepseek-*"],
            Self::Fireworks => &["accounts/*"],
            Self::Mistral => &[
                "mistral-*",
                "ministral-*",
                "magistral-*",
                "codestral-*",
                "devstral-*",
                "pixtral-*",
                "voxtral-*",
            ],
            Self::Perplexity => &["sonar*"],
            Self::XAi => &["grok-*"],
            Self::Generic => &["*"],
            Self::Azure
            | Self::Bedrock
            | Self::Cerebras
            | Self::GitHub
            | Self::Groq
            | Self::OpenRouter
            | Self::Together => &[],
        }
    }

    /// The path of the provider's OpenAI-compatible endpoint, which `/v1` stands for.
    pub(crate) fn unified_path(self) -> &'static str {
        match self {
            Self::Gemini => "/v1beta/openai",
            Self::Azure | Self::Bedrock | Self::Groq => "/openai/v1",
            Self::Cohere => "/compatibility/v1",
            Self::Fireworks => "/inference/v1",
            Self::OpenRouter => "/api/v1",
            Self::Perplexity => "",
            Self::OpenAi
            | Self::Anthropic
            | Self::Cerebras
            | Self::DeepSeek
            | Self::GitHub
            | Self::Mistral
            | Self::Together
            | Self::XAi
            | Self::Generic => "/v1",
        }
    }
}
