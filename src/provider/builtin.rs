//! The built-in dialects by their names.

use std::{borrow::Cow, error::Error, fmt, str::FromStr, sync::Arc};

use super::{
    dialects::{
        Bedrock, Cerebras, Cohere, DeepSeek, Fireworks, Generic, GitHub, Groq, Mistral, OpenRouter,
        Perplexity, Together, XAi, anthropic::Anthropic, azure::AzureOpenAi, gemini::Gemini,
        openai::OpenAi,
    },
    interface::Provider,
};

/// A built-in dialect, chosen at run time: by its name in a configuration file, for example.
///
/// ```
/// use tower_key_rotation::{ApiKey, KeyPool, provider::Builtin};
///
/// let dialect: Builtin = "groq".parse()?;
/// let provider = dialect.provider("https://api.groq.com");
/// let pool = KeyPool::builder(provider).key(ApiKey::new("not-a-real-key")).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Builtin {
    /// `openai`: [`OpenAi`].
    OpenAi,
    /// `anthropic`: [`Anthropic`].
    Anthropic,
    /// `gemini`: [`Gemini`].
    Gemini,
    /// `azure`: [`AzureOpenAi`].
    Azure,
    /// `bedrock`: [`Bedrock`].
    Bedrock,
    /// `cerebras`: [`Cerebras`].
    Cerebras,
    /// `cohere`: [`Cohere`].
    Cohere,
    /// `deepseek`: [`DeepSeek`].
    DeepSeek,
    /// `fireworks`: [`Fireworks`].
    Fireworks,
    /// `github`: [`GitHub`].
    GitHub,
    /// `groq`: [`Groq`].
    Groq,
    /// `mistral`: [`Mistral`].
    Mistral,
    /// `openrouter`: [`OpenRouter`].
    OpenRouter,
    /// `perplexity`: [`Perplexity`].
    Perplexity,
    /// `together`: [`Together`].
    Together,
    /// `xai`: [`XAi`].
    XAi,
    /// `generic`: [`Generic`].
    Generic,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 17] = [
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

    /// Its name, which is also the [name](super::ProviderSpec::name) of its provider.
    #[must_use]
    pub const fn name(self) -> &'static str {
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

    /// The origin of its API; `None` if each resource, region or API has its own.
    #[must_use]
    pub fn origin(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Azure | Self::Bedrock | Self::Generic => None,
            _ => Some(self.provider("").spec().origin.clone()),
        }
    }

    /// A provider that speaks this dialect.
    ///
    /// `origin` is the origin of a dialect that has none of its own. The others keep theirs; to send
    /// their keys to another one, use [`KeyPoolBuilder::origin`](crate::KeyPoolBuilder::origin).
    #[must_use]
    pub fn provider(self, origin: impl Into<Cow<'static, str>>) -> Arc<dyn Provider> {
        match self {
            Self::OpenAi => Arc::new(OpenAi::default()),
            Self::Anthropic => Arc::new(Anthropic::default()),
            Self::Gemini => Arc::new(Gemini::default()),
            Self::Azure => Arc::new(AzureOpenAi::new(origin)),
            Self::Bedrock => Arc::new(Bedrock::endpoint(origin)),
            Self::Cerebras => Arc::new(Cerebras::default()),
            Self::Cohere => Arc::new(Cohere::default()),
            Self::DeepSeek => Arc::new(DeepSeek::default()),
            Self::Fireworks => Arc::new(Fireworks::default()),
            Self::GitHub => Arc::new(GitHub::default()),
            Self::Groq => Arc::new(Groq::default()),
            Self::Mistral => Arc::new(Mistral::default()),
            Self::OpenRouter => Arc::new(OpenRouter::default()),
            Self::Perplexity => Arc::new(Perplexity::default()),
            Self::Together => Arc::new(Together::default()),
            Self::XAi => Arc::new(XAi::default()),
            Self::Generic => Arc::new(Generic::new(origin)),
        }
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Builtin {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let known = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        known.ok_or_else(|| UnknownDialect(text.to_owned()))
    }
}

/// A name that no built-in dialect has. It is displayed with all the names that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect(String);

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of {}", self.0, Builtin::ALL.map(Builtin::name).join(", "))
    }
}

impl Error for UnknownDialect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_found_by_the_name_of_its_provider() {
        for dialect in Builtin::ALL {
            let provider = dialect.provider("https://api.example.com");
            assert_eq!(provider.spec().name, dialect.name());
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
            let origin = dialect.origin().unwrap_or("https://api.example.com".into());
            assert_eq!(provider.spec().origin, origin);
        }
        let error = "nobody".parse::<Builtin>().unwrap_err().to_string();
        assert!(error.starts_with("\"nobody\" is none of openai, anthropic, "), "{error}");
    }

    #[test]
    fn a_provider_behind_a_pointer_keeps_its_own_methods() {
        let uri = "/v1beta/models/models%2Fm:generateContent".parse().unwrap();
        let (method, headers) = (http::Method::POST, http::HeaderMap::new());
        let call = crate::provider::Call::new(&method, &uri, &headers)
            .with_body(br#"{"model":"models/m"}"#);
        let plain = Gemini::default();
        let shared: Arc<dyn Provider> = Arc::new(plain);
        let boxed: Box<dyn Provider> = Box::new(shared.clone());
        assert_eq!(shared.estimate(&call), plain.estimate(&call));
        assert_eq!(boxed.estimate(&call), plain.estimate(&call));
    }
}
