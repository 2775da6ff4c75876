//! Bodies of refusals, in whatever shape: `{"error": {...}}`, the same in an array (Gemini's
//! OpenAI-compatible path), `{"error": "text"}`, a bare object, plain text, an HTML page, nothing.

use std::borrow::Cow;

use http::header;
use serde_json::{Map, Value};

use super::Answer;

/// What a refusal's body says. What it does not say is empty.
#[derive(Debug)]
pub(crate) struct ErrorBody<'a> {
    error: Map<String, Value>,
    text: Cow<'a, str>,
    html: bool,
}

impl<'a> ErrorBody<'a> {
    pub(crate) fn read(answer: &Answer<'a>) -> Self {
        let error = match serde_json::from_slice(answer.body) {
            Ok(Value::Array(items)) => items.into_iter().next().and_then(error_of),
            Ok(value) => error_of(value),
            Err(_) => None,
        };
        let html = error.is_none() && is_html(answer);
        // Neither compressed bytes nor a page are a message.
        let text = match error {
            None if !html => String::from_utf8_lossy(answer.body),
            _ => Cow::Borrowed(""),
        };
        Self { error: error.unwrap_or_default(), text, html }
    }

    /// Whether it is a web page. No dialect's refusals are: it comes from something in between.
    pub(crate) fn is_html(&self) -> bool {
        self.html
    }

    /// OpenAI's and Anthropic's `error.type`.
    pub(crate) fn kind(&self) -> &str {
        self.field("type")
    }

    /// OpenAI's `error.code`, where it is text.
    pub(crate) fn code(&self) -> &str {
        self.field("code")
    }

    /// Google's `error.status`.
    pub(crate) fn status(&self) -> &str {
        self.field("status")
    }

    /// The sentence for people, or the whole body where it is plain text.
    pub(crate) fn message(&self) -> &str {
        ["message", "error", "detail"]
            .into_iter()
            .map(|name| self.field(name))
            .find(|text| !text.is_empty())
            .unwrap_or(&self.text)
    }

    /// Google's list of `error.details`; for Anthropic, who has one object, just that.
    pub(crate) fn details(&self) -> &[Value] {
        match self.error.get("details") {
            Some(Value::Array(details)) => details,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    /// Whether its type or code is one of these.
    pub(crate) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.kind()) || names.contains(&self.code())
    }

    /// Whether the message contains a phrase, in capitals or not.
    pub(crate) fn says(&self, phrase: &str) -> bool {
        self.message()
            .as_bytes()
            .windows(phrase.len().max(1))
            .any(|part| part.eq_ignore_ascii_case(phrase.as_bytes()))
    }

    /// Whether the message of a JSON body begins with a phrase. To be used where the verdict costs
    /// a key: a message may repeat the caller's words, but does not begin with them.
    pub(crate) fn begins(&self, phrase: &str) -> bool {
        !self.error.is_empty()
            && self
                .message()
                .as_bytes()
                .get(..phrase.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(phrase.as_bytes()))
    }

    fn field(&self, name: &str) -> &str {
        self.error.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The object that describes the error: the one inside `error`, or else the outer one.
fn error_of(value: Value) -> Option<Map<String, Value>> {
    let Value::Object(mut outer) = value else { return None };
    match outer.remove("error") {
        Some(Value::Object(inner)) => Some(inner),
        Some(other) => {
            outer.insert("error".to_owned(), other);
            Some(outer)
        }
        None => Some(outer),
    }
}

fn is_html(answer: &Answer<'_>) -> bool {
    let declared = answer.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    declared.is_some_and(|value| value.starts_with(b"text/html"))
        || answer.body.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{HeaderMap, StatusCode};

    use super::*;

    fn with<T>(body: &[u8], look: impl FnOnce(&ErrorBody<'_>) -> T) -> T {
        look(&ErrorBody::read(&Answer {
            status: StatusCode::BAD_REQUEST,
            headers: &HeaderMap::new(),
            body,
            now: SystemTime::UNIX_EPOCH,
        }))
    }

    #[test]
    fn every_shape_gives_its_message() {
        for (body, message) in [
            (r#"{"error":{"message":"no"}}"#, "no"),
            (r#"[{"error":{"message":"no"}}]"#, "no"),
            (r#"[{"error":{"message":"no"}},{"error":{"message":"yes"}}]"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"error":"no","message":"longer"}"#, "longer"),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
            (r#"{"error":null,"message":"no"}"#, "no"),
            ("no", "no"),
            (r#"{"error":{"message":"no"#, r#"{"error":{"message":"no"#),
            (r#"{"error":{"message":["no"]}}"#, ""),
            (r#"{"error":{}}"#, ""),
            ("[]", "[]"),
            ("7", "7"),
            ("<html>no</html>", ""),
            ("\n <!DOCTYPE html>no", ""),
            ("", ""),
        ] {
            with(body.as_bytes(), |read| assert_eq!(read.message(), message, "{body}"));
        }
        with(b"\xff\xfe", |read| assert_eq!(read.message(), "\u{fffd}\u{fffd}"));
    }

    #[test]
    fn a_number_is_no_code() {
        with(br#"{"error":{"code":429,"type":"t","status":"S"}}"#, |read| {
            assert_eq!((read.code(), read.kind(), read.status()), ("", "t", "S"));
            assert!(read.is(&["s", "t"]) && !read.is(&["S", "429"]));
        });
    }

    #[test]
    fn phrases_are_found_in_any_case() {
        with(br#"{"error":{"message":"Credit is LOW."}}"#, |read| {
            assert!(read.says("is low") && !read.says("is high"));
            assert!(read.begins("credit is") && !read.begins("is low"));
            assert!(!read.begins("credit is low. and more"));
        });
        with(b"Credit is low", |read| assert!(read.says("is low") && !read.begins("credit")));
        with(b"", |read| assert!(!read.says("x")));
    }

    #[test]
    fn details_are_a_list_or_one() {
        with(br#"{"error":{"details":[1,2]}}"#, |read| assert_eq!(read.details().len(), 2));
        with(br#"{"error":{"details":{"a":1}}}"#, |read| assert_eq!(read.details().len(), 1));
        with(br#"{"error":{}}"#, |read| assert!(read.details().is_empty()));
    }
}
