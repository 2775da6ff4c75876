//! How many second opinions may be asked for: a twentieth of all requests, and some to begin with.
//!
//! A refusal that may be the request's own fault is shown to another key before anybody is blamed. Without a
//! bound, callers with a mistake would make three calls each.

/// Requests that pay for one.
const PRICE: u32 = 20;
const INITIAL: u32 = 100 * PRICE;
/// What a busy pool can save up.
const MOST: u32 = 1_000 * PRICE;

#[derive(Debug)]
pub(crate) struct Opinions {
    earned: u32,
    asked: u64,
}

impl Opinions {
    pub(crate) fn new() -> Self {
        Self { earned: INITIAL, asked: 0 }
    }

    /// A request is sent.
    pub(crate) fn earn(&mut self) {
        self.earned = (self.earned + 1).min(MOST);
    }

    /// Whether one more may be asked for.
    pub(crate) fn ask(&mut self) -> bool {
        match self.earned.checked_sub(PRICE) {
            Some(left) => {
                self.earned = left;
                self.asked += 1;
                true
            }
            None => false,
        }
    }

    /// So many were no extra calls: the first opinion was wrong.
    pub(crate) fn give_back(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.earned = number.saturating_mul(PRICE).saturating_add(self.earned).min(MOST);
    }

    /// So many were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }
}
