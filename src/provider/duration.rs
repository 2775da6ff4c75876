//! Waits as providers write them: `6m0s`, `172.799999ms`, `48.9`, `2026-08-11T23:47:12Z`,
//! `1782377714`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::Value;

use super::clock::{believed, until};

/// From here on a number is a time in seconds since 1970 (that of 2001), not a wait.
const EPOCH_SECONDS: f64 = 1e9;
/// And from here on in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;

/// A wait: `1h29m16.8s` as Go prints it, or a number of seconds.
pub(crate) fn wait(text: &str) -> Option<Duration> {
    match number(text) {
        Some(seconds) => seconds_f64(seconds),
        None => go(text),
    }
}

/// When something is back, counted from `from`: a wait, or a time (RFC 3339, or since 1970 in
/// seconds or milliseconds, distinguished by size).
pub(crate) fn reset(text: &str, from: impl FnOnce() -> SystemTime) -> Option<Duration> {
    match number(text) {
        Some(millis) if millis >= EPOCH_MILLIS => since_1970(millis / 1e3, from()),
        Some(seconds) if seconds >= EPOCH_SECONDS => since_1970(seconds, from()),
        Some(seconds) => seconds_f64(seconds),
        None => go(text).or_else(|| until(text.parse::<Timestamp>().ok()?.into(), from())),
    }
}

/// The same for a value of a JSON body: text, or a number.
pub(crate) fn of_json(value: &Value, from: impl FnOnce() -> SystemTime) -> Option<Duration> {
    match value {
        Value::String(text) => reset(text.trim(), from),
        Value::Number(number) => reset(&number.to_string(), from),
        _ => None,
    }
}

/// The wait that follows a phrase in a sentence: `Please try again in 20s. Visit ...`.
pub(crate) fn after_phrase(sentence: &str, phrase: &str) -> Option<Duration> {
    let (_, rest) = sentence.split_once(phrase)?;
    let mut words = rest.split_ascii_whitespace();
    let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
    match number(first) {
        // A bare number says nothing without its unit.
        Some(seconds) => words.next()?.starts_with("sec").then_some(seconds).and_then(seconds_f64),
        None => go(first),
    }
}

/// Milliseconds, as in `retry-after-ms`.
pub(crate) fn millis(text: &str) -> Option<Duration> {
    seconds_f64(number(text)? / 1e3)
}

fn since_1970(seconds: f64, from: SystemTime) -> Option<Duration> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    until(UNIX_EPOCH.checked_add(since)?, from)
}

fn seconds_f64(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().and_then(believed)
}

/// Digits with at most one point. Signs, exponents, `inf` and `NaN`, which `f64` reads too, are refused.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().ok() } else { None }
}

/// One or more numbers, each with its unit.
fn go(mut text: &str) -> Option<Duration> {
    let mut seconds = None;
    while !text.is_empty() {
        let (amount, rest) = split_where(text, |c| !c.is_ascii_digit() && c != '.');
        let (unit, rest) = split_where(rest, |c| c.is_ascii_digit() || c == '.');
        seconds = Some(seconds.unwrap_or(0.0) + number(amount)? * unit_seconds(unit)?);
        text = rest;
    }
    seconds_f64(seconds?)
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;

    #[test]
    fn waits_are_read_in_every_spelling() {
        for (text, nanos) in [
            ("6m0s", 360 * S),
            ("1m0s", 60 * S),
            ("0s", 0),
            ("20ms", 20 * MS),
            ("172.799999ms", 172_799_999),
            ("8.64s", 8_640 * MS),
            ("21m36.001s", 1_296_001 * MS),
            ("1h29m16.8s", 5_356_800 * MS),
            ("2h47m48.417s", 10_068_417 * MS),
            ("48.939935699s", 48_939_935_699),
            ("500µs", 500_000),
            ("500us", 500_000),
            ("7ns", 7),
            ("1d", 86_400 * S),
            ("30", 30 * S),
            ("0.5", 500 * MS),
            (".5", 500 * MS),
            ("0", 0),
        ] {
            assert_eq!(wait(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_wait_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "-1",
            "-5s",
            "+5",
            "1e3",
            "1e999",
            "inf",
            "NaN",
            "s",
            "ms",
            "5x",
            "5 s",
            "1h-2m",
            "1.2.3",
            "1..s",
            "5s5",
            "99999999999999999999999s",
            "400d",
            "9999999999",
            "1h\u{661}m",
            "\u{661}",
            "5s ",
            "five",
            "0x10",
        ] {
            assert_eq!(wait(text), None, "{text:?}");
        }
    }

    #[test]
    fn resets_are_waits_or_times() {
        let from = UNIX_EPOCH + Duration::from_secs(1_782_377_700);
        for (text, nanos) in [
            ("14", Some(14 * S)),
            ("6m0s", Some(360 * S)),
            ("1782377714", Some(14 * S)),
            ("1782377714000", Some(14 * S)),
            ("2026-06-25T08:55:14Z", Some(14 * S)),
            ("2026-06-25T01:55:14-07:00", Some(14 * S)),
            ("2026-06-25T08:55:00Z", None), // now: says nothing
            ("2026-06-25T08:54:59Z", None), // past
            ("1970-01-01T00:00:00Z", None),
            ("1782377699", None),
            ("1782377699000", None),
            ("99999999", None),   // a wait of three years
            ("1999999999", None), // a time seven years on
            ("99999999999999999999", None),
            ("9999-12-31T23:59:59Z", None),
            ("-1", None),
            ("Tue, 04 Jun 2024", None),
            ("", None),
        ] {
            assert_eq!(reset(text, || from), nanos.map(Duration::from_nanos), "{text:?}");
        }
    }

    #[test]
    fn a_sentence_names_a_wait() {
        for (text, nanos) in [
            ("Please try again in 20s. Visit https://example.com", Some(20 * S)),
            ("Please try again in 1m12.5s.", Some(72_500 * MS)),
            ("try again in 350ms", Some(350 * MS)),
            ("try again in 20 seconds.", Some(20 * S)),
            ("try again in 20", None),
            ("try again in 2 minutes", None),
            ("try again in a while", None),
            ("try again in", None),
            ("try again in ", None),
            ("try again later", None),
        ] {
            assert_eq!(
                after_phrase(text, "try again in "),
                nanos.map(Duration::from_nanos),
                "{text}"
            );
        }
    }
}
