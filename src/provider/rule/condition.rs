//! What a rule compares.

use std::{borrow::Cow, ops::RangeInclusive};

use http::HeaderName;
use serde_json::Value;

use super::seen::Seen;
use crate::provider::{clock, error_body::ErrorBody};

/// What a header or a value of a JSON body must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Match {
    /// There, whatever it is. `null` is not there.
    Present,
    /// Not there.
    Absent,
    /// Exactly one of these.
    Is(Vec<Cow<'static, str>>),
    /// Begins with one of these, in capitals or not.
    StartsWith(Vec<Cow<'static, str>>),
    /// Contains one of these, in capitals or not.
    Contains(Vec<Cow<'static, str>>),
}

impl Match {
    /// Exactly one of these.
    #[must_use]
    pub fn is<T: Into<Cow<'static, str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Is(texts.into_iter().map(Into::into).collect())
    }

    /// Begins with one of these, in capitals or not.
    #[must_use]
    pub fn starts_with<T: Into<Cow<'static, str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::StartsWith(texts.into_iter().map(Into::into).collect())
    }

    /// Contains one of these, in capitals or not.
    #[must_use]
    pub fn contains<T: Into<Cow<'static, str>>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Contains(texts.into_iter().map(Into::into).collect())
    }

    /// Whether it fits one of the values that are there.
    fn any<'t>(&self, mut values: impl Iterator<Item = Cow<'t, str>>) -> bool {
        match self {
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            Self::Is(texts) => values.any(|value| texts.contains(&value)),
            Self::StartsWith(texts) => {
                values.any(|value| texts.iter().any(|text| begins(&value, text)))
            }
            Self::Contains(texts) => {
                values.any(|value| texts.iter().any(|text| contains(&value, text)))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    Status(Statuses),
    Header(HeaderName, Match),
    Json(Cow<'static, str>, Match),
    Code(Vec<&'static str>),
    Says(Vec<Cow<'static, str>>),
    Begins(Vec<Cow<'static, str>>),
    Page,
    UsedUp,
}

impl Condition {
    pub(super) fn holds(&self, seen: Seen<'_>) -> bool {
        let error = || seen.answer.error();
        match self {
            // An error event that reports no status can have any.
            Self::Status(statuses) => {
                seen.answer.failure().is_none_or(|status| statuses.contain(status))
            }
            Self::Header(name, value) => {
                let values = seen.answer.headers().get_all(name).into_iter();
                value.any(values.filter_map(clock::text).map(Cow::Borrowed))
            }
            Self::Json(pointer, value) => {
                let found = error().find(pointer);
                value.any(found.into_iter().filter_map(scalar))
            }
            Self::Code(codes) => error().is(codes),
            Self::Says(phrases) => phrases.iter().any(|phrase| contains(error().message(), phrase)),
            Self::Begins(phrases) => {
                matches!(error(), ErrorBody::Json(_))
                    && phrases.iter().any(|phrase| begins(error().message(), phrase))
            }
            Self::Page => matches!(error(), ErrorBody::Page),
            Self::UsedUp => seen.is_used_up(),
        }
    }

    /// Whether it is about more than the status.
    pub(super) fn is_evidence(&self) -> bool {
        !matches!(self, Self::Status(_))
    }
}

/// A value as text; arrays and objects are merely there.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => number.to_string().into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Array(_) | Value::Object(_) => "".into(),
    })
}

fn begins(text: &str, phrase: &str) -> bool {
    text.as_bytes()
        .get(..phrase.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(phrase.as_bytes()))
}

/// A phrase that ends in a digit is not found in a longer number: `limit: 0` is not in `limit: 05`.
fn contains(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (text.as_bytes(), phrase.as_bytes());
    if phrase.is_empty() {
        return false;
    }
    let number = phrase.last().is_some_and(u8::is_ascii_digit);
    text.windows(phrase.len()).enumerate().any(|(at, part)| {
        part.eq_ignore_ascii_case(phrase)
            && !(number && text.get(at + phrase.len()).is_some_and(u8::is_ascii_digit))
    })
}

/// One or more statuses, or ranges of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl From<u16> for Statuses {
    fn from(status: u16) -> Self {
        Self(vec![status..=status])
    }
}

impl From<RangeInclusive<u16>> for Statuses {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self(vec![range])
    }
}

impl<const N: usize> From<[u16; N]> for Statuses {
    fn from(statuses: [u16; N]) -> Self {
        statuses.into_iter().map(|status| status..=status).collect()
    }
}

impl FromIterator<RangeInclusive<u16>> for Statuses {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_match_in_any_case_and_numbers_as_a_whole() {
        for (text, phrase, is_in) in [
            ("Credit is LOW.", "is low", true),
            ("Credit is LOW.", "is high", false),
            ("limit: 0", "limit: 0", true),
            ("limit: 0, model", "limit: 0", true),
            ("limit: 0\nPlease", "limit: 0", true),
            ("limit: 05", "limit: 0", false),
            ("limit: 05, limit: 0", "limit: 0", true),
            ("abc", "", false),
            ("", "a", false),
        ] {
            assert_eq!(contains(text, phrase), is_in, "{phrase:?} in {text:?}");
        }
        assert!(begins("Credit is low", "credit") && !begins("no credit", "credit"));
        assert!(!begins("credit", "credit is"));
    }

    #[test]
    fn matches() {
        let any = |what: &Match, values: &[&'static str]| {
            what.any(values.iter().map(|value| Cow::Borrowed(*value)))
        };
        assert!(any(&Match::Present, &[""]) && !any(&Match::Present, &[]));
        assert!(any(&Match::Absent, &[]) && !any(&Match::Absent, &[""]));
        assert!(any(&Match::is(["a", "b"]), &["x", "b"]) && !any(&Match::is(["a"]), &["A", "ab"]));
        assert!(any(&Match::starts_with(["thr"]), &["Throttling"]));
        assert!(!any(&Match::starts_with(["ottl"]), &["Throttling"]));
        assert!(any(&Match::contains(["OTTL"]), &["Throttling"]));
    }
}
