//! Where a refusal says how long to wait.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use http::HeaderName;
use jiff::tz::TimeZone;

use super::seen::Seen;
use crate::provider::{clock, duration, error_body::is_pointer, retry_after::retry_after};

/// Where a refusal says how long to wait, or a fixed wait.
///
/// | text | code | time |
/// | --- | --- | --- |
/// | `retry-after` | [`Wait::retry_after`] | `retry-after` and `retry-after-ms`, as they are meant |
/// | `reset` | [`Wait::reset`] | the latest reset of all limits that the headers report as used up |
/// | `header x-reset` | [`Wait::header`] | a wait or a time in a header |
/// | `json /error/retry_in` | [`Wait::json`] | a wait or a time in a JSON body |
/// | `text try again in` | [`Wait::text`] | the wait behind a phrase of the message |
/// | `date` | [`Wait::date`] | 00:00 UTC of the first day that the message names |
/// | `60s` | [`Wait::after`] | always this |
/// | `midnight America/Los_Angeles` | [`Wait::midnight`] | the next midnight there |
/// | `month` | [`Wait::next_month`] | the first of the next month, 00:00 UTC |
///
/// A wait is `6m0s`, `20ms`, `1h29m16.8s` or a number of seconds; a time is in RFC 3339, or since 1970
/// in seconds or milliseconds, and measured against the response's own `date`. What is zero, past,
/// negative or more than a year away is ignored.
#[derive(Clone, Debug)]
pub struct Wait(Where);

#[derive(Clone, Debug)]
enum Where {
    RetryAfter,
    Reset,
    Header(HeaderName),
    Json(Cow<'static, str>),
    Text(Cow<'static, str>),
    Date,
    After(Duration),
    Midnight(TimeZone),
    NextMonth,
    /// Not to be used: what was wrong with it.
    Nowhere(String),
}

impl Wait {
    /// `retry-after` (seconds or a date) and `retry-after-ms`.
    #[must_use]
    pub fn retry_after() -> Self {
        Self(Where::RetryAfter)
    }

    /// When all that is used up, by the headers, is back: the latest reset of what has nothing
    /// remaining.
    #[must_use]
    pub fn reset() -> Self {
        Self(Where::Reset)
    }

    /// A wait or a time in a header. Sent several times, the longest counts.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self(match HeaderName::try_from(name) {
            Ok(name) => Where::Header(name),
            Err(_) => Where::Nowhere(format!("{name:?} is no name of a header")),
        })
    }

    /// A wait or a time in a JSON body, where a pointer such as `/error/details/*/retryDelay` says.
    /// Of several, the longest counts.
    #[must_use]
    pub fn json(pointer: impl Into<Cow<'static, str>>) -> Self {
        let pointer = pointer.into();
        Self(match is_pointer(&pointer) {
            true => Where::Json(pointer),
            false => Where::Nowhere(format!("{pointer:?} is no JSON pointer")),
        })
    }

    /// The wait behind a phrase of the message: `try again in` finds 20 s in `Please try again in 20s.`
    #[must_use]
    pub fn text(phrase: impl Into<Cow<'static, str>>) -> Self {
        Self(Where::Text(phrase.into()))
    }

    /// 00:00 UTC of the first day such as `2026-02-01` that the message names.
    #[must_use]
    pub fn date() -> Self {
        Self(Where::Date)
    }

    /// Always this long.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self(Where::After(wait))
    }

    /// To the next midnight in a time zone, such as `America/Los_Angeles` or `UTC`.
    #[must_use]
    pub fn midnight(zone: &str) -> Self {
        Self(match TimeZone::get(zone) {
            Ok(zone) => Where::Midnight(zone),
            Err(_) => Where::Nowhere(format!(
                "the time zone {zone:?} is unknown: use a name such as America/Los_Angeles"
            )),
        })
    }

    /// To the first of the next month, 00:00 UTC.
    #[must_use]
    pub fn next_month() -> Self {
        Self(Where::NextMonth)
    }

    /// To the next midnight in California, where Gemini's days begin.
    pub(crate) fn pacific_midnight() -> Self {
        match clock::pacific() {
            Some(zone) => Self(Where::Midnight(zone)),
            None => Self::midnight("America/Los_Angeles"),
        }
    }

    pub(super) fn problem(&self) -> Option<&str> {
        match &self.0 {
            Where::Nowhere(problem) => Some(problem),
            _ => None,
        }
    }

    /// The time that it finds, never zero.
    pub(super) fn find(&self, seen: Seen<'_>) -> Option<Duration> {
        let (sent, error) = (|| seen.answer.sent_at(), || seen.answer.error());
        let found = match &self.0 {
            Where::RetryAfter => retry_after(seen.answer),
            Where::Reset => seen.reset_of_used_up(),
            Where::Header(name) => {
                let values =
                    seen.answer.headers().get_all(name).into_iter().filter_map(clock::text);
                values.filter_map(|text| duration::reset(text, sent)).max()
            }
            Where::Json(pointer) => {
                let values = error().find(pointer).into_iter();
                values.filter_map(|value| duration::of_json(value, sent)).max()
            }
            Where::Text(phrase) => duration::after_phrase(error().message(), phrase),
            Where::Date => clock::until_day_in(error().message(), sent()),
            Where::After(wait) => clock::believed(*wait),
            Where::Midnight(zone) => clock::until_midnight(zone, sent()),
            Where::NextMonth => clock::until_next_month(sent()),
            Where::Nowhere(_) => None,
        };
        found.filter(|wait| !wait.is_zero())
    }
}

/// Why a text is no [`Wait`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitError(String);

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WaitError {}

impl FromStr for Wait {
    type Err = WaitError;

    fn from_str(text: &str) -> Result<Self, WaitError> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        let wait = match (word, rest.is_empty()) {
            ("retry-after", true) => Self::retry_after(),
            ("reset", true) => Self::reset(),
            ("date", true) => Self::date(),
            ("month", true) => Self::next_month(),
            ("header", false) => Self::header(rest),
            ("json", false) => Self::json(rest.to_owned()),
            ("text", false) => Self::text(rest.to_owned()),
            ("midnight", false) => Self::midnight(rest),
            _ => match duration::wait(text.trim()).filter(|wait| !wait.is_zero()) {
                Some(wait) => Self::after(wait),
                None => {
                    return Err(WaitError(format!(
                        "{text:?} is none of retry-after, reset, header NAME, json POINTER, text \
                         PHRASE, date, midnight ZONE, month, or a time such as 60s"
                    )));
                }
            },
        };
        match wait.problem() {
            Some(problem) => Err(WaitError(problem.to_owned())),
            None => Ok(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_a_text() {
        for text in [
            "retry-after",
            "reset",
            "header x-reset",
            "json /error/retry_in",
            "text try again in",
            "date",
            "60s",
            "1h30m",
            "5",
            "midnight America/Los_Angeles",
            " midnight  UTC ",
            "month",
        ] {
            assert!(text.parse::<Wait>().is_ok(), "{text}");
        }
        for (text, problem) in [
            ("", "is none of"),
            ("soon", "is none of"),
            ("0s", "is none of"),
            ("-5s", "is none of"),
            ("header", "is none of"),
            ("reset x", "is none of"),
            ("header a b", "no name of a header"),
            ("json error", "no JSON pointer"),
            ("midnight Atlantis/Capital", "is unknown"),
        ] {
            let error = text.parse::<Wait>().map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
