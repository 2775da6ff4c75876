//! The budget for second opinions: one for every twenty requests, and 100 at the start.
//!
//! If a refusal may be the request's own fault, another key is asked before a key is blamed.
//! Without a budget, each mistake of a caller would cost three calls.

/// The number of requests that pay for one second opinion.
const PRICE: u32 = 20;
const INITIAL: u32 = 100 * PRICE;
/// The most that a busy pool can save up.
const MAX_SAVED: u32 = 1_000 * PRICE;

#[derive(Debug)]
pub(crate) struct Opinions {
    saved: u32,
    asked: u64,
}

impl Opinions {
    pub(crate) fn new() -> Self {
        Self { saved: INITIAL, asked: 0 }
    }

    /// Adds the share of one request.
    pub(crate) fn earn(&mut self) {
        self.saved = (self.saved + 1).min(MAX_SAVED);
    }

    /// Takes one second opinion from the budget; returns whether there was one.
    pub(crate) fn ask(&mut self) -> bool {
        match self.saved.checked_sub(PRICE) {
            Some(left) => {
                self.saved = left;
                self.asked += 1;
                true
            }
            None => false,
        }
    }

    /// Gives back second opinions that were needed, because the first answer was wrong.
    pub(crate) fn give_back(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.saved = number.saturating_mul(PRICE).saturating_add(self.saved).min(MAX_SAVED);
    }

    /// How many were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }
}
