//! Where answers tell the tokens they used, and what their figures include: what
//! [`UsageReader`](crate::usage::UsageReader) goes by.

/// Where an answer tells the tokens it used, and what the figures include.
///
/// The object with the figures is the value of a [`member`](Self::member), wherever it stands. All other
/// places are paths in that object, of names of members: `/tokens/input_tokens`. Of several the first
/// counts that leads to a number. In a stream the last figure counts that is not null; none are ever
/// added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageShape {
    /// The member of the answer, or of an event of its stream, that holds the figures.
    pub member: &'static str,
    /// A value that the object has in this shape alone, where another shape is much alike. Once a shape
    /// was found in an answer, it is asked for no more.
    pub mark: Option<&'static str>,
    /// Tokens of the prompt.
    pub input: &'static [&'static str],
    /// Tokens of the prompt that stand beside these, such as tools' results, or sound.
    pub other_input: &'static [&'static str],
    /// Tokens read from the provider's cache.
    pub cache_read: &'static [&'static str],
    /// Tokens written to the cache, for any time.
    pub cache_write: &'static [&'static str],
    /// Of the cache writes, those for an hour.
    pub cache_write_hour: &'static [&'static str],
    /// Whether `input` includes what was read from the cache and written to it.
    pub input_has_cache: bool,
    /// Tokens of the answer.
    pub output: &'static [&'static str],
    /// Tokens of reasoning.
    pub reasoning: &'static [&'static str],
    /// Whether `output` includes those of reasoning, unless the total shows that it does not.
    pub output_has_reasoning: bool,
    /// All of them.
    pub total: &'static [&'static str],
    /// What it cost, where the provider says so.
    pub cost: &'static [Cost],
    /// Whether a stream tells it only if `stream_options.include_usage` asks for it.
    pub on_request: bool,
}

/// What an answer cost, by the provider itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// In US dollars, at this path.
    Dollars(&'static str),
    /// In ticks of 1e-10 US dollars, at this path.
    Ticks(&'static str),
}

/// Headers that tell the tokens an answer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageHeaders {
    /// Tokens of the prompt, without those of the cache.
    pub input: &'static str,
    /// Read from the cache.
    pub cache_read: &'static str,
    /// Written to the cache.
    pub cache_write: &'static str,
    /// Tokens of the answer.
    pub output: &'static str,
}

/// How the output cap of a request (`max_tokens`) counts against limits on tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputCap {
    /// Whole, when the request arrives.
    Reserved,
    /// Not at all: what is really produced counts.
    Produced,
    /// The provider does not say, or not always the same.
    Unknown,
}

impl UsageShape {
    /// Chat completions as OpenAI has them; also completions and embeddings.
    /// <https://platform.openai.com/docs/api-reference/chat/object>
    ///
    /// Many speak so and have names of their own for caches, reasoning and costs. No two of them mean
    /// different things by one name, so that all are known here.
    pub const CHAT: Self = Self {
        member: "usage",
        mark: None,
        input: &["/prompt_tokens"],
        other_input: &[],
        cache_read: &[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
            "/num_cached_tokens",
        ],
        cache_write: &["/prompt_tokens_details/cache_write_tokens"],
        cache_write_hour: &[],
        input_has_cache: true,
        output: &["/completion_tokens"],
        reasoning: &["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"],
        output_has_reasoning: true,
        total: &["/total_tokens"],
        cost: &[
            Cost::Dollars("/cost"),
            Cost::Dollars("/cost/total_cost"),
            Cost::Ticks("/cost_in_usd_ticks"),
        ],
        on_request: true,
    };

    /// The same from those that tell it in every stream.
    pub const CHAT_TOLD: Self = Self { on_request: false, ..Self::CHAT };

    /// Responses as OpenAI has them; also images and transcriptions.
    /// <https://platform.openai.com/docs/api-reference/responses/object>
    pub const RESPONSES: Self = Self {
        input: &["/input_tokens"],
        cache_read: &["/input_tokens_details/cached_tokens"],
        cache_write: &["/input_tokens_details/cache_write_tokens"],
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/reasoning_tokens"],
        ..Self::CHAT_TOLD
    };

    /// Anthropic's messages: caches beside the prompt, thinking inside the answer.
    /// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>
    pub const MESSAGES: Self = Self {
        member: "usage",
        mark: None,
        input: &["/input_tokens"],
        other_input: &[],
        cache_read: &["/cache_read_input_tokens"],
        cache_write: &["/cache_creation_input_tokens"],
        cache_write_hour: &["/cache_creation/ephemeral_1h_input_tokens"],
        input_has_cache: false,
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/thinking_tokens"],
        output_has_reasoning: true,
        total: &[],
        cost: &[],
        on_request: false,
    };

    /// The same where [`RESPONSES`](Self::RESPONSES) may come too.
    pub const MESSAGES_MARKED: Self =
        Self { mark: Some("/cache_read_input_tokens"), ..Self::MESSAGES };

    /// Google's generateContent: the cached inside the prompt, thoughts and tools' results beside. A
    /// count is missing where it is zero. <https://ai.google.dev/api/generate-content#UsageMetadata>
    pub const GENERATE: Self = Self {
        member: "usageMetadata",
        mark: None,
        input: &["/promptTokenCount"],
        other_input: &["/toolUsePromptTokenCount"],
        cache_read: &["/cachedContentTokenCount"],
        cache_write: &[],
        cache_write_hour: &[],
        input_has_cache: true,
        output: &["/candidatesTokenCount"],
        reasoning: &["/thoughtsTokenCount"],
        output_has_reasoning: false,
        total: &["/totalTokenCount"],
        cost: &[],
        on_request: false,
    };
}
