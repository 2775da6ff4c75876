//! OpenAI's responses API.
//!
//! Simplified: a stream has a first event, one event for each piece of text, and a last event. The last
//! event repeats the whole text and is the only one with the usage. There is no `[DONE]`.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Part},
    reply::event,
};
use crate::sandbox::script;

/// The progress of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    InProgress,
    Completed,
    Failed,
}

pub(super) fn response(answer: &Answer, stage: Stage) -> Value {
    let completed = stage == Stage::Completed;
    let status = match stage {
        Stage::InProgress => "in_progress",
        Stage::Completed if answer.is_truncated => "incomplete",
        Stage::Completed => "completed",
        Stage::Failed => "failed",
    };
    let reason = (completed && answer.is_truncated).then(|| json!({"reason": "max_output_tokens"}));
    let output = completed.then(|| message(answer, status));
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": null,
        "incomplete_details": reason,
        "instructions": null,
        "metadata": {},
        "model": &*answer.model,
        "output": output.map_or_else(Vec::new, |message| vec![message]),
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": completed.then(|| usage(answer)),
    })
}

fn message(answer: &Answer, status: &str) -> Value {
    let text = script::text(0..answer.tokens);
    json!({
        "id": item_id(answer),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    })
}

fn usage(answer: &Answer) -> Value {
    json!({
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": answer.cache_use.read},
        "output_tokens": answer.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens.saturating_add(answer.tokens),
    })
}

fn item_id(answer: &Answer) -> String {
    format!("msg_{}", answer.id)
}

pub(super) fn frame(answer: &Answer, number: u64, part: &Part) -> String {
    match part {
        Part::Head(_) => staged(answer, number, "response.created", Stage::InProgress),
        Part::Text(tokens) => {
            let kind = "response.output_text.delta";
            let delta = json!({
                "type": kind,
                "item_id": item_id(answer),
                "output_index": 0,
                "content_index": 0,
                "delta": script::text(tokens.clone()),
                "logprobs": [],
                "sequence_number": number,
            });
            event(kind, &delta)
        }
        Part::Tail(_) if answer.is_truncated => {
            staged(answer, number, "response.incomplete", Stage::Completed)
        }
        Part::Tail(_) => staged(answer, number, "response.completed", Stage::Completed),
    }
}

pub(super) fn error() -> Value {
    let message = "The model failed to generate a response.";
    json!({"error": {"code": "server_error", "message": message}})
}

/// An event for a failed response. It keeps only the code and the message of the error.
pub(super) fn error_frame(answer: &Answer, number: u64, error: &Value) -> String {
    let kind = "response.failed";
    let mut response = response(answer, Stage::Failed);
    let error = &error["error"];
    response["error"] = json!({"code": error["code"], "message": error["message"]});
    event(kind, &json!({"type": kind, "response": response, "sequence_number": number}))
}

fn staged(answer: &Answer, number: u64, kind: &str, stage: Stage) -> String {
    let response = response(answer, stage);
    event(kind, &json!({"type": kind, "response": response, "sequence_number": number}))
}
