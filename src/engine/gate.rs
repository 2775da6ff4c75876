//! The gate of a key: whether it is ready before a request exists, and who watches it. It has the
//! states of linkerd's gate: open, limited (here scarce), shut.

use std::{collections::HashSet, sync::Arc};

use crate::engine::{
    ask::Cost,
    ids::{AccountIx, LaneIx, OpIx},
    time::Time,
};

/// What the next request is expected to be like: as the last one was.
#[derive(Clone, Debug)]
pub(crate) struct Ordinary {
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
    /// The model of the lane, because the lane may have been given to another model since.
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(crate) cost: Cost,
}

/// Whether a key could take an ordinary request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Room for a few requests only.
    Scarce,
    /// No room before this time; `None` if only a change makes room.
    Shut(Option<Time>),
}

/// The watched accounts: an endpoint without a request waits for room there.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(in crate::engine) watched: HashSet<AccountIx>,
    /// The watched accounts that have changed for the better since.
    pub(in crate::engine) news: Vec<AccountIx>,
}

impl Opened {
    pub(in crate::engine) fn account(&mut self, account: AccountIx) {
        if !self.watched.is_empty() && self.watched.remove(&account) {
            self.news.push(account);
        }
    }

    pub(in crate::engine) fn all(&mut self) {
        self.news.extend(self.watched.drain());
    }
}
