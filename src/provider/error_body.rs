//! Bodies of refusals, in whatever shape: `{"error": {...}}`, the same in an array (Gemini's
//! OpenAI-compatible path), `{"error": "text"}`, a bare object, plain text, an HTML page, nothing.

use std::borrow::Cow;

use http::header;
use serde_json::{Map, Value};

use super::{Answer, decode, mend};

/// What a refusal's body says. What it does not say is empty.
#[derive(Debug)]
pub(crate) struct ErrorBody<'a> {
    /// An array around it is taken off. Null where it is no JSON object.
    document: Value,
    text: Cow<'a, str>,
    html: bool,
}

impl<'a> ErrorBody<'a> {
    pub(crate) fn read(answer: &Answer<'a>) -> Self {
        let body = decode::unpacked(answer.headers, answer.body);
        let document = match mend::parse(&body) {
            Some(Value::Array(items)) => items.into_iter().next().unwrap_or_default(),
            Some(value) => value,
            None => Value::Null,
        };
        let is_json = document.is_object();
        let html = !is_json && is_html(answer, &body);
        // Neither a page nor JSON is a message.
        let text = match body {
            _ if is_json || html => Cow::Borrowed(""),
            Cow::Borrowed(body) => String::from_utf8_lossy(body),
            Cow::Owned(body) => Cow::Owned(String::from_utf8_lossy(&body).into_owned()),
        };
        Self { document: if is_json { document } else { Value::Null }, text, html }
    }

    /// Whether it is a web page. No dialect's refusals are: it comes from something in between.
    pub(crate) fn is_html(&self) -> bool {
        self.html
    }

    /// Whether it is a JSON object.
    pub(crate) fn is_json(&self) -> bool {
        !self.document.is_null()
    }

    /// The sentence for people, or the whole body where it is plain text. In capitals: Bedrock.
    pub(crate) fn message(&self) -> &str {
        ["message", "Message", "error", "detail"]
            .into_iter()
            .map(|name| self.field(name))
            .find(|text| !text.is_empty())
            .unwrap_or(&self.text)
    }

    /// Whether its type or code is one of these, where they are text.
    pub(crate) fn is(&self, names: &[&str]) -> bool {
        ["type", "code", "error_type"].into_iter().any(|name| names.contains(&self.field(name)))
    }

    /// The status of a failure that it tells itself: OpenRouter's and Google's number in `code`, Groq's
    /// `status_code`.
    pub(crate) fn told_status(&self) -> Option<u16> {
        let number = |name| {
            let status = self.error()?.get(name)?.as_u64()?.try_into().ok()?;
            (400..=599).contains(&status).then_some(status)
        };
        ["code", "status_code", "status"].into_iter().find_map(number)
    }

    /// The values at a JSON pointer in which `*` is any element or member.
    pub(crate) fn find(&self, pointer: &str) -> Vec<&Value> {
        let mut found = vec![&self.document];
        for step in pointer.split('/').skip(1) {
            found = match step {
                "*" => found.into_iter().flat_map(children).collect(),
                _ => {
                    let name = step.replace("~1", "/").replace("~0", "~");
                    found.into_iter().filter_map(|value| child(value, &name)).collect()
                }
            };
        }
        found
    }

    /// The object that describes the error: the one inside `error`, or in the response or the choice of
    /// an event, or else the outermost.
    fn error(&self) -> Option<&Map<String, Value>> {
        let places = ["/error", "/response/error", "/choices/0/error"];
        let inner = places.into_iter().find_map(|place| self.document.pointer(place)?.as_object());
        inner.or(self.document.as_object())
    }

    fn field(&self, name: &str) -> &str {
        self.error().and_then(|error| error.get(name)?.as_str()).unwrap_or_default()
    }
}

fn child<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(elements) => elements.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    }
}

fn is_html(answer: &Answer<'_>, body: &[u8]) -> bool {
    let declared = answer.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    declared.is_some_and(|value| value.starts_with(b"text/html"))
        || body.trim_ascii_start().starts_with(b"<")
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
            (r#"{"error":{"message":"no"#, "no"),
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
    fn a_number_is_no_code_but_may_be_a_status() {
        with(br#"{"error":{"code":429,"type":"t","status":"S"}}"#, |read| {
            assert!(read.is(&["s", "t"]) && !read.is(&["S", "429"]));
            assert_eq!(read.told_status(), Some(429));
        });
        with(br#"{"error":{"code":"x","status_code":503}}"#, |read| {
            assert_eq!(read.told_status(), Some(503));
        });
        for body in ["{}", r#"{"code":"429"}"#, r#"{"code":200}"#, r#"{"code":-1}"#, "429"] {
            with(body.as_bytes(), |read| assert_eq!(read.told_status(), None, "{body}"));
        }
    }

    #[test]
    fn an_error_in_the_response_of_an_event_is_found() {
        let event =
            br#"{"type":"response.failed","response":{"error":{"code":"c","message":"m"}}}"#;
        with(event, |read| assert!(read.is(&["c"]) && read.message() == "m"));
        let event = br#"{"choices":[{"error":{"code":502,"message":"m"}}],"code":"x"}"#;
        with(event, |read| assert!(read.told_status() == Some(502) && read.message() == "m"));
    }

    #[test]
    fn pointers_lead_to_values() {
        let body = br#"{"error":{"a/b":1,"list":[{"x":"1"},{"x":"2"},{"y":"3"}],"null":null}}"#;
        with(body, |read| {
            let found = |pointer| {
                let values = read.find(pointer).into_iter();
                values.map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(found("/error/a~1b"), "1");
            assert_eq!(found("/error/list/*/x"), r#""1" "2""#);
            assert_eq!(found("/error/list/1/x"), r#""2""#);
            assert_eq!(found("/error/*/*/y"), r#""3""#);
            assert_eq!(found("/error/null"), "null");
            assert_eq!(found("/error/list/7/x"), "");
            assert_eq!(found("/nothing/at/all"), "");
            assert_eq!(found("").len(), body.len());
        });
        with(br#"[{"error":1}]"#, |read| assert_eq!(read.find("/error").len(), 1));
        with(b"text", |read| assert!(read.find("/error").is_empty()));
    }
}
