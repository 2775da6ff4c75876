//! What the events of streams mean, in the shapes of all dialects: which are errors, and which have no
//! content yet.
//!
//! Providers that speak each other's dialects send each other's events, so every shape is known here
//! once, in one file. An error is judged by the same [rules](super::rule) as a response.
//!
//! Long, for it holds these shapes together, with a table of events for each dialect.

use http::{HeaderMap, header};
use memchr::memmem;
use serde_json::{Map, Value};

use crate::stream::{Framing, StreamEvent};

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";
/// AWS's frames, with JSON in them as it is
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html>).
const FRAMES: &str = "application/vnd.amazon.eventstream";

/// What a failed answer of Cohere's ends with.
const COHERE: &str = "ERROR";

/// How the body of a response is framed, if it is in one of these ways.
pub(crate) fn framing(headers: &HeaderMap, streamed: bool, known: &[Framing]) -> Option<Framing> {
    let declared = media_type(headers)?;
    let framings: &[Framing] = if is(declared, EVENTS) {
        &[Framing::Events]
    } else if !is(declared, JSON) {
        &[]
    } else if streamed {
        &[Framing::List, Framing::Whole]
    } else {
        &[Framing::Whole]
    };
    framings.iter().copied().find(|framing| known.contains(framing))
}

/// Whether it is a body that can report usage.
pub(crate) fn is_stream_or_json(headers: &HeaderMap) -> bool {
    let is_known = |declared| [JSON, EVENTS, FRAMES].into_iter().any(|known| is(declared, known));
    media_type(headers).is_some_and(is_known)
}

/// Whether a body may be anything: it has no type, or that of any text.
pub(crate) fn is_any_text(headers: &HeaderMap) -> bool {
    media_type(headers).is_none_or(|declared| is(declared, "text/plain"))
}

/// What a response says that it is, without any parameters.
fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    let declared = headers.get(header::CONTENT_TYPE)?.as_bytes();
    let end = memchr::memchr(b';', declared).unwrap_or(declared.len());
    Some(declared[..end].trim_ascii())
}

fn is(declared: &[u8], media_type: &str) -> bool {
    declared.eq_ignore_ascii_case(media_type.as_bytes())
}

/// Whether an event is an error:
///
/// - an object in the member `error` of its data: chat completions of OpenAI and all who speak so,
///   Anthropic's `{"type": "error", "error": {...}}`, Gemini's, and the same in an array;
/// - the same in its first choice: OpenRouter, where some of the answer is there
///   (<https://openrouter.ai/docs/api-reference/errors>);
/// - `{"type": "error", "code": ..., "message": ...}` and `response.failed` of OpenAI's responses
///   (<https://platform.openai.com/docs/api-reference/responses-streaming>);
/// - `ERROR` for what an answer of Cohere's ended with
///   (<https://docs.cohere.com/reference/chat-stream>);
/// - anything at all in an event whose name is `error`.
pub(crate) fn is_error(event: &StreamEvent<'_>) -> bool {
    if event.name == "error" {
        return true;
    }
    if !may_be_error(event.data) {
        return false;
    }
    let value = match serde_json::from_slice(event.data) {
        Ok(Value::Array(items)) => items.into_iter().next(),
        other => other.ok(),
    };
    let Some(value) = value else { return false };
    let says = |place, word| value.pointer(place).and_then(Value::as_str) == Some(word);
    ["/error", "/response/error", "/choices/0/error"]
        .into_iter()
        .any(|place| value.pointer(place).is_some_and(is_present))
        || says("/type", "error")
        || says("/delta/finish_reason", COHERE)
        || says("/finish_reason", COHERE)
}

