//! Intervals of time, and moments as numbers and as text.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The length of the intervals in which usage is summed: minutes, hours or days of UTC.
///
/// It serialises to its [`name`](Self::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Interval {
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
}

impl Interval {
    /// All intervals, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// `minute`, `hour` or `day`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length in seconds.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The start of the interval that contains a moment, both in seconds since 1970.
    pub(super) fn start(self, at: u64) -> u64 {
        at - at % self.seconds()
    }
}

/// Seconds since 1970; 0 for earlier moments.
pub(super) fn since_1970(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 as text: `2026-11-25T08:00:00Z`.
pub(super) fn rfc3339(at: u64) -> Cow<'static, str> {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok());
    at.map_or(Cow::Borrowed(""), |at| Cow::Owned(at.to_string()))
}
