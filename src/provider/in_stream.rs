//! What the events of streams say, in the shapes of all dialects: which of them are errors, and
//! which are nothing that anybody waits for.
//!
//! Providers that speak each other's dialects send each other's events, so every shape is known here
//! once. An error is turned into the response that it would have been, had it come before the head:
//! [`Provider::classify`](super::Provider::classify) judges it by the same rules.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode, header};
use memchr::memmem;
use serde_json::{Map, Value};

use crate::stream::{Framing, StreamEvent};

/// An error that came inside an answer which had begun well: the response that it would have been
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateError<'a> {
    /// The status.
    pub status: StatusCode,
    /// The body: an error in the dialect's shape.
    pub body: Cow<'a, [u8]>,
}

/// A stream of events, if the response says that it is one.
pub(crate) fn events(headers: &HeaderMap) -> Option<Framing> {
    is_type(headers, "text/event-stream").then_some(Framing::Events)
}

/// Whether it is a body in which usage may be told.
pub(crate) fn is_stream_or_json(headers: &HeaderMap) -> bool {
    is_type(headers, "application/json") || is_type(headers, "text/event-stream")
}

/// Whether a response is of a media type.
pub(crate) fn is_type(headers: &HeaderMap, media_type: &str) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let declared = declared.and_then(|value| value.split(|byte| *byte == b';').next());
    declared.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes()))
}

/// The error that an event tells of, if any:
///
/// - an object in the member `error` of its data: chat completions of OpenAI and all who speak so,
///   Anthropic's `{"type": "error", "error": {...}}`, Gemini's, and the same in an array;
/// - `{"type": "error", "code": ..., "message": ...}` and `response.failed` of OpenAI's responses
///   (<https://platform.openai.com/docs/api-reference/responses-streaming>);
/// - anything at all in an event whose name is `error`.
pub(crate) fn late_error<'a>(event: &StreamEvent<'a>) -> Option<LateError<'a>> {
    let is_named = event.name == "error";
    if !is_named && !may_be_error(event.data) {
        return None;
    }
    let value = match serde_json::from_slice(event.data) {
        Ok(Value::Array(items)) => items.into_iter().next(),
        other => other.ok(),
    };
    let Some(Value::Object(mut outer)) = value else {
        let body = Cow::Borrowed(event.data);
        return is_named.then_some(LateError { status: StatusCode::INTERNAL_SERVER_ERROR, body });
    };
    let says_error = is_named || text(&outer, "type") == "error";
    if let Some(error) = outer.get("error").filter(|error| is_told(error)) {
        return Some(LateError { status: status(error), body: Cow::Borrowed(event.data) });
    }
    let error = match outer.get_mut("response").and_then(|response| response.get_mut("error")) {
        Some(error) if is_told(error) => error.take(),
        _ if says_error => Value::Object(outer),
        _ => return None,
    };
    let status = status(&error);
    let body = Value::Object(Map::from_iter([("error".to_owned(), error)]));
    Some(LateError { status, body: Cow::Owned(body.to_string().into_bytes()) })
}

