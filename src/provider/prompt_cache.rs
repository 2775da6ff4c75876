//! What is known of a provider's cache of prompts.

use std::time::Duration;

use http::HeaderName;

/// What is known of a provider's cache of prompts: the beginning of a prompt that an account has sent
/// before costs less on that account, for a while.
///
/// By default, what most providers say: prompts of 1,024 tokens or more, kept for five minutes after
/// their last use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct PromptCache {
    /// The shortest beginning that is kept, in tokens.
    pub least_tokens: usize,
    /// How long it is kept at least after its last use.
    pub lifetime: Duration,
    /// The header in which callers name the conversation of a request, if the provider has one.
    pub header: Option<HeaderName>,
}

impl PromptCache {
    /// What most providers say: 1,024 tokens and five minutes.
    pub const fn new() -> Self {
        Self { least_tokens: 1_024, lifetime: Duration::from_secs(300), header: None }
    }

    /// The shortest beginning that is kept, in tokens.
    pub const fn least_tokens(mut self, tokens: usize) -> Self {
        self.least_tokens = tokens;
        self
    }

    /// How long it is kept at least after its last use.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The header in which callers name the conversation of a request.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = Some(name);
        self
    }
}

impl Default for PromptCache {
    fn default() -> Self {
        Self::new()
    }
}
