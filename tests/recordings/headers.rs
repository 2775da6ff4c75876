//! Headers that report limits, read a second time: one name after the other, with the plainest parsing.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tower_key_rotation::{
    limit::Metered::{self, InputTokens, OutputTokens, Requests, Tokens},
    provider::{Answer, LimitReading, Provider},
};

use crate::{coverage::Found, recording::Recording};

/// Of each provider: what is metered, the headers of limit, remaining and reset, and per how many
/// seconds.
type Line = (Metered, &'static str, &'static str, &'static str, Option<u64>);

macro_rules! line {
    ($metered:ident, $before:literal, $after:literal) => {
        line!($metered, $before, $after, None)
    };
    ($metered:ident, $before:literal, $after:literal, $period:expr) => {
        (
            $metered,
            concat!($before, "limit", $after),
            concat!($before, "remaining", $after),
            concat!($before, "reset", $after),
            $period,
        )
    };
}

const MINUTE: Option<u64> = Some(60);
const HOUR: Option<u64> = Some(3_600);
const DAY: Option<u64> = Some(86_400);
const MONTH: Option<u64> = Some(30 * 86_400);

fn lines(provider: &str) -> &'static [Line] {
    match provider {
        "openai" | "huggingface" | "zai" | "deepseek" => &[
            line!(Requests, "x-ratelimit-", "-requests"),
            line!(Requests, "x-ratelimit-", "-project-requests"),
            line!(Tokens, "x-ratelimit-", "-tokens"),
            line!(Tokens, "x-ratelimit-", "-project-tokens"),
        ],
        "anthropic" => &[
            line!(Requests, "anthropic-ratelimit-requests-", ""),
            line!(Tokens, "anthropic-ratelimit-tokens-", ""),
            line!(InputTokens, "anthropic-ratelimit-input-tokens-", ""),
            line!(OutputTokens, "anthropic-ratelimit-output-tokens-", ""),
            (
                Requests,
                "x-ratelimit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
                None,
            ),
            (
                Tokens,
                "x-ratelimit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
                None,
            ),
        ],
        // The unit of the reset is not known.
        "azure" => &[
            (Requests, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "", MINUTE),
            (Tokens, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "", MINUTE),
        ],
        "groq" => &[
            line!(Requests, "x-ratelimit-", "-requests", DAY),
            line!(Tokens, "x-ratelimit-", "-tokens", MINUTE),
        ],
        "xai" => &[
            line!(Requests, "x-ratelimit-", "-requests"),
            line!(Tokens, "x-ratelimit-", "-tokens"),
        ],
        "mistral" => &[
            line!(Requests, "x-ratelimit-", "-req-minute", MINUTE),
            line!(Requests, "x-ratelimit-", "-req-10-second", Some(10)),
            line!(Tokens, "x-ratelimit-", "-tokens-minute", MINUTE),
            line!(Tokens, "ratelimitbysize-", "", MINUTE),
            line!(Tokens, "x-ratelimitbysize-", "-minute", MINUTE),
            line!(Tokens, "x-ratelimit-", "-tokens-month", MONTH),
            line!(Tokens, "x-ratelimitbysize-", "-month", MONTH),
        ],
        "cohere" => &[line!(Requests, "x-trial-endpoint-call-", "", MINUTE)],
        "openrouter" => &[line!(Requests, "x-ratelimit-", "")],
        "together" => &[
            line!(Requests, "x-ratelimit-", "", Some(1)),
            line!(Tokens, "x-ratelimit-", "-tokens", Some(1)),
        ],
        "fireworks" => &[
            line!(Requests, "x-ratelimit-", "-requests", MINUTE),
            line!(InputTokens, "x-ratelimit-", "-tokens-prompt", MINUTE),
            line!(InputTokens, "x-ratelimit-", "-tokens-cache-adjusted-prompt", MINUTE),
            line!(OutputTokens, "x-ratelimit-", "-tokens-generated", MINUTE),
        ],
        "cerebras" => &[
            line!(Requests, "x-ratelimit-", "-requests-minute", MINUTE),
            line!(Requests, "x-ratelimit-", "-requests-hour", HOUR),
            line!(Requests, "x-ratelimit-", "-requests-day", DAY),
            line!(Tokens, "x-ratelimit-", "-tokens-minute", MINUTE),
            line!(Tokens, "x-ratelimit-", "-tokens-hour", HOUR),
            line!(Tokens, "x-ratelimit-", "-tokens-day", DAY),
        ],
        // The period is that of the resource, and not told by old responses.
        "github" => &[line!(Requests, "x-ratelimit-", "")],
        "replicate" => &[line!(Requests, "ratelimit-", "")],
        _ => &[],
    }
}

