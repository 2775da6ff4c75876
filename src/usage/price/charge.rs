//! What some usage costs, and by which tariff.

/// What some usage costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charge {
    /// The cost in billionths of a US dollar, rounded to the nearest.
    pub nano_dollars: u64,
    /// Tokens without a known price. The cost does not include them.
    pub unpriced_tokens: u64,
}

impl Charge {
    /// A cost in billionths of a US dollar, for a usage whose tokens all have a price.
    #[must_use]
    pub fn nano_dollars(nano_dollars: u64) -> Self {
        Self { nano_dollars, unpriced_tokens: 0 }
    }

    /// No cost, for a usage of which these tokens have no known price.
    #[must_use]
    pub fn unpriced(tokens: u64) -> Self {
        Self { nano_dollars: 0, unpriced_tokens: tokens }
    }
}

/// Which prices of a model apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tariff {
    /// The prices of a request that is answered at once.
    #[default]
    Standard,
    /// The prices of a batch. Its results come in a file; the caller that fetches the file can price them.
    Batch,
}