/// Whether it is worth reading: its bytes have `"error"`, and not just as a member that is null, or
/// Cohere's word. Inside a text the quotes would be escaped.
fn may_be_error(data: &[u8]) -> bool {
    const QUOTED: &[u8] = b"\"error\"";
    let is_value = |at| {
        let rest = data[at + QUOTED.len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_none_or(|value| !value.starts_with(b"null"))
    };
    memmem::find_iter(data, QUOTED).any(is_value) || memmem::find(data, b"\"ERROR\"").is_some()
}

fn is_present(error: &Value) -> bool {
    match error {
        Value::Object(error) => !error.is_empty(),
        Value::String(error) => !error.is_empty(),
        _ => false,
    }
}

/// Whether a chunk has usage and no choices: the one that `stream_options.include_usage` adds
/// (<https://platform.openai.com/docs/api-reference/chat-streaming>). Others than OpenAI send `choices` as null
/// in it, or leave it out.
pub(crate) fn is_usage_alone(event: &StreamEvent<'_>) -> bool {
    if memmem::find(event.data, b"\"usage\"").is_none() {
        return false;
    }
    let Ok(Value::Object(chunk)) = serde_json::from_slice(event.data) else { return false };
    let has_no_choices = chunk.get("choices").is_none_or(|choices| match choices {
        Value::Null => true,
        Value::Array(choices) => choices.is_empty(),
        _ => false,
    });
    // Events of another dialect have usage beside what they say.
    let says_more = ["type", "error"].iter().any(|name| chunk.get(*name).is_some_and(is_present));
    has_no_choices && !says_more && chunk.get("usage").is_some_and(Value::is_object)
}

/// Names of events that end an answer.
const ENDS: &[&str] = &["message_stop", "response.completed", "response.incomplete", "message-end"];

/// Whether an event is the last of an answer. Not all dialects have one.
pub(crate) fn is_end(event: &StreamEvent<'_>) -> bool {
    event.data == b"[DONE]" || ENDS.contains(&event.name)
}

/// Names of events that only open an answer: Anthropic's
/// (<https://docs.claude.com/en/docs/build-with-claude/streaming>), Cohere's
/// (<https://docs.cohere.com/reference/chat-stream>), those of OpenAI's responses, and of Gemini's
/// interactions.
const OPENINGS: &[&str] = &[
    "message_start",
    "ping",
    "message-start",
    "response.created",
    "response.queued",
    "response.in_progress",
    "interaction.created",
    "interaction.start",
    "interaction.status_update",
];

/// Whether an event has no content yet: it opens the answer, keeps the connection alive, or is a chunk
/// in which everything is empty.
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
    if kind.contains(&"content-start") {
        return data.get("delta").is_some_and(is_empty);
    }
    // Choices of OpenAI's chunks, candidates of Gemini's.
    let parts = ["choices", "candidates"].map(|name| data.get(name).and_then(Value::as_array));
    let mut parts = parts.into_iter().flatten().peekable();
    let has_parts = parts.peek().is_some();
    has_parts && parts.flatten().all(is_empty) && data.get("promptFeedback").is_none_or(is_empty)
}

/// Whether an event only ends an answer as usual, or reports its usage: an answer with nothing before it
/// has no content. An end for another reason, such as a filter's, is content.
pub(crate) fn is_empty_end(event: &StreamEvent<'_>) -> bool {
    if event.data == b"[DONE]" {
        return true;
    }
    let Ok(Value::Object(data)) = serde_json::from_slice(event.data) else { return false };
    let is = |kind: &str| event.name == kind || text(&data, "type") == kind;
    if is("message_stop") || is("content_block_stop") {
        return true;
    }
    if is("message_delta") {
        return data.get("delta").is_some_and(is_usual_end);
    }
    if is("response.completed") {
        return data
            .get("response")
            .and_then(|response| response.get("output"))
            .is_some_and(is_empty);
    }
    let parts = ["choices", "candidates"].map(|name| data.get(name).and_then(Value::as_array));
    let mut parts = parts.into_iter().flatten().peekable();
    match parts.peek() {
        Some(_) => {
            let has_feedback =
                data.get("promptFeedback").is_some_and(|feedback| !is_empty(feedback));
            !has_feedback && parts.flatten().all(is_usual_end)
        }
        None => data.contains_key("usage") || data.contains_key("usageMetadata"),
    }
}

