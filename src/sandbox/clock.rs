//! The clock of a sandbox, and the formats in which responses write times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The wall time at which every sandbox starts: 2026-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_767_225_600);

/// Measures the time since the sandbox was built, with tokio's clock.
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }
}

/// `Thu, 01 Jan 2026 00:00:00 GMT`
pub(super) fn http_date(at: Duration) -> String {
    let at = wall(at).and_then(|since| UNIX_EPOCH.checked_add(since));
    // HTTP dates end with the year 9999; `fmt_http_date` panics on later ones.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(at.map_or(last, |at: SystemTime| at.min(last)))
}

/// `2026-01-01T00:00:00Z`, rounded up to whole seconds.
pub(super) fn rfc3339(at: Duration) -> String {
    let seconds = wall(at).and_then(|since| i64::try_from(ceil_secs(since)).ok());
    let at = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.unwrap_or(jiff::Timestamp::MAX).to_string()
}

/// Seconds since 1970.
pub(super) fn unix_secs(at: Duration) -> u64 {
    wall(at).map_or(u64::MAX, |since| since.as_secs())
}

fn wall(at: Duration) -> Option<Duration> {
    START.checked_add(at)
}

/// A duration in the format of Go, rounded up to whole milliseconds: `6ms`, `8.64s`, `1m0s`,
/// `2h47m48.417s`.
pub(super) fn go_duration(time: Duration) -> String {
    let millis = ceil_millis(time);
    if millis == 0 {
        return "0s".into();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, fraction) = (millis / 1_000 % 60, millis % 1_000);
    let mut text = match (hours, minutes) {
        (0, 0) => seconds.to_string(),
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    };
    if fraction > 0 {
        let digits = format!(".{fraction:03}");
        text.push_str(digits.trim_end_matches('0'));
    }
    text.push('s');
    text
}

pub(super) fn ceil_secs(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

pub(super) fn ceil_millis(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = |micros| go_duration(Duration::from_micros(micros));
        assert_eq!(written(0), "0s");
        assert_eq!(written(1), "1ms");
        assert_eq!(written(6_000), "6ms");
        assert_eq!(written(999_001), "1s");
        assert_eq!(written(8_640_000), "8.64s");
        assert_eq!(written(60_000_000), "1m0s");
        assert_eq!(written(864_000_000), "14m24s");
        assert_eq!(written(10_068_417_000), "2h47m48.417s");
        assert_eq!(written(3_600_000_000), "1h0m0s");
    }

    #[test]
    fn dates_start_on_the_first_of_january_2026() {
        assert_eq!(http_date(Duration::ZERO), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(http_date(Duration::from_secs(61)), "Thu, 01 Jan 2026 00:01:01 GMT");
        assert_eq!(rfc3339(Duration::from_millis(1)), "2026-01-01T00:00:01Z");
        assert_eq!(http_date(Duration::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(rfc3339(Duration::MAX).starts_with("9999-"));
    }
}
