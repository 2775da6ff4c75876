//! The sums of usage.

use serde::{Deserialize, Serialize};

use crate::{money::Dollars, usage::sink::UsageRecord};

/// Sums over requests. They are integers, so parts add up to their whole exactly. Each sum stops at the
/// largest `u64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Totals {
    /// Requests that were answered, or given up by their caller after they were sent. Attempts that were
    /// refused, or that failed without an answer, are not counted.
    pub requests: u64,
    /// Of the requests, those with an estimated usage, because the answer was cut before it reported one.
    pub estimated_requests: u64,
    /// Of the requests, those whose answer ended and reported no usage. Their tokens are unknown and not in
    /// the sums.
    pub unmetered_requests: u64,
    /// Tokens of prompts that were neither read from a cache nor written to one.
    pub input: u64,
    /// Tokens of prompts that were read from a cache.
    pub cache_read: u64,
    /// Tokens of prompts that were written to a cache.
    pub cache_write: u64,
    /// Tokens of prompts that were written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Tokens of answers, without reasoning.
    pub output: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// Of all tokens of prompts, those of estimated requests.
    pub estimated_input: u64,
    /// Of all tokens of answers, those of estimated requests.
    pub estimated_output: u64,
    /// Of all tokens, those without a known price. The cost does not include them.
    pub unpriced: u64,
    /// The cost in billionths of a US dollar.
    pub nano_dollars: u64,
    /// Of the cost, that of estimated requests.
    pub estimated_nano_dollars: u64,
}

impl Totals {
    pub(super) fn of(record: &UsageRecord<'_>) -> Self {
        let mut totals = Self { requests: 1, ..Self::default() };
        let Some(usage) = record.usage else {
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
            unpriced: record.charge.unpriced_tokens,
            nano_dollars: record.charge.nano_dollars,
            estimated_nano_dollars: estimated(record.charge.nano_dollars),
            ..totals
        }
    }

    /// All tokens of prompts.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        let cached = self.cache_read.saturating_add(self.cache_write);
        self.input.saturating_add(cached).saturating_add(self.cache_write_1h)
    }

    /// All tokens of answers, reasoning included.
    #[must_use]
    pub fn all_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning)
    }

    /// The cost in US dollars, with all nine decimal places: `0.000036000`.
    #[must_use]
    pub fn dollars(&self) -> String {
        format!("{:#}", Dollars(self.nano_dollars))
    }

    /// The name and value of each figure, in the order of the fields, for instance to write them to a
    /// table. Collecting them gives the same totals again:
    ///
    /// ```
    /// use tower_key_rotation::usage::Totals;
    ///
    /// let totals: Totals = [("requests", 2), ("input", 30)].into_iter().collect();
    /// assert_eq!((totals.requests, totals.input), (2, 30));
    /// assert_eq!(totals.figures().next(), Some(("requests", 2)));
    /// assert_eq!(totals.figures().collect::<Totals>(), totals);
    /// ```
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let mut copy = *self;
        copy.figures_mut().map(|(name, figure)| (name, *figure)).into_iter()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for ((_, sum), (_, more)) in self.figures_mut().into_iter().zip(other.figures()) {
            *sum = sum.saturating_add(more);
        }
    }

    /// The only list of the figures.
    fn figures_mut(&mut self) -> [(&'static str, &mut u64); 14] {
        [
            ("requests", &mut self.requests),
            ("estimated_requests", &mut self.estimated_requests),
            ("unmetered_requests", &mut self.unmetered_requests),
            ("input", &mut self.input),
            ("cache_read", &mut self.cache_read),
            ("cache_write", &mut self.cache_write),
            ("cache_write_1h", &mut self.cache_write_1h),
            ("output", &mut self.output),
            ("reasoning", &mut self.reasoning),
            ("estimated_input", &mut self.estimated_input),
            ("estimated_output", &mut self.estimated_output),
            ("unpriced", &mut self.unpriced),
            ("nano_dollars", &mut self.nano_dollars),
            ("estimated_nano_dollars", &mut self.estimated_nano_dollars),
        ]
    }
}

/// Figures that are missing are 0; unknown names are ignored.
impl<N: AsRef<str>> FromIterator<(N, u64)> for Totals {
    fn from_iter<I: IntoIterator<Item = (N, u64)>>(figures: I) -> Self {
        let mut totals = Self::default();
        for (name, value) in figures {
            let mut known = totals.figures_mut().into_iter();
            if let Some((_, figure)) = known.find(|(known, _)| *known == name.as_ref()) {
                *figure = value;
            }
        }
        totals
    }
}
