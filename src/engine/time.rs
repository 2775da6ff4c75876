//! The engine's own time: it never looks at a clock.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// A second in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A moment: nanoseconds since the pool was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

impl Time {
    /// The beginning.
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// This much later.
    pub(crate) fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This much earlier, but not before the beginning.
    pub(crate) fn minus(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// This much later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        self.plus(nanos(duration))
    }

    /// A moment that was given as a time of day; `wall` is that of the beginning.
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

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
