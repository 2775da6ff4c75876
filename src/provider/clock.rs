//! The provider's clock: every absolute time of a response is measured against it, never against
//! ours, which may be minutes off.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The longest wait that is believed: a year. What says more is broken.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A header's value as text. `µs` is why this is not `to_str`, which takes ASCII only.
pub(crate) fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim)
}

/// A wait as long as the provider may well mean.
pub(crate) fn believed(wait: Duration) -> Option<Duration> {
    (wait <= LONGEST).then_some(wait)
}

/// From one time to a later one. A time that is not later says nothing: Anthropic sends
/// `1970-01-01T00:00:00Z` for "unknown", and resets that have just passed.
pub(crate) fn until(then: SystemTime, from: SystemTime) -> Option<Duration> {
    then.duration_since(from).ok().filter(|wait| !wait.is_zero()).and_then(believed)
}

/// The time zone of California, where Gemini's days begin: the rule of the United States since 2007,
/// so that no time zone database is needed.
/// Source: <https://ai.google.dev/gemini-api/docs/rate-limits>.
pub(crate) fn pacific() -> Option<TimeZone> {
    TimeZone::posix("PST8PDT,M3.2.0,M11.1.0").ok()
}

/// To the next midnight in a time zone.
pub(crate) fn until_midnight(zone: &TimeZone, from: SystemTime) -> Option<Duration> {
    let today = Timestamp::try_from(from).ok()?.to_zoned(zone.clone()).date();
    until_start_of(today.tomorrow().ok()?, zone.clone(), from)
}

/// To the first of the next month, 00:00 UTC.
pub(crate) fn until_next_month(from: SystemTime) -> Option<Duration> {
    let today = Timestamp::try_from(from).ok()?.to_zoned(TimeZone::UTC).date();
    until_start_of(today.last_of_month().tomorrow().ok()?, TimeZone::UTC, from)
}

/// To 00:00 UTC of the first day such as `2026-02-01` that a text names.
pub(crate) fn until_day_in(text: &str, from: SystemTime) -> Option<Duration> {
    let day = text
        .split(|c: char| !c.is_ascii_digit() && c != '-')
        .filter(|word| word.len() == "2026-02-01".len())
        .find_map(|word| word.parse::<Date>().ok())?;
    until_start_of(day, TimeZone::UTC, from)
}

fn until_start_of(day: Date, zone: TimeZone, from: SystemTime) -> Option<Duration> {
    until(day.to_zoned(zone).ok()?.timestamp().into(), from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> SystemTime {
        time.parse::<Timestamp>().unwrap().into()
    }

    const HOUR: u64 = 3_600;

    #[test]
    fn a_pacific_day_ends_at_its_own_midnight_in_winter_and_summer() {
        for (from, hours) in [
            ("2026-01-15T07:00:00Z", 1),  // 23:00 in winter
            ("2026-07-15T07:00:00Z", 24), // midnight in summer has just struck
            ("2026-07-15T06:00:00Z", 1),
            ("2026-03-08T08:00:00Z", 23), // clocks go forward
            ("2026-11-01T07:00:00Z", 25), // and back
        ] {
            assert_eq!(
                until_midnight(&pacific().unwrap(), at(from)),
                Some(Duration::from_secs(hours * HOUR)),
                "{from}"
            );
        }
    }

    #[test]
    fn a_month_ends_on_its_last_day() {
        for (from, hours) in [
            ("2026-02-28T23:00:00Z", 1),
            ("2028-02-28T23:00:00Z", 25),
            ("2026-12-31T00:00:00Z", 24),
            ("2026-04-01T00:00:00Z", 30 * 24),
        ] {
            assert_eq!(
                until_next_month(at(from)),
                Some(Duration::from_secs(hours * HOUR)),
                "{from}"
            );
        }
    }

    #[test]
    fn a_day_is_found_in_a_sentence() {
        let from = at("2026-01-31T23:00:00Z");
        for (text, wait) in [
            ("You will regain access on 2026-02-01 at 00:00 UTC.", Some(HOUR)),
            ("reached (2026-02-01)", Some(HOUR)),
            ("since 2026-01-01", None),
            ("on 2026-13-45", None),
            ("on 9999-12-31", None),
            ("----------", None),
            ("", None),
        ] {
            assert_eq!(until_day_in(text, from), wait.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_ignored() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        assert_eq!(until_midnight(&pacific().unwrap(), far), None);
        assert_eq!(until_next_month(far), None);
        assert_eq!(until_day_in("2026-02-01", far), None);
    }
}