/// Whether there is nothing in it but that it has ended as usual.
fn is_usual_end(part: &Value) -> bool {
    const REASONS: [&str; 4] = ["finish_reason", "finishReason", "stop_reason", "stop_sequence"];
    const USUAL: [&str; 4] = ["stop", "STOP", "end_turn", "COMPLETE"];
    let Some(members) = part.as_object() else { return is_empty(part) };
    members.iter().all(|(name, value)| match REASONS.contains(&&**name) {
        true => value.is_null() || value.as_str().is_some_and(|reason| USUAL.contains(&reason)),
        false => matches!(&**name, "role" | "type" | "index") || is_empty(value),
    })
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
    use std::time::SystemTime;

    use http::StatusCode;

    use super::*;
    use crate::{
        OpenAi,
        provider::{Answer, Provider, Ruling},
    };

    fn event<'a>(name: &'a str, data: &'a str) -> StreamEvent<'a> {
        StreamEvent::new(name, data.as_bytes())
    }

    /// The verdict on an error event of OpenAI's dialect.
    fn judged(name: &str, data: &str) -> Ruling {
        let event = event(name, data);
        assert!(is_error(&event), "{data}");
        OpenAi::default().classify(
            &Answer::new(StatusCode::OK, &HeaderMap::new(), SystemTime::UNIX_EPOCH)
                .with_body(event.data),
        )
    }

    #[test]
    fn an_error_event_is_judged_like_a_refusal() {
        for (verdict, name, data) in [
            ("transient", "", r#"{"error":{"message":"no","type":"server_error","code":null}}"#),
            ("rate_limited", "", r#"{"error":{"type":"tokens","code":"rate_limit_exceeded"}}"#),
            ("transient", "", r#"{"id":"x","choices":[],"error":{"code":502,"message":"no"}}"#),
            ("transient", "", r#"{"error":{"code":"502","message":"no"}}"#),
            (
                "caller_fault",
                "error",
                r#"{"error":{"type":"x","code":"tool_use_failed","status_code":400}}"#,
            ),
            ("overloaded", "error", r#"{"type":"error","error":{"type":"overloaded_error"}}  "#),
            ("overloaded", "", r#"{"error":{"type":"service_unavailable_error"}}"#),
            (
                "key_rejected",
                "error",
                r#"{"type":"error","error":{"type":"authentication_error"}}"#,
            ),
            ("transient", "error", r#"{"type":"error","error":{"type":"api_error"}}"#),
            ("transient", "error", r#"{"type":"error","error":{"type":"timeout_error"}}"#),
            ("overloaded", "", r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#),
            ("overloaded", "", r#"{"error":{"status":"UNAVAILABLE"}}"#),
            ("transient", "", r#"{"error":{"status":"DEADLINE_EXCEEDED"}}"#),
            ("transient", "", r#"{"error":{"status":"INTERNAL"}}"#),
            ("key_rejected", "", r#"{"error":{"status":"UNAUTHENTICATED"}}"#),
            ("caller_fault", "", r#"{"error":{"status":"INVALID_ARGUMENT"}}"#),
            (
                "rate_limited",
                "",
                r#"{"event_type":"error","error":{"status":"RESOURCE_EXHAUSTED"}}"#,
            ),
            ("rate_limited", "", r#"[{"error":{"code":429}}]"#),
            (
                "rate_limited",
                "error",
                r#"{"type":"error","code":"rate_limit_exceeded","message":"no"}"#,
            ),
            ("transient", "", r#"{"type":"error","code":"vector_store_timeout","message":"no"}"#),
            ("caller_fault", "", r#"{"type":"error","code":"invalid_prompt","message":"no"}"#),
            ("caller_fault", "", r#"{"type":"error","code":"image_too_large","message":"no"}"#),
            ("caller_fault", "", r#"{"error":{"code":"content_filter"}}"#),
            ("quota_exhausted", "", r#"{"error":{"code":"insufficient_quota"}}"#),
            ("quota_exhausted", "", r#"{"error":{"type":"billing_error"}}"#),
            (
                "rate_limited",
                "",
                r#"{"choices":[{"delta":{"content":"Hi"},"error":{"code":429,"message":"no"}}]}"#,
            ),
            ("transient", "", r#"{"type":"message-end","delta":{"finish_reason":"ERROR"}}"#),
            ("transient", "", r#"{ "error" : "no" }"#),
            ("transient", "error", "no JSON at all"),
            ("transient", "error", "[]"),
            ("transient", "", r#"{"error":{"code":99999999999999}}"#),
            ("transient", "", r#"{"error":{"code":200}}"#),
        ] {
            let ruling = judged(name, data);
            assert_eq!(ruling.verdict.name(), verdict, "{} for {data}", ruling.rule);
        }
    }

    #[test]
    fn the_error_of_a_failed_response_is_found_in_it() {
        let data = r#"{"type":"response.failed","response":{"id":"r","error":{"code":"rate_limit_exceeded","message":"no"}}}"#;
        assert_eq!(judged("response.failed", data).rule, "openai/rate-limit");
    }

    #[test]
    fn a_body_is_framed_by_its_type_if_the_dialect_has_errors_there() {
        use Framing::{Events, List, Whole};
        let framed = |declared, streamed, known: &[_]| {
            let value = http::HeaderValue::from_static(declared);
            framing(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]), streamed, known)
        };
        let json = "Application/JSON; charset=utf-8";
        for (declared, streamed, known, expected) in [
            ("text/event-stream;x", false, &[Events, List] as &[_], Some(Events)),
            ("text/event-stream", true, &[Whole], None),
            (json, true, &[Events, List], Some(List)),
            (json, false, &[Events, List], None),
            (json, true, &[Events, Whole], Some(Whole)),
            (json, false, &[Events, Whole], Some(Whole)),
            (json, true, &[], None),
            ("application/jsonl", true, &[Events, List, Whole], None),
        ] {
            assert_eq!(framed(declared, streamed, known), expected, "{declared}, {known:?}");
        }
    }

    #[test]
    fn a_mention_of_errors_is_no_error() {
        for data in [
            r#"{"error":null}"#,
            r#"{"error": null,"choices":[]}"#,
            r#"{"error":{}}"#,
            r#"{"error":""}"#,
            r#"{"type":"response.completed","response":{"error":null,"output":[]}}"#,
            r#"{"choices":[{"delta":{"content":"{\"error\":{\"code\":500}}"}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"error":{"code":1}}}}]}}]}"#,
            r#"{"delta":"error"}"#,
            r#"{"delta":{"text":"ERROR"}}"#,
            r#"{"delta":"ERROR"}"#,
            r#"{"error":{"code":500}"#,
            "[DONE]",
            "",
        ] {
            assert!(!is_error(&event("", data)), "{data}");
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
            (
                "message-start",
                r#"{"type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}"#,
            ),
            (
                "",
                r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
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
