//! What a request really used.

/// What a request really used, as far as it is known; see
/// [`Lease::settle`](crate::Lease::settle).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Usage {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) nano_dollars: Option<u64>,
}

impl Usage {
    /// So many tokens of prompt and answer.
    pub fn tokens(input: u64, output: u64) -> Self {
        Self { input_tokens: input, output_tokens: output, nano_dollars: None }
    }

    /// What it cost, in billionths of a US dollar. Without it, what was reserved stays charged.
    pub fn nano_dollars(mut self, cost: u64) -> Self {
        self.nano_dollars = Some(cost);
        self
    }
}
