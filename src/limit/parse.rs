//! Limits as an operator writes them: `200000 tokens/min burst 20000`.

use std::{fmt, str::FromStr, time::Duration};

use super::declared::{Amount, Limit, Metered, Window};
use crate::money::Dollars;

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

/// `500 requests/min burst 40`: the form that [`str::parse`] reads.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metered {
            Metered::Concurrent => return write!(f, "{} concurrent", self.amount),
            Metered::Spend => write!(f, "${}", Dollars(self.amount))?,
            metered => write!(f, "{} {metered}", self.amount)?,
        }
        f.write_str("/")?;
        write_period(f, self.period)?;
        match &self.window {
            Window::Rolling => {}
            Window::Fixed { zone: None } => f.write_str(" fixed")?,
            Window::Fixed { zone: Some(zone) } => write!(f, " {zone}")?,
        }
        match (self.burst, self.metered) {
            (None, _) => Ok(()),
            (Some(burst), Metered::Spend) => write!(f, " burst ${}", Dollars(burst)),
            (Some(burst), _) => write!(f, " burst {burst}"),
        }
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

/// An amount of money with up to nine places after the point, in billionths of a dollar.
fn dollars(text: &str) -> Result<u64, String> {
    let amount = match text.trim().split_once('.') {
        Some((whole, part)) => Dollars::parse_exact(&[&without_groups(whole), ".", part].concat()),
        None => Dollars::parse_exact(&without_groups(text)),
    };
    amount
        .map(|Dollars(nanos)| nanos)
        .map_err(|_| format!("{:?} is not an amount of dollars", text.trim()))
}

fn number(text: &str) -> Result<u64, String> {
    let digits = without_groups(text);
    digits.parse().map_err(|_| format!("{:?} is not a whole number", text.trim()))
}

/// Without the `_` and `,` between groups of digits.
fn without_groups(text: &str) -> String {
    text.trim().chars().filter(|c| !matches!(c, '_' | ',')).collect()
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
fn write_period(f: &mut fmt::Formatter<'_>, period: Duration) -> fmt::Result {
    match PERIODS.iter().find(|&&(_, seconds)| Duration::from_secs(seconds) == period) {
        Some((names, _)) => f.write_str(names[0]),
        None => write!(f, "{} s", period.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_limit_reads_back_the_same() {
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
            ("$1.5_0/day", "not an amount of dollars"),
            ("$1e3/day", "not an amount of dollars"),
            ("$99999999999999999999/day", "not an amount of dollars"),
        ] {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.contains(needle), "{text:?}: {error}");
            assert!(error.contains("write it as"), "{text:?}: {error}");
        }
    }
}
