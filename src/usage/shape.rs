//! Where answers report their usage, and what their figures include.

/// Where an answer reports the tokens it used, and what the figures include.
///
/// The figures are in an object, which is the value of a [`member`](Self::member) at any place in the
/// answer. All other places are paths in that object, made of names of members:
/// `/tokens/input_tokens`. If several are given, the first that leads to a number counts. In a stream
/// the last figure counts that is not null; figures are never added up.
///
/// ```
/// use tower_key_rotation::usage::UsageShape;
///
/// const SHAPE: UsageShape = {
///     let mut shape = UsageShape::new("usage");
///     shape.input = &["/tokens_in"];
///     shape.output = &["/tokens_out"];
///     shape
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageShape {
    /// The member of the answer, or of an event of its stream, that holds the figures.
    pub member: &'static str,
    /// A value that only objects of this shape have, to distinguish it from a similar shape. It is no longer
    /// checked after the shape was found in an answer.
    pub mark: Option<&'static str>,
    /// Tokens of the prompt.
    pub input: &'static [&'static str],
    /// Tokens of the prompt that `input` does not include, such as results of tools, or audio.
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
    /// All tokens.
    pub total: &'static [&'static str],
    /// The cost, if the provider reports it.
    pub cost: &'static [Cost],
    /// Whether a stream reports it only if `stream_options.include_usage` asks for it.
    pub on_request: bool,
}

/// Where the provider reports the cost of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// In US dollars, at this path.
    Dollars(&'static str),
    /// In ticks of 1e-10 US dollars, at this path.
    Ticks(&'static str),
}

/// Headers that report the tokens an answer used. A name that is empty stands for no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageHeaders {
    /// Tokens of the prompt, without those of the cache.
    pub input: &'static str,
    /// Tokens read from the cache.
    pub cache_read: &'static str,
    /// Tokens written to the cache.
    pub cache_write: &'static str,
    /// Tokens of the answer.
    pub output: &'static str,
}

impl UsageHeaders {
    /// Headers for the prompt and the answer, and none for the cache.
    #[must_use]
    pub const fn new(input: &'static str, output: &'static str) -> Self {
        Self { input, cache_read: "", cache_write: "", output }
    }
}

impl UsageShape {
    /// A shape that finds no figures yet; its figures do not include each other.
    #[must_use]
    pub const fn new(member: &'static str) -> Self {
        Self {
            member,
            mark: None,
            input: &[],
            other_input: &[],
            cache_read: &[],
            cache_write: &[],
            cache_write_hour: &[],
            input_has_cache: false,
            output: &[],
            reasoning: &[],
            output_has_reasoning: false,
            total: &[],
            cost: &[],
            on_request: false,
        }
    }

    /// Chat completions of OpenAI; also completions and embeddings.
    /// <https://platform.openai.com/docs/api-reference/chat/object>
    ///
    /// Many providers use this shape, with names of their own for caches, reasoning and costs. No name has
    /// two meanings, so all names are known here.
    pub const CHAT: Self = Self {
        input: &["/prompt_tokens"],
        cache_read: &[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
            "/num_cached_tokens",
        ],
        cache_write: &["/prompt_tokens_details/cache_write_tokens"],
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
        ..Self::new("usage")
    };

    /// The same shape, from providers that report it in each stream without a request for it.
    pub const CHAT_TOLD: Self = Self { on_request: false, ..Self::CHAT };

    /// The Responses API of OpenAI; also images and transcriptions.
    /// <https://platform.openai.com/docs/api-reference/responses/object>
    pub const RESPONSES: Self = Self {
        input: &["/input_tokens"],
        cache_read: &["/input_tokens_details/cached_tokens"],
        cache_write: &["/input_tokens_details/cache_write_tokens"],
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/reasoning_tokens"],
        ..Self::CHAT_TOLD
    };

    /// The Messages API of Anthropic: cached tokens are not part of the input, thinking is part of the
    /// output. <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>
    pub const MESSAGES: Self = Self {
        input: &["/input_tokens"],
        cache_read: &["/cache_read_input_tokens"],
        cache_write: &["/cache_creation_input_tokens"],
        cache_write_hour: &["/cache_creation/ephemeral_1h_input_tokens"],
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/thinking_tokens"],
        output_has_reasoning: true,
        ..Self::new("usage")
    };

    /// The same shape, for dialects with [`RESPONSES`](Self::RESPONSES) too.
    pub const MESSAGES_MARKED: Self =
        Self { mark: Some("/cache_read_input_tokens"), ..Self::MESSAGES };

    /// The generateContent API of Google: cached tokens are part of the prompt; thoughts and results of tools
    /// are not part of the other figures. A count of zero is missing.
    /// <https://ai.google.dev/api/generate-content#UsageMetadata>
    pub const GENERATE: Self = Self {
        input: &["/promptTokenCount"],
        other_input: &["/toolUsePromptTokenCount"],
        cache_read: &["/cachedContentTokenCount"],
        input_has_cache: true,
        output: &["/candidatesTokenCount"],
        reasoning: &["/thoughtsTokenCount"],
        total: &["/totalTokenCount"],
        ..Self::new("usageMetadata")
    };
}
