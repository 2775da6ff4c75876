//! Where answers tell the tokens they used, and what their figures include: facts for whoever reads
//! usage.

/// Where an answer tells the tokens it used, and what the figures include.
///
/// All places are JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)): [`at`](Self::at)
/// in the answer or an event of its stream, the others in the object that is found there. Of several
/// pointers the first counts that leads to a number. In a stream the last figure counts that is not
/// null; none are ever added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageShape {
    /// What it is called here.
    pub name: &'static str,
    /// The object with the figures.
    pub at: &'static [&'static str],
    /// A value that the object has in this shape alone, where another shape is much alike.
    pub mark: Option<&'static str>,
    /// Tokens of the prompt.
    pub input: &'static [&'static str],
    /// Of these, read from the provider's cache.
    pub cache_read: &'static [&'static str],
    /// Of these, written to the cache, for any time.
    pub cache_write: &'static [&'static str],
    /// Of the cache writes, those for an hour.
    pub cache_write_hour: &'static [&'static str],
    /// Whether `input` includes what was read from the cache.
    pub input_has_cache_read: bool,
    /// Whether `input` includes what was written to it.
    pub input_has_cache_write: bool,
    /// Tokens of the answer.
    pub output: &'static [&'static str],
    /// Tokens of reasoning.
    pub reasoning: &'static [&'static str],
    /// Whether `output` includes those of reasoning.
    pub output_has_reasoning: bool,
    /// What it cost, where the provider says so.
    pub cost: Option<Cost>,
    /// When a stream tells it.
    pub in_stream: InStream,
}

/// What an answer cost, by the provider itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// In US dollars, at this pointer.
    Dollars(&'static str),
    /// In ticks of 1e-10 US dollars, at this pointer.
    Ticks(&'static str),
}

/// When a stream tells usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InStream {
    /// In one more event before the end, if `stream_options.include_usage` asks for it; else never.
    OnRequest,
    /// In one of the last events, always.
    Last,
    /// The prompt's in the first event, the answer's in one of the last.
    FirstAndLast,
    /// In every event, growing.
    Every,
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
    pub const CHAT: Self = Self {
        name: "chat",
        at: &["/usage"],
        mark: None,
        input: &["/prompt_tokens"],
        cache_read: &["/prompt_tokens_details/cached_tokens"],
        cache_write: &["/prompt_tokens_details/cache_write_tokens"],
        cache_write_hour: &[],
        input_has_cache_read: true,
        input_has_cache_write: true,
        output: &["/completion_tokens"],
        reasoning: &["/completion_tokens_details/reasoning_tokens"],
        output_has_reasoning: true,
        cost: None,
        in_stream: InStream::OnRequest,
    };

    /// The same from those that tell it in every stream, in one of its last events.
    pub const CHAT_TOLD: Self = Self { in_stream: InStream::Last, ..Self::CHAT };

    /// Responses as OpenAI has them; also images and transcriptions.
    /// <https://platform.openai.com/docs/api-reference/responses/object>
    pub const RESPONSES: Self = Self {
        name: "responses",
        at: &["/usage", "/response/usage"],
        input: &["/input_tokens"],
        cache_read: &["/input_tokens_details/cached_tokens"],
        cache_write: &["/input_tokens_details/cache_write_tokens"],
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/reasoning_tokens"],
        in_stream: InStream::Last,
        ..Self::CHAT
    };

    /// Anthropic's messages. <https://docs.claude.com/en/api/messages>
    pub const MESSAGES: Self = Self {
        name: "messages",
        at: &["/usage", "/message/usage"],
        mark: Some("/cache_read_input_tokens"),
        input: &["/input_tokens"],
        cache_read: &["/cache_read_input_tokens"],
        cache_write: &["/cache_creation_input_tokens"],
        cache_write_hour: &["/cache_creation/ephemeral_1h_input_tokens"],
        input_has_cache_read: false,
        input_has_cache_write: false,
        output: &["/output_tokens"],
        reasoning: &["/output_tokens_details/thinking_tokens"],
        output_has_reasoning: true,
        cost: None,
        in_stream: InStream::FirstAndLast,
    };

    /// Google's generateContent; a count is missing where it is zero.
    /// <https://ai.google.dev/api/generate-content#UsageMetadata>
    pub const GENERATE: Self = Self {
        name: "generate",
        at: &["/usageMetadata"],
        mark: None,
        input: &["/promptTokenCount"],
        cache_read: &["/cachedContentTokenCount"],
        cache_write: &[],
        cache_write_hour: &[],
        input_has_cache_read: true,
        input_has_cache_write: true,
        output: &["/candidatesTokenCount"],
        reasoning: &["/thoughtsTokenCount"],
        output_has_reasoning: false,
        cost: None,
        in_stream: InStream::Every,
    };
}
