//! The tokens of one request, each counted in one kind.

/// What a request really used, as far as it is known; see [`Lease::settle`](crate::Lease::settle).
///
/// Each token is counted in exactly one kind. All counts are 0 by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Usage {
    /// Tokens of the prompt that were neither read from a cache nor written to one.
    pub input: u64,
    /// Tokens of the prompt that were read from a cache.
    pub cache_read: u64,
    /// Tokens of the prompt that were written to a cache for five minutes, or for the provider's default
    /// time.
    pub cache_write: u64,
    /// Tokens of the prompt that were written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Tokens of the answer, without reasoning.
    pub output: u64,
    /// Tokens of reasoning, whether the answer shows them or not.
    pub reasoning: u64,
    /// The cost in billionths of a US dollar, if the provider reports it.
    pub nano_dollars: Option<u64>,
    /// Whether this is an estimate: the answer was cut before it reported its usage, or never reports it.
    pub is_estimated: bool,
}

impl Usage {
    /// A usage with these numbers of tokens in the prompt and in the answer.
    pub fn tokens(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Sets the cost, in billionths of a US dollar. Without it, the pool's [`Prices`](super::Prices)
    /// decide; tokens without a price stay charged as they were reserved.
    pub fn nano_dollars(mut self, cost: u64) -> Self {
        self.nano_dollars = Some(cost);
        self
    }

    /// All tokens of the prompt.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        let cached = self.cache_read.saturating_add(self.cache_write);
        self.input.saturating_add(cached).saturating_add(self.cache_write_1h)
    }

    /// All tokens of the answer, reasoning included.
    #[must_use]
    pub fn all_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }

    /// All tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.all_input().saturating_add(self.all_output())
    }
}
