//! What requests really use: tokens by kind, read from answers as they flow by.
//!
//! Providers count the same tokens twice, each in its own way: what came from a cache is inside the
//! prompt here and beside it there, and so is reasoning with the answer. [`Usage`] has each token in
//! one kind only, so that its kinds add up, and each has one price.
//!
//! [`KeyRotation`](crate::KeyRotation) reads it from every answer of a dialect that tells it, whole or
//! as a stream, without holding anything back, and settles the request's lease with it. Who wants to
//! know gives the pool a [`UsageSink`], such as a [`Ledger`], and is told what it cost, too, by
//! [`Prices`]. Without Tower, a [`UsageReader`] does the reading:
//!
//! ```
//! use tower_key_rotation::{OpenAi, provider::Provider, usage::UsageReader};
//!
//! let mut reader = UsageReader::new(OpenAi::default().facts().usage);
//! // However the answer arrives.
//! for piece in ["data: {\"choices\":[],\"usa", "ge\":{\"prompt_tokens\":9,\"completion_tokens\":7,",
//!     "\"total_tokens\":16,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"] {
//!     reader.feed(piece.as_bytes());
//! }
//! let usage = reader.usage().unwrap();
//! assert_eq!((usage.input, usage.cache_read, usage.output), (5, 4, 7));
//! assert_eq!(usage.total(), 16);
//! ```

mod ledger;
mod object;
mod price;
mod reader;
mod running;
mod sink;
#[cfg(test)]
mod tests;
mod told;

pub use ledger::{By, Ledger, Line, Per, Query, QueryError, Report, ReportLine, Totals, Whose};
pub use price::{Charge, PriceError, Prices, Tariff};
pub use reader::UsageReader;
pub(crate) use running::Running;
pub use sink::{Spent, UsageSink};

/// What a request really used, as far as it is known; see [`Lease::settle`](crate::Lease::settle).
///
/// Each token is counted in one kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Usage {
    /// Tokens of the prompt that came from no cache and went into none.
    pub input: u64,
    /// Tokens of the prompt that came from a cache.
    pub cache_read: u64,
    /// Tokens of the prompt that were put into a cache: for five minutes, or as long as the provider
    /// keeps them by default.
    pub cache_write: u64,
    /// The same, for an hour.
    pub cache_write_1h: u64,
    /// Tokens of the answer that are not reasoning.
    pub output: u64,
    /// Tokens of reasoning, whether they were shown or not.
    pub reasoning: u64,
    /// What it cost, in billionths of a US dollar, where the provider says so.
    pub nano_dollars: Option<u64>,
    /// Whether it is a guess: the answer was cut before it told, or does not tell at all.
    pub is_estimated: bool,
}

impl Usage {
    /// So many tokens of prompt and answer.
    pub fn tokens(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// What it cost, in billionths of a US dollar. Without it, the pool's [`Prices`] tell; what they do not
    /// know stays charged as it was reserved.
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

    /// All tokens of the answer.
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
