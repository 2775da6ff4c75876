//! A sum, of what and of whom.

use std::sync::Arc;

use super::{Per, Totals, books::bounded};
use crate::{KeyId, usage::Spent};

/// The sums of one minute, hour or day: a line of the ledger, as [`Ledger::take_changed`] and
/// [`Ledger::load`] exchange it.
///
/// [`Ledger::take_changed`]: super::Ledger::take_changed
/// [`Ledger::load`]: super::Ledger::load
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// For how long.
    pub per: Per,
    /// When it begins: seconds since 1970.
    pub begin: u64,
    /// Of whom.
    pub whose: Whose,
    /// The sums.
    pub totals: Totals,
}

/// Of whom sums are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Whose {
    /// The pool. Accounts and keys of two pools may have the same name.
    pub pool: Arc<str>,
    /// The account.
    pub account: Arc<str>,
    /// The key's label.
    pub key: KeyId,
    /// The model that was asked for; none for requests without one. `(other)` are those that there was no
    /// line left for.
    pub model: Option<Arc<str>>,
    /// The tag of the request ([`Demand::tag`](crate::Demand::tag)). `(other)` are those that there was no
    /// line left for.
    pub tag: Option<Arc<str>>,
}

impl Whose {
    pub(super) fn of(spent: &Spent<'_>) -> Self {
        Self {
            pool: Arc::clone(spent.pool),
            account: Arc::clone(spent.account),
            key: spent.key.clone(),
            // No name, and one without a letter, are the same.
            model: spent.model.filter(|model| !model.is_empty()).map(bounded),
            tag: spent.tag.filter(|tag| !tag.is_empty()).map(bounded),
        }
    }
}