/// Whether it is worth reading: its bytes have `"error"`, and not just as a member that is null.
/// Inside a text the quotes would be escaped.
fn may_be_error(data: &[u8]) -> bool {
    const QUOTED: &[u8] = b"\"error\"";
    memmem::find_iter(data, QUOTED).any(|at| {
        let rest = data[at + QUOTED.len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_none_or(|value| !value.starts_with(b"null"))
    })
}

fn is_told(error: &Value) -> bool {
    match error {
        Value::Object(error) => !error.is_empty(),
        Value::String(error) => !error.is_empty(),
        _ => false,
    }
}

/// The status that an error would have come with: the one that it names (OpenRouter, Groq and Google
/// do), or else the one of its code or type.
fn status(error: &Value) -> StatusCode {
    let unknown = StatusCode::INTERNAL_SERVER_ERROR;
    let Value::Object(error) = error else { return unknown };
    let numbers = ["status_code", "code", "status"];
    if let Some(status) = numbers.into_iter().find_map(|name| number(error.get(name)?)) {
        return status;
    }
    let names = ["code", "type", "status"].map(|name| text(error, name));
    let known = names.into_iter().find_map(|name| STATUSES.iter().find(|known| known.0 == name));
    let known = known.map(|known| known.1);
    let code = known.or_else(|| names.into_iter().any(is_of_input).then_some(400));
    code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(unknown)
}

/// What errors are called, and the status that those names come with elsewhere:
/// <https://platform.openai.com/docs/guides/error-codes>,
/// <https://docs.claude.com/en/api/errors>,
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.
const STATUSES: &[(&str, u16)] = &[
    ("rate_limit_exceeded", 429),
    ("rate_limit_error", 429),
    ("slow_down", 429),
    ("insufficient_quota", 429),
    ("RESOURCE_EXHAUSTED", 429),
    ("overloaded_error", 529),
    ("server_is_overloaded", 503),
    ("service_unavailable_error", 503),
    ("UNAVAILABLE", 503),
    ("timeout_error", 504),
    ("DEADLINE_EXCEEDED", 504),
    ("invalid_api_key", 401),
    ("authentication_error", 401),
    ("UNAUTHENTICATED", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("PERMISSION_DENIED", 403),
    ("not_found_error", 404),
    ("NOT_FOUND", 404),
    ("request_too_large", 413),
    ("content_filter", 400),
    ("FAILED_PRECONDITION", 400),
    ("api_error", 500),
    ("server_error", 500),
    ("INTERNAL", 500),
];

/// `invalid_request_error`, `invalid_prompt`, `INVALID_ARGUMENT`, `image_too_large`: the codes of
/// OpenAI's responses that are neither the server's nor about limits.
fn is_of_input(name: &str) -> bool {
    ["invalid_", "INVALID_", "image_", "unsupported_", "empty_", "failed_to_download_"]
        .into_iter()
        .any(|start| name.starts_with(start))
}

fn number(value: &Value) -> Option<StatusCode> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    let status = u16::try_from(number).ok().and_then(|code| StatusCode::from_u16(code).ok())?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

/// Whether a chunk has usage and no choices: the one that `stream_options.include_usage` adds
/// (<https://platform.openai.com/docs/api-reference/chat-streaming>).
pub(crate) fn is_usage_alone(event: &StreamEvent<'_>) -> bool {
    if memmem::find(event.data, b"\"usage\"").is_none() {
        return false;
    }
    let Ok(Value::Object(chunk)) = serde_json::from_slice(event.data) else { return false };
    let has_no_choices = chunk.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty);
    has_no_choices && chunk.get("usage").is_some_and(Value::is_object)
}

/// Names of events that end an answer.
const ENDS: &[&str] = &["message_stop", "response.completed", "response.incomplete"];

/// Whether an event is the last of an answer. Not all dialects have one.
pub(crate) fn is_end(event: &StreamEvent<'_>) -> bool {
    event.data == b"[DONE]" || ENDS.contains(&event.name)
}

/// Names of events that only open an answer: Anthropic's
/// (<https://docs.claude.com/en/docs/build-with-claude/streaming>), those of OpenAI's responses, and
/// of Gemini's interactions.
const OPENINGS: &[&str] = &[
    "message_start",
    "ping",
    "response.created",
    "response.queued",
    "response.in_progress",
    "interaction.created",
    "interaction.start",
    "interaction.status_update",
];

/// Whether an event is nothing that anybody waits for: it opens the answer, keeps the connection
/// alive, or is a chunk in which all is empty.
pub(crate) fn is_prelude(event: &StreamEvent<'_>) -> bool {
    if OPENINGS.contains(&event.name) {
        return true;
    }
    let Ok(Value::Object(data)) = serde_json::from_slice(event.data) else { return false };
    let kind = ["type", "event_type"].map(|name| text(&data, name));
    if kind.into_iter().any(|kind| OPENINGS.contains(&kind)) {
        return true;
    }
    if kind.contains(&"content_block_start") {
        return data.get("content_block").is_some_and(is_empty);
    }
    // Choices of OpenAI's chunks, candidates of Gemini's.
    let parts = ["choices", "candidates"].map(|name| data.get(name).and_then(Value::as_array));
    let mut parts = parts.into_iter().flatten().peekable();
    let has_parts = parts.peek().is_some();
    has_parts && parts.flatten().all(is_empty) && data.get("promptFeedback").is_none_or(is_empty)
}

/// Whether there is nothing in it but roles, kinds, places and verdicts of filters.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(members) => members.iter().all(|(name, value)| {
            matches!(&**name, "role" | "type" | "index" | "content_filter_results")
                || is_empty(value)
        }),
    }
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> &'v str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(name: &'a str, data: &'a str) -> StreamEvent<'a> {
        StreamEvent { name, data: data.as_bytes() }
    }

    #[test]
    fn errors_of_all_shapes_have_the_status_that_they_would_have_come_with() {
        for (status, name, data) in [
            (500, "", r#"{"error":{"message":"no","type":"server_error","code":null}}"#),
            (429, "", r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#),
            (502, "", r#"{"id":"x","choices":[],"error":{"code":502,"message":"no"}}"#),
            (502, "", r#"{"error":{"code":"502","message":"no"}}"#),
            (400, "error", r#"{"error":{"type":"x","code":"tool_use_failed","status_code":400}}"#),
            (529, "error", r#"{"type":"error","error":{"type":"overloaded_error"}}  "#),
            (401, "error", r#"{"type":"error","error":{"type":"authentication_error"}}"#),
            (500, "error", r#"{"type":"error","error":{"type":"api_error"}}"#),
            (503, "", r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#),
            (429, "", r#"{"event_type":"error","error":{"status":"RESOURCE_EXHAUSTED"}}"#),
            (429, "", r#"[{"error":{"code":429}}]"#),
            (429, "error", r#"{"type":"error","code":"rate_limit_exceeded","message":"no"}"#),
            (500, "", r#"{"type":"error","code":"vector_store_timeout","message":"no"}"#),
            (400, "", r#"{"type":"error","code":"invalid_prompt","message":"no"}"#),
            (400, "", r#"{"type":"error","code":"image_too_large","message":"no"}"#),
            (500, "", r#"{ "error" : "no" }"#),
            (500, "error", "no JSON at all"),
            (500, "error", "[]"),
            (500, "", r#"{"error":{"code":99999999999999}}"#),
            (500, "", r#"{"error":{"code":200}}"#),
        ] {
            let error = late_error(&event(name, data)).unwrap_or_else(|| panic!("{data}"));
            assert_eq!(error.status.as_u16(), status, "{data}");
        }
    }

    #[test]
    fn the_error_of_a_failed_response_is_taken_out_of_it() {
        let data = r#"{"type":"response.failed","response":{"id":"r","error":{"code":"rate_limit_exceeded","message":"no"}}}"#;
        let error = late_error(&event("response.failed", data)).unwrap();
        assert_eq!(error.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(&*error.body, br#"{"error":{"code":"rate_limit_exceeded","message":"no"}}"#);
        let data = r#"{"type":"error","code":"server_error","message":"no"}"#;
        let error = late_error(&event("", data)).unwrap();
        assert!(error.body.starts_with(br#"{"error":{"#), "{error:?}");
    }

    #[test]
    fn what_only_speaks_of_errors_is_none() {
        for data in [
            r#"{"error":null}"#,
            r#"{"error": null,"choices":[]}"#,
            r#"{"error":{}}"#,
            r#"{"error":""}"#,
            r#"{"type":"response.completed","response":{"error":null,"output":[]}}"#,
            r#"{"choices":[{"delta":{"content":"{\"error\":{\"code\":500}}"}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"error":{"code":1}}}}]}}]}"#,
            r#"{"delta":"error"}"#,
            r#"{"error":{"code":500}"#,
            "[DONE]",
            "",
        ] {
            assert_eq!(late_error(&event("", data)), None, "{data}");
        }
    }

    #[test]
    fn openings_and_empty_chunks_are_preludes() {
        for (name, data) in [
            (
                "",
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            ),
            ("", r#"{"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#),
            ("", r#"{"choices":[{"index":0,"delta":{"token_id":null,"content":""},"text":""}]}"#),
            ("", r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#),
            ("message_start", r#"{"type":"message_start","message":{"usage":{"input_tokens":7}}}"#),
            ("", r#"{"type":"message_start","message":{}}"#),
            ("ping", r#"{"type":"ping"}"#),
            (
                "content_block_start",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ),
            ("response.created", r#"{"type":"response.created","response":{"output":[]}}"#),
            ("", r#"{"type":"response.in_progress"}"#),
            (
                "",
                r#"{"candidates":[{"content":{"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":7}}"#,
            ),
            ("interaction.created", "{}"),
        ] {
            assert!(is_prelude(&event(name, data)), "{data}");
        }
    }

    #[test]
    fn content_and_ends_are_no_preludes() {
        for data in [
            r#"{"choices":[{"index":0,"delta":{"content":" "},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c"}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning":"The"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"text":"a"}]}"#,
            r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"f"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
            r#"{"type":"message_stop"}"#,
            r#"{"type":"response.output_text.delta","delta":"a"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"}}]}"#,
            r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
            r#"{"candidates":[],"promptFeedback":{"blockReason":"OTHER"}}"#,
            r#"{"promptFeedback":{"blockReason":"OTHER"}}"#,
            r#"{"usage":{"total_tokens":7}}"#,
            "[DONE]",
            "not JSON",
        ] {
            assert!(!is_prelude(&event("", data)), "{data}");
        }
    }
}
