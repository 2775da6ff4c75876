//! What is counted.

use serde::{Deserialize, Serialize};

use crate::usage::Spent;

/// Sums over requests. Integers, so that parts add up to their whole, to the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Totals {
    /// Requests that were answered, or given up by their caller once they were sent. Attempts that were
    /// refused, or failed without an answer, are not among them.
    pub requests: u64,
    /// Of those, the ones whose answer was cut before it told what it used, and which are estimated.
    pub estimated_requests: u64,
    /// And those whose answer came to its end and told nothing. Their tokens are not known, and not here.
    pub unmetered_requests: u64,
    /// Tokens of prompts that came from no cache and went into none.
    pub input: u64,
    /// Tokens of prompts that came from a cache.
    pub cache_read: u64,
    /// Tokens of prompts that were put into a cache.
    pub cache_write: u64,
    /// The same, for an hour.
    pub cache_write_1h: u64,
    /// Tokens of answers that are not reasoning.
    pub output: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// Of all tokens of prompts, those of estimated requests.
    pub estimated_input: u64,
    /// Of all tokens of answers, those of estimated requests.
    pub estimated_output: u64,
    /// Of all tokens, those whose price is not known. They are not in the cost.
    pub unpriced: u64,
    /// What it cost, in billionths of a US dollar.
    pub nano_dollars: u64,
    /// Of that, what estimated requests cost.
    pub estimated_nano_dollars: u64,
}

/// How many figures there are.
const FIGURES: usize = 14;

impl Totals {
    /// The names of the figures, in the order of [`figures`](Self::figures): those of the fields.
    pub const NAMES: [&str; FIGURES] = [
        "requests",
        "estimated_requests",
        "unmetered_requests",
        "input",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "output",
        "reasoning",
        "estimated_input",
        "estimated_output",
        "unpriced",
        "nano_dollars",
        "estimated_nano_dollars",
    ];

    pub(super) fn of(spent: &Spent<'_>) -> Self {
        let mut totals = Self { requests: 1, ..Self::default() };
        let Some(usage) = spent.usage else {
            totals.unmetered_requests = 1;
            return totals;
        };
        let estimated = |amount| if usage.is_estimated { amount } else { 0 };
        Self {
            estimated_requests: estimated(1),
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            cache_write_1h: usage.cache_write_1h,
            output: usage.output,
            reasoning: usage.reasoning,
            estimated_input: estimated(usage.all_input()),
            estimated_output: estimated(usage.all_output()),
            unpriced: spent.charge.unpriced_tokens,
            nano_dollars: spent.charge.nano_dollars,
            estimated_nano_dollars: estimated(spent.charge.nano_dollars),
            ..totals
        }
    }

    /// All tokens of prompts.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        let cached = self.cache_read.saturating_add(self.cache_write);
        self.input.saturating_add(cached).saturating_add(self.cache_write_1h)
    }

    /// All tokens of answers.
    #[must_use]
    pub fn all_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }

    /// The figures in a row, for whoever keeps them elsewhere.
    #[must_use]
    pub fn figures(&self) -> [u64; FIGURES] {
        [
            self.requests,
            self.estimated_requests,
            self.unmetered_requests,
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.output,
            self.reasoning,
            self.estimated_input,
            self.estimated_output,
            self.unpriced,
            self.nano_dollars,
            self.estimated_nano_dollars,
        ]
    }

    /// The same from such a row.
    #[must_use]
    pub fn from_figures(figures: [u64; FIGURES]) -> Self {
        let [requests, estimated_requests, unmetered_requests, rest @ ..] = figures;
        let [input, cache_read, cache_write, cache_write_1h, output, reasoning, rest @ ..] = rest;
        let [estimated_input, estimated_output, unpriced, nano_dollars, estimated_nano_dollars] =
            rest;
        Self {
            requests,
            estimated_requests,
            unmetered_requests,
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            estimated_input,
            estimated_output,
            unpriced,
            nano_dollars,
            estimated_nano_dollars,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        let mut figures = self.figures();
        figures.iter_mut().zip(other.figures()).for_each(|(sum, more)| {
            *sum = sum.saturating_add(more);
        });
        *self = Self::from_figures(figures);
    }
}
