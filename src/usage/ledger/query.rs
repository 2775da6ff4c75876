//! Asking the ledger.

use std::{borrow::Cow, fmt, str::FromStr, time::SystemTime};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{Per, books::since_1970};

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The pool.
    Pool,
    /// The account; of the pool it is in, if that is asked for too.
    Account,
    /// The key; of the pool it is in, if that is asked for too.
    Key,
    /// The model.
    Model,
    /// The tag.
    Tag,
}

impl By {
    const ALL: [Self; 5] = [Self::Pool, Self::Account, Self::Key, Self::Model, Self::Tag];

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

/// What to ask a [`Ledger`](super::Ledger): sums told apart by any of these, from one moment to another.
///
/// Read from text, it is the query of a URL:
///
/// ```
/// use tower_key_rotation::usage::Query;
///
/// let query: Query = "by=key,model,hour&from=2026-11-25T08:00:00Z&to=2026-11-26".parse().unwrap();
/// assert!("by=colour".parse::<Query>().unwrap_err().to_string().contains("colour"));
/// # let _ = query;
/// ```
///
/// `by` takes `pool`, `account`, `key`, `model` and `tag`, and one of `minute`, `hour` and `day`; `from`
/// and `to` a time (RFC 3339), a date (its midnight in UTC) or seconds since 1970. All may be left out.
///
/// Without a minute, hour or day, sums are made from days if both moments are midnights, else from the
/// finest that are kept so far back. Moments between are moved outwards to the full minute, hour or day;
/// the report says to which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Query {
    pub(super) by: Vec<By>,
    pub(super) per: Option<Per>,
    /// Seconds since 1970.
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
}

impl Query {
    /// One sum of all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells sums apart by one more thing.
    pub fn by(mut self, by: By) -> Self {
        if !self.by.contains(&by) {
            self.by.push(by);
        }
        self
    }

    /// One sum for each minute, hour or day.
    pub fn per(mut self, per: Per) -> Self {
        self.per = Some(per);
        self
    }

    /// From this moment on.
    pub fn from(mut self, from: SystemTime) -> Self {
        self.from = Some(since_1970(from));
        self
    }

    /// Until this moment, which is left out.
    pub fn to(mut self, to: SystemTime) -> Self {
        self.to = Some(since_1970(to));
        self
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let mut query = Self::new();
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(value).decode_utf8_lossy();
            match name {
                "by" => {
                    for by in value.split(',').map(str::trim).filter(|by| !by.is_empty()) {
                        query = add(query, by)?;
                    }
                }
                "from" => query.from = Some(moment(name, &value)?),
                "to" => query.to = Some(moment(name, &value)?),
                // Somebody else's, such as the format.
                _ => {}
            }
        }
        Ok(query)
    }
}

fn add(query: Query, name: &str) -> Result<Query, QueryError> {
    if let Some(by) = By::ALL.into_iter().find(|by| by.name() == name) {
        return Ok(query.by(by));
    }
    match (Per::ALL.into_iter().find(|per| per.name() == name), query.per) {
        (Some(per), None) => Ok(query.per(per)),
        (Some(per), Some(other)) if per == other => Ok(query),
        (Some(per), Some(other)) => {
            let problem = format!("by: {} and {}: one of them is enough", other.name(), per.name());
            Err(QueryError(problem))
        }
        (None, _) => Err(QueryError(format!(
            "by: {name:?} is none of pool, account, key, model, tag, minute, hour and day"
        ))),
    }
}

fn moment(name: &str, text: &str) -> Result<u64, QueryError> {
    let seconds = || text.parse::<u64>().ok();
    let time = || text.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let midnight = || {
        let date = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-25".len())?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let since = || time().or_else(midnight).map(|seconds| u64::try_from(seconds).unwrap_or(0));
    seconds().or_else(since).ok_or_else(|| {
        let how = "a time (2026-11-25T08:00:00Z), a date (2026-11-25) or seconds since 1970";
        QueryError(format!("{name}: {text:?} is not {how}"))
    })
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(String);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueryError {}

/// A moment as it is shown: `2026-11-25T08:00:00Z`.
pub(super) fn shown(at: u64) -> Cow<'static, str> {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok());
    at.map_or(Cow::Borrowed(""), |at| Cow::Owned(at.to_string()))
}
