//! The clock of a pool: the only code that reads the time.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::engine::Time;

/// Time since the pool was built, and the wall time that belongs to it. Both follow tokio's clock,
/// so a paused test pauses both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        Self { start: Instant::now(), wall: SystemTime::now() }
    }

    pub(crate) fn now(&self) -> Time {
        self.time(Instant::now())
    }

    pub(crate) fn time(&self, instant: Instant) -> Time {
        Time::ZERO.after(instant.saturating_duration_since(self.start))
    }

    /// The time of a timer: at most a year ahead.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        const YEAR: u64 = 365 * 86_400 * 1_000_000_000;
        let nanos = time.nanos().min(self.now().nanos().saturating_add(YEAR));
        self.start + Time::ZERO.until(Time::from_nanos(nanos))
    }

    /// The wall time at the start; 1970 if the clock is out of range.
    pub(crate) fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::try_from(self.wall).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn wall(&self, instant: Instant) -> SystemTime {
        self.wall + instant.saturating_duration_since(self.start)
    }
}