/// What is reported of one limit: limit, remaining, milliseconds to the reset.
type Told = (Metered, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

pub(crate) fn check(provider: &dyn Provider, recording: &Recording) -> Found {
    let status = StatusCode::from_u16(recording.status).unwrap();
    let mut found = Vec::new();
    let answer = Answer::new(status, &recording.headers, recording.now).with_body(&recording.body);
    provider.readings(&answer, &mut |reading| found.push(told(recording, &reading)));
    let mut expected = if recording.status == 401 { Vec::new() } else { again(recording) };
    found.sort();
    expected.sort();
    if found == expected {
        Ok(found.len())
    } else {
        Err(format!("headers tell {expected:?}, and {found:?} was read"))
    }
}

fn told(recording: &Recording, reading: &LimitReading) -> Told {
    let period = reading.period.map(|period| period.as_secs());
    let period = period.filter(|_| recording.provider != "github");
    let reset = reading.reset.map(|reset| reset.as_millis() as u64);
    (reading.metered, period, reading.limit, reading.remaining, reset)
}

fn again(recording: &Recording) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for (metered, limit, remaining, reset, period) in lines(&recording.provider) {
        let value = |name: &str| match name {
            "" => None,
            _ => recording.headers.get(name).and_then(|value| value.to_str().ok()),
        };
        let amount = |name| value(name)?.parse().ok().filter(|amount: &u64| *amount < 1 << 62);
        let (limit, remaining) = (amount(limit), amount(remaining));
        if limit.is_none() && remaining.is_none() {
            continue;
        }
        let reset = value(reset).and_then(|text| millis(text, sent(recording)));
        let one = (*metered, *period, limit, remaining, reset);
        // Of two on the same, the one of which less remains.
        match all.iter_mut().find(|other| (other.0, other.1) == (*metered, *period)) {
            Some(other) if other.3.is_none() || remaining.is_some_and(|n| Some(n) < other.3) => {
                *other = one;
            }
            Some(_) => {}
            None => all.push(one),
        }
    }
    all
}

fn sent(recording: &Recording) -> SystemTime {
    let date = recording.headers.get("date").and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(recording.now)
}

/// Milliseconds until a reset, however it is written. What is not ahead is no time.
fn millis(text: &str, sent: SystemTime) -> Option<u64> {
    let since_1970 = sent.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let wait = if let Ok(number) = text.parse::<f64>() {
        match number {
            n if n > 1e12 => ahead(n / 1e3 - since_1970)?,
            n if n > 1e9 => ahead(n - since_1970)?,
            n => n,
        }
    } else if text.contains('T') {
        let time: jiff::Timestamp = text.parse().ok()?;
        ahead(time.as_second() as f64 - since_1970)?
    } else {
        let mut seconds = 0.0;
        let mut rest = text;
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| c.is_alphabetic())?;
            let number: f64 = rest[..unit_at].parse().ok()?;
            let unit_end = rest[unit_at..].find(|c: char| !c.is_alphabetic());
            let unit_end = unit_end.map_or(rest.len(), |end| unit_at + end);
            seconds += number
                * match &rest[unit_at..unit_end] {
                    "d" => 86_400.0,
                    "h" => 3_600.0,
                    "m" => 60.0,
                    "s" => 1.0,
                    "ms" => 1e-3,
                    _ => return None,
                };
            rest = &rest[unit_end..];
        }
        seconds
    };
    // A wait of more than a year is not believed.
    let wait = Duration::try_from_secs_f64(wait).ok()?;
    (wait <= Duration::from_secs(366 * 86_400)).then_some(wait.as_millis() as u64)
}

fn ahead(wait: f64) -> Option<f64> {
    (wait > 0.0).then_some(wait)
}
