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
    /// Nano-dollars.
    pub(crate) spend: u64,
}

impl Cost {
    pub(crate) fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => 1,
            Metered::InputTokens => self.input,
            Metered::OutputTokens => self.output,
            Metered::Spend => self.spend,
            Metered::Tokens => self.input.saturating_add(self.output),
        }
    }

    /// The least that a request of this kind can cost: what tells a spent account from one that
    /// merely has too little left for this request.
    pub(crate) fn least(&self) -> Self {
        let least = |amount: u64| amount.min(1);
        Self { input: least(self.input), output: least(self.output), spend: least(self.spend) }
    }
}

/// One request that wants to be admitted.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) lane: LaneIx,
    pub(crate) cost: Cost,
    /// Its rank in the line, the lowest first; see [`rank`].
    pub(crate) rank: Time,
    pub(crate) deadline: Time,
    pub(crate) excluded: Vec<KeyIx>,
}

/// What a step of priority is worth: so long a wait.
const HEAD_START: u64 = 10_000_000_000;

/// A rank in the line: when a request first asked, so that one that failed over keeps its place,
/// moved by its priority. As priority is worth a wait and no more, nobody starves.
pub(crate) fn rank(since: Time, priority: i8) -> Time {
    let steps = (i64::from(i8::MAX) - i64::from(priority)).unsigned_abs();
    since.plus(steps * HEAD_START)
}
