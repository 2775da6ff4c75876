//! Accounts that are refused alike: a limit wider than any of them.

use std::collections::VecDeque;

use crate::engine::{
    ids::{AccountIx, LaneIx},
    time::Time,
};

/// How close together refusals are one event.
const TOGETHER: u64 = 1_000_000_000;
/// Fewer accounts than this prove nothing.
const FEWEST: usize = 3;

/// Which accounts were refused for their rate of late.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    /// When, by whom, and for which model, if not for all.
    recent: VecDeque<(Time, AccountIx, Option<LaneIx>)>,
}

impl Alike {
    /// An account is no more.
    pub(crate) fn forget(&mut self, account: AccountIx) {
        self.recent.retain(|(_, other, _)| *other != account);
    }

    /// An account was refused, for one model or for all. Whether at least half of all accounts, and three,
    /// were so within a second: then it is not the accounts.
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
        // The last refusal of each counts.
        self.recent.retain(|(_, other, about)| (*other, *about) != (account, lane));
        self.recent.push_back((now, account, lane));
        let alike = self.recent.iter().filter(|(_, _, about)| *about == lane).count();
        alike >= FEWEST.max(accounts.div_ceil(2))
    }
}
