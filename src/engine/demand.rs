//! What one request asks of the engine.

use crate::limit::Metered;

use super::{
    index::{KeyIx, LaneIx},
    time::Time,
};

/// How much of each metered thing one request takes. No more than 2^40 of each: a line of a million
/// such requests does not overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Cost {
    pub(crate) fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => 1,
            Metered::InputTokens => self.input,
            Metered::OutputTokens => self.output,
            Metered::Tokens => self.input.saturating_add(self.output),
        }
    }

    /// The least that a request of this kind can cost: what tells a spent account from one that
    /// merely has too little left for this request.
    pub(crate) fn least(&self) -> Self {
        Self { input: self.input.min(1), output: self.output.min(1) }
    }
}

/// One request that wants to be admitted.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) lane: LaneIx,
    pub(crate) cost: Cost,
    /// When it first asked: a request that failed over keeps its place in the line.
    pub(crate) since: Time,
    pub(crate) deadline: Time,
    pub(crate) excluded: Vec<KeyIx>,
}
