//! The engine's own time. It never looks at a clock.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// One second in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A moment, in nanoseconds since the pool was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

impl Time {
    /// The moment at which the pool was built.
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// This many nanoseconds later.
    pub(crate) fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This many nanoseconds earlier, but not before zero.
    pub(crate) fn minus(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// This much later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        self.plus(nanos(duration))
    }

    /// Converts a wall-clock time; `wall` is the wall-clock time at the engine's start.
    pub(crate) fn of(moment: SystemTime, wall: Timestamp) -> Self {
        let later = moment.duration_since(SystemTime::from(wall)).unwrap_or_default();
        Self::ZERO.after(later)
    }

    /// Nanoseconds since `earlier`, 0 if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time until `later`, zero if it is not later.
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.since(self))
    }
}

/// A duration in nanoseconds; at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
