//! What the gate of a key says before there is a request, and who waits for it.

use std::{collections::HashSet, sync::Arc};

use crate::engine::{
    ask::Cost,
    ids::{AccountIx, LaneIx, OpIx},
    time::Time,
};

/// What a request is expected to be like: as the one before it was.
#[derive(Clone, Debug)]
pub(crate) struct Ordinary {
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
    /// That of the lane, which may have been given to another since.
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(crate) cost: Cost,
}

/// Whether a key could take an ordinary request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// It could, and only a few more.
    Scarce,
    /// Not before then; `None` if no clock tells.
    Shut(Option<Time>),
}

/// Accounts at which somebody waits for room who has no request yet.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(in crate::engine) watched: HashSet<AccountIx>,
    /// Of these, the ones that have changed for the better since.
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
