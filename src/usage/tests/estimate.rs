//! The estimate of answers that report no usage: what counts, and about how much.

use serde_json::{Value, json};

use crate::usage::OutputEstimate;

/// The estimate for events, one after the other.
fn estimated(events: &[Value]) -> u64 {
    let mut running = OutputEstimate::default();
    events.iter().for_each(|event| running.event(event.to_string().as_bytes()));
    running.tokens()
}

#[test]
fn the_estimate_counts_generated_text_in_every_dialect() {
    let chat = |delta: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    for (event, tokens) in [
        (chat(json!({"content": " wonderful"})), 1),
        (chat(json!({"content": "The capital of France is Paris."})), 7),
        (chat(json!({"reasoning_content": "We need"})), 2),
        (chat(json!({"reasoning": "We need", "reasoning_details": [{"text": "We need"}]})), 2),
        (chat(json!({"refusal": "No."})), 2),
        (chat(json!({"audio": {"id": "a", "data": "AAAAAAAA", "transcript": "Hi"}})), 1),
        (json!({"choices": [{"text": " then", "delta": {"content": " then"}}]}), 1),
        (
            json!({"choices": [{"message": {"content": "all of it so far"}, "delta": {"content": " far"}}]}),
            1,
        ),
        (json!({"choices": [{"message": {"content": "all of it"}, "delta": {"content": ""}}]}), 0),
        (
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi there"}}),
            2,
        ),
        (
            json!({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}}),
            1,
        ),
        (json!({"delta": {"type": "input_json_delta", "partial_json": "lex Chen"}}), 2),
        (
            json!({"type": "response.output_text.delta", "delta": "Hello there", "item_id": "msg_1"}),
            2,
        ),
        (json!({"delta": {"message": {"content": {"text": " Ruby"}}}}), 1),
        (json!({"delta": {"message": {"tool_plan": " person"}}}), 1),
        (
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "a wonderful sentence"}]}}]}),
            3,
        ),
        (json!({"completion": " Hello"}), 1),
        // Tool calls: name, arguments, and what is around them.
        (
            chat(
                json!({"tool_calls": [{"id": "c", "function": {"name": "weather", "arguments": ""}}]}),
            ),
            1 + 9,
        ),
        (chat(json!({"tool_calls": [{"function": {"arguments": "{\"city"}}]})), 2),
        (
            json!({"type": "response.output_item.added",
            "item": {"arguments": "", "call_id": "c", "name": "weather", "type": "function_call"}}),
            1 + 9,
        ),
        (json!({"content_block": {"type": "tool_use", "name": "weather", "input": {}}}), 1 + 30),
        (
            json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "weather", "args": {"a": 1}}}]}}]}),
            6,
        ),
    ] {
        assert_eq!(estimated(std::slice::from_ref(&event)), tokens, "{event}");
    }
}

#[test]
fn the_estimate_counts_nothing_but_generated_text() {
    let long = "x y ".repeat(10_000);
    for event in [
        json!({}),
        json!({"type": "ping"}),
        json!({"id": long, "object": "chat.completion.chunk", "model": long, "obfuscation": long,
            "system_fingerprint": long, "choices": [{"delta": {"role": "assistant", "content": ""}}]}),
        json!({"choices": [{"delta": {}, "logprobs": {"content": [{"token": "a", "text": "a"}]}}]}),
        json!({"usage": {"text": "a"}, "error": {"code": "a b c", "text": "a"}}),
        // What repeats what was there before.
        json!({"type": "response.created", "response": {"instructions": long, "text": "a"}}),
        json!({"type": "response.output_text.done", "text": "Hello"}),
        json!({"type": "response.output_item.done", "item": {"content": [{"text": "Hello"}]}}),
        json!({"type": "response.content_part.done", "part": {"text": "Hello"}}),
        json!({"type": "response.completed", "response": {"output": [{"text": "Hello"}]}}),
        json!({"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": long}}),
    ] {
        assert_eq!(estimated(&[event]), 0);
    }
    let mut running = OutputEstimate::default();
    for data in [
        "[DONE]",
        "",
        "no JSON",
        "{",
        "{\"text\":",
        "{\"text\":\"",
        "\"text\":",
        "[[[",
        "{\"args\":{",
    ] {
        running.event(data.as_bytes());
    }
    assert_eq!(running.tokens(), 0);
}

/// A number of tokens as today's tokenizers have them, give or take one.
#[test]
fn the_estimate_of_a_text_is_near_what_tokenizers_say() {
    for (text, tokens) in [
        ("word ", 1),
        (" ", 1),
        ("1,234,567 people", 6),
        ("{\"latitude\": \"52.5200\", \"longitude\": \"13.4050\"}", 19),
        ("get_current_temperature", 3),
        ("internationalisation", 2),
        ("\n=====================================\n", 5),
        ("\u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}", 5),
        ("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}", 2),
        ("\u{1f604}", 2),
    ] {
        for text in [json!(text).to_string(), escaped(text)] {
            let event = format!("{{\"text\":{text}}}");
            let mut running = OutputEstimate::default();
            running.event(event.as_bytes());
            assert!(running.tokens().abs_diff(tokens) <= 1, "{event}: {}", running.tokens());
        }
    }
    let mut running = OutputEstimate::default();
    running.bytes(4_000);
    assert_eq!(running.tokens(), 1_000);
    running.whole(br#"{"choices":[{"message":{"content":"Hello there"}}]}"#);
    assert_eq!(running.tokens(), 2);
}

/// A text in JSON with escapes for all that is not ASCII.
fn escaped(text: &str) -> String {
    let unit = |unit: u16| match u8::try_from(unit) {
        Ok(byte @ 32..127) if byte != b'"' => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    format!("\"{}\"", text.encode_utf16().map(unit).collect::<String>())
}
