//! A row of the ledger: sums of one interval, key, model and tag.

use std::sync::Arc;

use super::{interval::Interval, totals::Totals};
use crate::{KeyId, usage::sink::UsageRecord};

/// A row of a [`Ledger`](super::Ledger): the sums of one interval, key, model and tag.
///
/// [`Ledger::take_changed`](super::Ledger::take_changed) and [`Ledger::load`](super::Ledger::load) exchange
/// rows with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageRow {
    /// The length of the interval.
    pub interval: Interval,
    /// The start of the interval, in seconds since 1970.
    pub begin: u64,
    /// The key, model and tag whose usage is summed.
    pub dimensions: Dimensions,
    /// The sums.
    pub totals: Totals,
}

impl UsageRow {
    /// A row. `begin` is in seconds since 1970; a ledger that loads the row rounds it down to the start of
    /// an interval.
    #[must_use]
    pub fn new(interval: Interval, begin: u64, dimensions: Dimensions, totals: Totals) -> Self {
        Self { interval, begin, dimensions, totals }
    }
}

/// The key, model and tag that usage belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Dimensions {
    /// The pool. Accounts and keys of two pools may have the same name.
    pub pool: Arc<str>,
    /// The account.
    pub account: Arc<str>,
    /// The label of the key.
    pub key: KeyId,
    /// The model that was asked for; none for requests without a model. `(other)` stands for all models
    /// beyond the bound of the ledger.
    pub model: Option<Arc<str>>,
    /// The tag of the request ([`Demand::tag`](crate::Demand::tag)). `(other)` stands for all tags beyond
    /// the bound of the ledger.
    pub tag: Option<Arc<str>>,
}

impl Dimensions {
    /// A key of an account of a pool, without a model and a tag. Set these fields if there are any.
    #[must_use]
    pub fn new(pool: impl Into<Arc<str>>, account: impl Into<Arc<str>>, key: KeyId) -> Self {
        Self { pool: pool.into(), account: account.into(), key, model: None, tag: None }
    }

    pub(super) fn of(record: &UsageRecord<'_>) -> Self {
        Self {
            pool: Arc::clone(record.pool),
            account: Arc::clone(record.account),
            key: record.key.clone(),
            // An empty name counts as none.
            model: record.model.filter(|model| !model.is_empty()).map(bounded),
            tag: record.tag.filter(|tag| !tag.is_empty()).map(bounded),
        }
    }
}

/// A name that a caller has chosen, cut to 256 bytes.
fn bounded(name: &Arc<str>) -> Arc<str> {
    const MAX_BYTES: usize = 256;
    if name.len() <= MAX_BYTES {
        return Arc::clone(name);
    }
    let end = (0..=MAX_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name[..end].into()
}
