//! Bodies of refusals, in whatever shape: `{"error": {...}}`, the same in an array (Gemini's
//! OpenAI-compatible path), `{"error": "text"}`, a bare object, plain text, an HTML page, nothing.

use http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::decode;
use crate::json;

/// What the body of a refusal says. What it does not say is empty.
#[derive(Clone, Debug)]
pub(super) enum ErrorBody {
    /// A JSON object. If the body is an array, it is the first element.
    Json(Value),
    /// Plain text.
    Text(String),
    /// A web page. No provider refuses with one: a proxy in between did.
    Page,
}

impl ErrorBody {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let body = decode::unpacked(headers, body);
        let document = match json::parse_partial(&body) {
            Some(Value::Array(items)) => items.into_iter().next(),
            document => document,
        };
        match document {
            Some(document @ Value::Object(_)) => Self::Json(document),
            _ if is_html(headers, &body) => Self::Page,
            _ => Self::Text(String::from_utf8_lossy(&body).into_owned()),
        }
    }

    /// The sentence for people, or the whole body if it is plain text. `Message` is Bedrock's.
    pub(super) fn message(&self) -> &str {
        let text = match self {
            Self::Json(_) | Self::Page => "",
            Self::Text(text) => text,
        };
        ["message", "Message", "error", "detail"]
            .into_iter()
            .map(|name| self.field(name))
            .find(|text| !text.is_empty())
            .unwrap_or(text)
    }

    /// Whether its type or code is one of these texts.
    pub(super) fn is(&self, names: &[&str]) -> bool {
        ["type", "code", "error_type"].into_iter().any(|name| names.contains(&self.field(name)))
    }

    /// The status that the body itself reports: OpenRouter's and Google's number in `code`, Groq's
    /// `status_code`.
    pub(super) fn status(&self) -> Option<u16> {
        let number = |name| {
            let status = self.error()?.get(name)?.as_u64()?.try_into().ok()?;
            (400..=599).contains(&status).then_some(status)
        };
        ["code", "status_code", "status"].into_iter().find_map(number)
    }

    /// The values at a JSON pointer in which `*` is any element or member.
    pub(super) fn find(&self, pointer: &str) -> Vec<&Value> {
        let Self::Json(document) = self else { return Vec::new() };
        let mut found = vec![document];
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
    /// an event; otherwise the outermost.
    fn error(&self) -> Option<&Map<String, Value>> {
        let Self::Json(document) = self else { return None };
        let places = ["/error", "/response/error", "/choices/0/error"];
        let inner = places.into_iter().find_map(|place| document.pointer(place)?.as_object());
        inner.or(document.as_object())
    }

    fn field(&self, name: &str) -> &str {
        self.error().and_then(|error| error.get(name)?.as_str()).unwrap_or_default()
    }
}

/// Whether a text is a JSON pointer.
pub(super) fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
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

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    declared.is_some_and(|value| value.starts_with(b"text/html"))
        || body.trim_ascii_start().starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(body: &[u8], look: impl FnOnce(&ErrorBody) -> T) -> T {
        look(&ErrorBody::read(&HeaderMap::new(), body))
    }

    #[test]
    fn the_message_is_found_in_every_shape() {
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
    fn a_numeric_code_is_read_as_a_status() {
        with(br#"{"error":{"code":429,"type":"t","status":"S"}}"#, |read| {
            assert!(read.is(&["s", "t"]) && !read.is(&["S", "429"]));
            assert_eq!(read.status(), Some(429));
        });
        with(br#"{"error":{"code":"x","status_code":503}}"#, |read| {
            assert_eq!(read.status(), Some(503));
        });
        for body in ["{}", r#"{"code":"429"}"#, r#"{"code":200}"#, r#"{"code":-1}"#, "429"] {
            with(body.as_bytes(), |read| assert_eq!(read.status(), None, "{body}"));
        }
    }

    #[test]
    fn an_error_in_the_response_of_an_event_is_found() {
        let event =
            br#"{"type":"response.failed","response":{"error":{"code":"c","message":"m"}}}"#;
        with(event, |read| assert!(read.is(&["c"]) && read.message() == "m"));
        let event = br#"{"choices":[{"error":{"code":502,"message":"m"}}],"code":"x"}"#;
        with(event, |read| assert!(read.status() == Some(502) && read.message() == "m"));
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
