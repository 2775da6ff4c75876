//! How much extra load retries may be, for all requests together.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted in tenths of a retry: every request pays in one.
const RETRY: u64 = 10;
/// What a quiet client has to begin with, and what a busy one can save up, in tenths.
const INITIAL: u64 = 10 * RETRY;
const MOST: u64 = 1_000 * RETRY;

/// A tenth of a retry for each request, and ten to begin with.
#[derive(Debug)]
pub(super) struct Budget {
    tenths: AtomicU64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { tenths: AtomicU64::new(INITIAL) }
    }

    pub(super) fn pay_in(&self) {
        self.change(|tenths| (tenths < MOST).then_some(tenths + 1));
    }

    /// Whether a retry may be made.
    pub(super) fn pay_out(&self) -> bool {
        self.change(|tenths| tenths.checked_sub(RETRY))
    }

    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_requests_and_ten_to_begin_with() {
        let budget = Budget::new();
        let retries = (0..1_000).filter(|_| {
            budget.pay_in();
            budget.pay_out()
        });
        assert_eq!(retries.count(), 100 + 10);
    }

    #[test]
    fn savings_are_bounded() {
        let budget = Budget::new();
        (0..1_000_000).for_each(|_| budget.pay_in());
        assert_eq!((0..10_000).filter(|_| budget.pay_out()).count(), 1_000);
    }
}
