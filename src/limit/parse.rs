//! Limits as an operator writes them: `200000 tokens/min burst 20000`.

use std::{fmt, str::FromStr, time::Duration};

use super::{Amount, Limit, NANOS_A_DOLLAR};

const PERIODS: [(&[&str], u64); 4] = [
    (&["s", "sec", "second"], 1),
    (&["min", "minute"], 60),
    (&["h", "hour"], 3_600),
    (&["day", "d"], 86_400),
];

/// A limit that cannot be read: what was written, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    text: String,
    problem: String,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "limit {:?}: {}; write it as \"500 requests/min\", \"200000 tokens/min burst 20000\" or \"64 concurrent\"",
            self.text, self.problem
        )
    }
}

impl std::error::Error for LimitError {}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let limit = read(text);
        let limit = limit.and_then(|limit| match limit.problem() {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(limit),
        });
        limit.map_err(|problem| LimitError { text: text.to_owned(), problem })
    }
}

fn read(text: &str) -> Result<Limit, String> {
    let (text, burst) = match text.split_once(" burst ") {
        Some((text, burst)) => (text.trim(), Some(burst)),
        None => (text.trim(), None),
    };
    if let Some(money) = text.strip_prefix('$') {
        let (amount, period) = money.split_once('/').ok_or("it needs a time, such as /day")?;
        let mut limit = per(Limit::nano_dollars(dollars(amount)?), period)?;
        limit.burst =
            burst.map(|burst| dollars(burst.trim().trim_start_matches('$'))).transpose()?;
        return Ok(limit);
    }
    let (amount, what) =
        text.split_once(char::is_whitespace).ok_or("it needs an amount and what it counts")?;
    let amount = number(amount)?;
    let mut limit = match what.split_once('/') {
        Some((what, period)) => per(self::amount(amount, what.trim())?, period)?,
        None if what.trim() == "concurrent" => Limit::concurrent(amount),
        None => return Err(format!("{:?} needs a time, such as /min", what.trim())),
    };
    limit.burst = burst.map(number).transpose()?;
    Ok(limit)
}

/// `min`, `min fixed`, `day America/Los_Angeles`.
fn per(amount: Amount, text: &str) -> Result<Limit, String> {
    let (period, window) = match text.trim().split_once(char::is_whitespace) {
        Some((period, window)) => (period, Some(window.trim())),
        None => (text.trim(), None),
    };
    let limit = amount.per(self::period(period)?);
    Ok(match window {
        None => limit,
        Some("fixed") => limit.fixed(),
        Some(zone) => limit.in_zone(zone),
    })
}

/// An amount of money with up to nine places after the point, in nano-dollars.
fn dollars(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let problem = || format!("{text:?} is not an amount of dollars");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.is_empty() || part.len() > 9 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(problem());
    }
    let part: u64 = format!("{part:0<9}").parse().map_err(|_| problem())?;
    let whole = number(whole).map_err(|_| problem())?;
    whole.checked_mul(NANOS_A_DOLLAR).and_then(|nanos| nanos.checked_add(part)).ok_or_else(problem)
}

/// The inverse of [`dollars`].
pub(super) fn write_dollars(f: &mut fmt::Formatter<'_>, nanos: u64) -> fmt::Result {
    let (whole, part) = (nanos / NANOS_A_DOLLAR, nanos % NANOS_A_DOLLAR);
    match part {
        0 => write!(f, "${whole}"),
        _ => write!(f, "${whole}.{}", format!("{part:09}").trim_end_matches('0')),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let digits: String = text.trim().chars().filter(|c| !matches!(c, '_' | ',')).collect();
    digits.parse().map_err(|_| format!("{:?} is not a whole number", text.trim()))
}

fn amount(amount: u64, what: &str) -> Result<Amount, String> {
    match what {
        "requests" | "request" => Ok(Limit::requests(amount)),
        "tokens" => Ok(Limit::tokens(amount)),
        "input tokens" => Ok(Limit::input_tokens(amount)),
        "output tokens" => Ok(Limit::output_tokens(amount)),
        _ => Err(format!("{what:?} is none of requests, tokens, input tokens, output tokens")),
    }
}

fn period(text: &str) -> Result<Duration, String> {
    PERIODS
        .iter()
        .find(|(names, _)| names.contains(&text))
        .map(|&(_, seconds)| Duration::from_secs(seconds))
        .ok_or_else(|| format!("{text:?} is none of s, min, h, day"))
}

/// The inverse of [`period`]; a period without a name is written in seconds.
pub(super) fn write_period(f: &mut fmt::Formatter<'_>, period: Duration) -> fmt::Result {
    match PERIODS.iter().find(|&&(_, seconds)| Duration::from_secs(seconds) == period) {
        Some((names, _)) => f.write_str(names[0]),
        None => write!(f, "{} s", period.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "500 requests/min",
            "200000 tokens/min burst 20000",
            "40000 input tokens/s",
            "8000 output tokens/h burst 1",
            "1500 requests/day",
            "64 concurrent",
            "60 requests/min fixed",
            "1500 requests/day America/Los_Angeles",
            "$50/day",
            "$0.000000001/h",
            "$12.5/day Europe/Berlin",
            "$3/min burst $0.25",
        ] {
            let limit: Limit = text.parse().unwrap();
            let again: Limit = limit.to_string().parse().unwrap();
            assert_eq!(limit, again, "{text} was written as {limit}");
        }
    }

    #[test]
    fn digits_may_be_grouped() {
        assert_eq!(
            "200_000 tokens/min".parse::<Limit>().unwrap(),
            "200,000 tokens/minute".parse().unwrap()
        );
    }

    #[test]
    fn errors_name_the_text_and_the_remedy() {
        for (text, needle) in [
            ("", "amount"),
            ("500", "amount"),
            ("many requests/min", "\"many\" is not a whole number"),
            ("-5 requests/min", "\"-5\" is not a whole number"),
            ("99999999999999999999999 requests/min", "not a whole number"),
            ("500 requests", "needs a time"),
            ("500 apples/min", "apples"),
            ("500 requests/fortnight", "fortnight"),
            ("0 requests/min", "amount is 0"),
            ("5 requests/min burst 0", "burst is 0"),
            ("5 concurrent burst 2", "no burst"),
            ("5 requests/min fixed burst 2", "no burst"),
            ("5 requests/min America/Los_Angeles", "per day only"),
            ("5 requests/day Atlantis/Capital", "time zone is unknown"),
            ("$x/day", "not an amount of dollars"),
            ("$5", "needs a time"),
            ("$1.0000000001/day", "not an amount of dollars"),
            ("$99999999999999999999/day", "not an amount of dollars"),
        ] {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.contains(needle), "{text:?}: {error}");
            assert!(error.contains("write it as"), "{text:?}: {error}");
        }
    }
}
