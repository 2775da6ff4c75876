//! A question to the ledger.

use std::time::SystemTime;

use serde::Serialize;

use super::interval::{Interval, since_1970};

/// What the rows of a report can be grouped by.
///
/// It serialises to its [`name`](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dimension {
    /// The pool.
    Pool,
    /// The account. Group by the pool too if pools have accounts of the same name.
    Account,
    /// The key. Group by the pool too if pools have keys of the same name.
    Key,
    /// The model.
    Model,
    /// The tag.
    Tag,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 5] = [Self::Pool, Self::Account, Self::Key, Self::Model, Self::Tag];

    /// `pool`, `account`, `key`, `model` or `tag`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Account => "account",
            Self::Key => "key",
            Self::Model => "model",
            Self::Tag => "tag",
        }
    }
}

/// A question to a [`Ledger`](super::Ledger): sums from one moment to another, grouped by dimensions and
/// intervals.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_key_rotation::usage::{Dimension, Interval, Query};
///
/// let yesterday = SystemTime::now() - Duration::from_secs(24 * 3_600);
/// let query = Query::new().by(Dimension::Key).by(Dimension::Model).per(Interval::Hour).from(yesterday);
/// # let _ = query;
/// ```
///
/// Without an interval, the sums are made from days if both moments are midnights. Otherwise they are made
/// from the shortest intervals that the ledger keeps so far back. A moment inside an interval is moved
/// outwards to its start or end; the report says to which moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Query {
    pub(super) by: Vec<Dimension>,
    pub(super) per: Option<Interval>,
    /// Seconds since 1970.
    pub(super) from: Option<u64>,
    /// Seconds since 1970.
    pub(super) to: Option<u64>,
}

impl Query {
    /// One sum of everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Groups by one more dimension; a dimension that is named twice counts once.
    pub fn by(mut self, dimension: Dimension) -> Self {
        if !self.by.contains(&dimension) {
            self.by.push(dimension);
        }
        self
    }

    /// Groups by intervals of this length.
    pub fn per(mut self, interval: Interval) -> Self {
        self.per = Some(interval);
        self
    }

    /// Only requests that ended at this moment or later; by default as far back as the ledger goes.
    pub fn from(mut self, from: SystemTime) -> Self {
        self.from = Some(since_1970(from));
        self
    }

    /// Only requests that ended before this moment; by default up to the latest.
    pub fn to(mut self, to: SystemTime) -> Self {
        self.to = Some(since_1970(to));
        self
    }
}
