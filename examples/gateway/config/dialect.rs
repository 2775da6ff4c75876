//! The built-in dialects, with their defaults in the gateway.

use std::borrow::Cow;

pub(crate) use tower_key_rotation::provider::Builtin as Dialect;
use tower_key_rotation::{KeyPool, KeyPoolBuilder};

/// The defaults of a dialect in the gateway.
pub(crate) trait Served: Sized {
    fn read(text: &str) -> Result<Self, String>;

    /// Makes a pool builder of this dialect for an origin.
    fn pool(self, origin: &str) -> KeyPoolBuilder;

    /// None if each resource, region or API has its own.
    fn default_base(self) -> Option<Cow<'static, str>>;

    /// The default patterns of models: those that no other provider has.
    fn default_models(self) -> &'static [&'static str];

    /// The path of the provider's OpenAI-compatible endpoint, which `/v1` stands for.
    fn unified_path(self) -> &'static str;
}

impl Served for Dialect {
    fn read(text: &str) -> Result<Self, String> {
        text.parse::<Self>().map_err(|error| error.to_string())
    }

    fn pool(self, origin: &str) -> KeyPoolBuilder {
        KeyPool::builder(self.provider(origin.to_owned())).origin(origin)
    }

    fn default_base(self) -> Option<Cow<'static, str>> {
        self.origin()
    }

    fn default_models(self) -> &'static [&'static str] {
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
            _ => &[],
        }
    }

    fn unified_path(self) -> &'static str {
        match self {
            Self::Gemini => "/v1beta/openai",
            Self::Azure | Self::Bedrock | Self::Groq => "/openai/v1",
            Self::Cohere => "/compatibility/v1",
            Self::Fireworks => "/inference/v1",
            Self::OpenRouter => "/api/v1",
            Self::Perplexity => "",
            _ => "/v1",
        }
    }
}
