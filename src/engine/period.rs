//! Per how long a limit is that a response tells of.

use std::time::Duration;

use crate::provider::{Reading, Refill};

/// What providers count by.
const USUAL: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
];
/// Resets are told in whole seconds by some.
const ROUNDED: Duration = Duration::from_secs(1);

/// The period, if the response says or shows it.
///
/// Of an allowance that refills all the time, what was used and the time until it is back show the
/// rate. Of one that comes back at once, the time until then is no longer than the period.
pub(super) fn of(reading: &Reading) -> Option<Duration> {
    if reading.period.is_some() {
        return reading.period.filter(|period| !period.is_zero());
    }
    let (limit, remaining, reset) = (reading.limit?, reading.remaining?, reading.reset?);
    match reading.refill {
        Refill::Rolling => shown(limit, limit.checked_sub(remaining)?, reset),
        Refill::Fixed => USUAL.into_iter().find(|period| reset <= *period + ROUNDED),
    }
}

/// Figures are rounded: of one used unit nothing can be told, of more the period within a factor of
/// two and a little. The usual periods are much further apart.
fn shown(limit: u64, used: u64, reset: Duration) -> Option<Duration> {
    if used < 2 || reset.is_zero() {
        return None;
    }
    let limit = limit as f64;
    let is_whole = reset.subsec_nanos() == 0;
    let doubt = if is_whole { ROUNDED.as_secs_f64() } else { 0.0 };
    let least = limit * (reset.as_secs_f64() - doubt) / used as f64 * 0.8;
    let most = limit * (reset.as_secs_f64() + doubt) / (used - 1) as f64 * 1.25;
    let mut fitting = USUAL.into_iter().filter(|p| (least..=most).contains(&p.as_secs_f64()));
    let found = fitting.next()?;
    fitting.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scope, limit::Metered};

    fn rolling(limit: u64, remaining: u64, millis: u64) -> Option<u64> {
        let reading = Reading {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(Duration::from_millis(millis)),
            ..Reading::new(Metered::Requests, Scope::Model, Refill::Rolling)
        };
        of(&reading).map(|period| period.as_secs())
    }

    #[test]
    fn what_was_used_and_the_time_until_it_is_back_show_the_rate() {
        assert_eq!(rolling(60, 55, 4_300), Some(60), "the fifth has refilled in part");
        assert_eq!(rolling(14_400, 14_370, 179_560), Some(86_400), "a day's, told as requests");
        assert_eq!(rolling(200, 197, 1_296_001), Some(86_400));
        assert_eq!(rolling(30_000, 29_990, 20), Some(60));
        assert_eq!(rolling(4_000_000, 3_999_000, 15), Some(60));
        assert_eq!(rolling(50, 40, 12_000), Some(60), "in whole seconds");
    }

    #[test]
    fn what_shows_nothing_is_not_guessed() {
        assert_eq!(rolling(60, 59, 20), None, "one unit, of which nobody knows how much is left");
        assert_eq!(rolling(60, 60, 0), None);
        assert_eq!(rolling(60, 50, 0), None, "a reset in the past");
        assert_eq!(rolling(60, 70, 5_000), None, "more is left than there is");
        assert_eq!(rolling(1_000, 500, 150_000), None, "300 s is nobody's period");
        assert_eq!(rolling(60, 58, 1_000), None, "between one and three seconds, of two or one");
    }

    #[test]
    fn a_fixed_window_is_at_least_as_long_as_it_lasts() {
        let fixed = |reset: u64, period: Option<u64>| {
            of(&Reading {
                limit: Some(60),
                remaining: Some(10),
                reset: Some(Duration::from_secs(reset)),
                period: period.map(Duration::from_secs),
                ..Reading::new(Metered::Requests, Scope::Account, Refill::Fixed)
            })
            .map(|period| period.as_secs())
        };
        assert_eq!(fixed(60, None), Some(60));
        assert_eq!(fixed(2_400, None), Some(3_600));
        assert_eq!(fixed(2_400, Some(18_000)), Some(18_000));
        assert_eq!(fixed(90_000, None), None);
    }
}
