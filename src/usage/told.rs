//! What an answer has told of its usage so far, in the provider's own way of counting.

use super::Usage;

/// What was told, the last of each figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) input: Option<u64>,
    /// Tokens of tools' results, or of sound, that are beside the prompt.
    pub(super) other_input: Option<u64>,
    pub(super) cache_read: Option<u64>,
    /// All that went into a cache, for whatever time.
    pub(super) cache_write: Option<u64>,
    pub(super) cache_write_1h: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) reasoning: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) nano_dollars: Option<u64>,
    pub(super) counted: Counted,
}

/// What is counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Cached tokens are inside the input.
    pub(super) cache: bool,
    /// Reasoning is inside the output.
    pub(super) reasoning: bool,
}

impl Told {
    /// Takes in what was told later. It goes before what was told earlier, figure by figure: nobody
    /// tells parts that would have to be added up.
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
        self.counted = later.counted;
    }

    /// The same with each token in one kind only.
    pub(super) fn disjoint(&self) -> Usage {
        let of = |figure: Option<u64>| figure.unwrap_or_default();
        let (input, output) = (of(self.input), of(self.output));
        let (mut cache_read, mut written) = (of(self.cache_read), of(self.cache_write));
        let mut uncached = input;
        if self.counted.cache {
            // Some tell more from the cache than there was in all: no more than that can be inside.
            cache_read = cache_read.min(uncached);
            written = written.min(uncached - cache_read);
            uncached -= cache_read + written;
        }
        let cached = cache_read.saturating_add(written);
        let uncached = uncached.saturating_add(of(self.other_input));
        let mut reasoning = of(self.reasoning);
        let mut text = output;
        if self.is_reasoning_inside(uncached.saturating_add(cached), output, reasoning) {
            // Some tell a little more reasoning than there was output.
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

    /// Whether the reasoning is a part of the output. A total says more than the dialect does: both are in
    /// it, or the output alone.
    fn is_reasoning_inside(&self, input: u64, output: u64, reasoning: u64) -> bool {
        let all = input.saturating_add(output);
        match self.total {
            _ if !self.counted.reasoning => false,
            Some(total) if total == all => true,
            Some(total) if total == all.saturating_add(reasoning) => false,
            _ => reasoning <= output,
        }
    }
}
