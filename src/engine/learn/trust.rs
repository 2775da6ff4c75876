//! Whether the limits that were declared are thought to be all there are.
//!
//! A refusal within declared limits may have any reason: clocks and counts differ a little. Several soon after each
//! other are no accident: then the account is paced like one of which nothing was declared.

use crate::engine::time::{SECOND, Time};

/// So many refusals, each within so long after the last, are no accident.
const STRIKES: u8 = 3;
const MEMORY: u64 = 180 * SECOND;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    strikes: u8,
    struck: Time,
}

impl Trust {
    /// A request that was sent at `sent` was refused within the declared limits.
    pub(super) fn strike(&mut self, now: Time, sent: Time) {
        // What was under way when another was refused is the same news.
        if self.is_lost() || self.strikes > 0 && sent < self.struck {
            return;
        }
        let is_again = self.strikes > 0 && now.since(self.struck) <= MEMORY;
        self.strikes = if is_again { self.strikes + 1 } else { 1 };
        self.struck = now;
    }

    pub(super) fn is_lost(self) -> bool {
        self.strikes >= STRIKES
    }
}
