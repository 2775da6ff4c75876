//! Accounts that are refused for their rate at the same time: the limit is wider than one account.

use std::collections::VecDeque;

use crate::engine::{
    ids::{AccountIx, LaneIx},
    time::Time,
};

/// Refusals within this time are one event, in nanoseconds: one second.
const TOGETHER: u64 = 1_000_000_000;
/// Fewer accounts than this prove nothing.
const MIN_ACCOUNTS: usize = 3;

/// The accounts that were refused for their rate recently.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    /// The time, the account, and the model if the refusal was about one.
    recent: VecDeque<(Time, AccountIx, Option<LaneIx>)>,
}

impl Alike {
    /// Drops an account that was removed.
    pub(crate) fn forget(&mut self, account: AccountIx) {
        self.recent.retain(|(_, other, _)| *other != account);
    }

    /// Notes a refusal of an account, for one model or for all. Returns whether at least half of
    /// all accounts, and at least three, were refused within a second: then the limit is not the
    /// account's own.
    pub(crate) fn note(
        &mut self,
        now: Time,
        account: AccountIx,
        lane: Option<LaneIx>,
        accounts: usize,
    ) -> bool {
        while self.recent.front().is_some_and(|(then, ..)| now.since(*then) > TOGETHER) {
            self.recent.pop_front();
        }
        // Only the last refusal of each account counts.
        self.recent.retain(|(_, other, about)| (*other, *about) != (account, lane));
        self.recent.push_back((now, account, lane));
        let alike = self.recent.iter().filter(|(_, _, about)| *about == lane).count();
        alike >= MIN_ACCOUNTS.max(accounts.div_ceil(2))
    }
}
