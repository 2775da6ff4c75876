//! The usage that an answer has reported so far, in the provider's own way of counting.

use super::tokens::Usage;

/// The last value of each figure that an answer reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReportedUsage {
    pub(super) input: Option<u64>,
    /// Tokens of tool results or audio that the provider does not count as part of the prompt.
    pub(super) other_input: Option<u64>,
    pub(super) cache_read: Option<u64>,
    /// All tokens written to a cache, for any time.
    pub(super) cache_write: Option<u64>,
    pub(super) cache_write_1h: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) nano_dollars: Option<u64>,
    pub(super) overlap: Overlap,
}

/// Which tokens the provider counts in two figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlap {
    /// The input includes cached tokens.
    pub(super) input_has_cache: bool,
    /// The output includes reasoning.
    pub(super) output_has_reasoning: bool,
}

impl ReportedUsage {
    /// Replaces each figure that a later report has. Figures are not summed, because no provider reports
    /// increments.
    pub(super) fn update(&mut self, later: &Self) {
        let last = |earlier: &mut Option<u64>, later: Option<u64>| *earlier = later.or(*earlier);
        last(&mut self.input, later.input);
        last(&mut self.other_input, later.other_input);
        last(&mut self.cache_read, later.cache_read);
        last(&mut self.cache_write, later.cache_write);
        last(&mut self.cache_write_1h, later.cache_write_1h);
        last(&mut self.output, later.output);
        last(&mut self.reasoning, later.reasoning);
        last(&mut self.total, later.total);
        last(&mut self.nano_dollars, later.nano_dollars);
        self.overlap = later.overlap;
    }

    /// The same usage with each token in one kind only.
    pub(super) fn disjoint(&self) -> Usage {
        let of = |figure: Option<u64>| figure.unwrap_or_default();
        let (input, output) = (of(self.input), of(self.output));
        let (mut cache_read, mut written) = (of(self.cache_read), of(self.cache_write));
        let mut uncached = input;
        if self.overlap.input_has_cache {
            // Some providers report more cached tokens than input tokens; the input cannot include more
            // than all of its tokens.
            cache_read = cache_read.min(uncached);
            written = written.min(uncached - cache_read);
            uncached -= cache_read + written;
        }
        let cached = cache_read.saturating_add(written);
        let uncached = uncached.saturating_add(of(self.other_input));
        let mut reasoning = of(self.reasoning);
        let mut text = output;
        if self.output_includes_reasoning(uncached.saturating_add(cached), output, reasoning) {
            // Some providers report slightly more reasoning than output.
            reasoning = reasoning.min(output);
            text = output - reasoning;
        }
        let cache_write_1h = of(self.cache_write_1h).min(written);
        Usage {
            input: uncached,
            cache_read,
            cache_write: written - cache_write_1h,
            cache_write_1h,
            output: text,
            reasoning,
            nano_dollars: self.nano_dollars,
            is_estimated: false,
        }
    }

    /// Whether the output includes the reasoning. A reported total decides, because it contains either the
    /// output alone or both; otherwise the dialect decides.
    fn output_includes_reasoning(&self, input: u64, output: u64, reasoning: u64) -> bool {
        let all = input.saturating_add(output);
        match self.total {
            _ if !self.overlap.output_has_reasoning => false,
            Some(total) if total == all => true,
            Some(total) if total == all.saturating_add(reasoning) => false,
            _ => reasoning <= output,
        }
    }
}
