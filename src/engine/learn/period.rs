//! Infers the period of a limit that a response reports without one.

use std::{ops::RangeInclusive, time::Duration};

use crate::provider::{LimitReading, Refill};

const MINUTE: Duration = Duration::from_secs(60);
/// The usual periods of providers.
const USUAL: [Duration; 4] =
    [Duration::from_secs(1), MINUTE, Duration::from_secs(3_600), Duration::from_secs(86_400)];
/// Some providers report resets in whole seconds.
const ROUNDED: Duration = Duration::from_secs(1);

/// A period is wrong if it differs from what a response shows by this factor.
const FAR: f64 = 3.0;

/// The period, if the response reports or shows it.
///
/// For a rolling limit, the used amount and the time until it is back show the rate. For a fixed
/// window, the time until the reset is at most the period.
pub(in crate::engine) fn of(reading: &LimitReading) -> Option<Duration> {
    if reading.period.is_some() {
        return reading.period.filter(|period| !period.is_zero());
    }
    match reading.refill {
        Refill::Rolling => {
            let shown = shown(reading)?;
            let mut fitting = USUAL.into_iter().filter(|p| shown.contains(&p.as_secs_f64()));
            let found = fitting.next()?;
            let is_sure = fitting.next().is_none() && !may_be_window(reading.reset?, found);
            is_sure.then_some(found)
        }
        Refill::Fixed => at_least(reading.reset?),
    }
}

/// The shortest usual period of a window that still lasts this long.
pub(in crate::engine) fn at_least(reset: Duration) -> Option<Duration> {
    USUAL.into_iter().find(|period| reset <= *period + ROUNDED)
}

/// Whether the figures of a long period also fit the start of a shorter window, of which little is
/// used. An assumed bucket that is too slow would never be found out.
fn may_be_window(reset: Duration, period: Duration) -> bool {
    let mut shorter = USUAL.into_iter().filter(|usual| (MINUTE..period).contains(usual));
    shorter.any(|usual| (usual / 2..=usual + ROUNDED).contains(&reset))
}

/// Whether a response shows that a limit is no token bucket of this period.
pub(in crate::engine) fn contradicts(reading: &LimitReading, period: Duration) -> bool {
    let far = |shown: RangeInclusive<f64>| {
        let period = period.as_secs_f64();
        period > shown.end() * FAR || period * FAR < *shown.start()
    };
    reading.refill == Refill::Rolling && shown(reading).is_some_and(far)
}

/// The shortest and longest period of a token bucket, in seconds, that fit the rounded figures.
///
/// With one used unit the range is narrow; with more units it is about a factor of two. The usual
/// periods are much further apart.
fn shown(reading: &LimitReading) -> Option<RangeInclusive<f64>> {
    let (limit, reset) = (reading.limit?, reading.reset?);
    let used = limit.checked_sub(reading.remaining?)?;
    if used == 0 || reset.is_zero() || (used == 1 && reset < ROUNDED) {
        return None;
    }
    let is_whole = reset.subsec_nanos() == 0 && used > 1;
    let doubt = if is_whole { ROUNDED.as_secs_f64() } else { 0.0 };
    let least = limit as f64 * (reset.as_secs_f64() - doubt) / used as f64 * 0.8;
    let most = limit as f64 * (reset.as_secs_f64() + doubt) / (used - 1).max(1) as f64 * 1.25;
    Some(least..=most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limit::Metered, verdict::Scope};

    fn rolling(limit: u64, remaining: u64, millis: u64) -> Option<u64> {
        let reading = LimitReading {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(Duration::from_millis(millis)),
            ..LimitReading::new(Metered::Requests, Scope::Model, Refill::Rolling)
        };
        of(&reading).map(|period| period.as_secs())
    }

    #[test]
    fn the_used_amount_and_its_reset_show_the_period() {
        assert_eq!(rolling(60, 55, 4_300), Some(60), "the fifth has refilled in part");
        assert_eq!(rolling(14_400, 14_370, 179_560), Some(86_400), "a day's, told as requests");
        assert_eq!(rolling(200, 197, 1_296_001), Some(86_400));
        assert_eq!(rolling(30_000, 29_990, 20), Some(60));
        assert_eq!(rolling(4_000_000, 3_999_000, 15), Some(60));
        assert_eq!(rolling(50, 40, 12_000), Some(60), "in whole seconds");
        assert_eq!(rolling(15, 14, 4_000), Some(60), "the only one that is ever used at a time");
    }

    #[test]
    fn figures_that_show_nothing_give_no_period() {
        assert_eq!(rolling(60, 59, 20), None, "one unit, of which nobody knows how much is left");
        assert_eq!(rolling(60, 60, 0), None);
        assert_eq!(rolling(60, 50, 0), None, "a reset in the past");
        assert_eq!(rolling(60, 70, 5_000), None, "more is left than there is");
        assert_eq!(rolling(1_000, 500, 150_000), None, "300 s is nobody's period");
        assert_eq!(rolling(60, 58, 1_000), None, "between none and two seconds, of two or one");
    }

    #[test]
    fn a_window_taken_for_a_bucket_is_found_out() {
        let reading = |used: u64, reset: u64| LimitReading {
            limit: Some(60),
            remaining: Some(60 - used),
            reset: Some(Duration::from_millis(reset)),
            ..LimitReading::new(Metered::Requests, Scope::Model, Refill::Rolling)
        };
        // The start of a minute's window looks like an hour's bucket.
        assert_eq!(of(&reading(2, 58_500)), None);
        assert_eq!(of(&reading(3, 180_000)), Some(Duration::from_secs(3_600)));
        let hour = Duration::from_secs(3_600);
        assert!(!contradicts(&reading(3, 58_100), hour));
        assert!(contradicts(&reading(10, 50_500), hour));
        for used in 1..60 {
            let minute = Duration::from_secs(60);
            assert!(!contradicts(&reading(used, used * 1_000 - 500), minute), "{used} of a bucket");
        }
    }

    #[test]
    fn the_period_of_a_window_is_at_least_its_reset() {
        let fixed = |reset: u64, period: Option<u64>| {
            of(&LimitReading {
                limit: Some(60),
                remaining: Some(10),
                reset: Some(Duration::from_secs(reset)),
                period: period.map(Duration::from_secs),
                ..LimitReading::new(Metered::Requests, Scope::Account, Refill::Fixed)
            })
            .map(|period| period.as_secs())
        };
        assert_eq!(fixed(60, None), Some(60));
        assert_eq!(fixed(2_400, None), Some(3_600));
        assert_eq!(fixed(2_400, Some(18_000)), Some(18_000));
        assert_eq!(fixed(90_000, None), None);
    }
}
