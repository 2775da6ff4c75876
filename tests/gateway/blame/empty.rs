//! Streams without content.

use std::time::Duration;

use super::{Ask, chat_stream, claude_stream, gemini_stream, pool, post, question, run};
use crate::fake::{Seen, ok, stream};

const ROLE: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
const STOP: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const DONE: &str = "data: [DONE]";
const USAGE: &str = r#"data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}}"#;

type Events = &'static [&'static str];

const EMPTY: [Events; 6] =
    [&[], &[DONE], &[ROLE, STOP, DONE], &[ROLE, STOP, USAGE, DONE], &[ROLE], &[": ping", DONE]];
const EMPTY_MESSAGE: [Events; 2] = [
    &[],
    &[
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":0}}}",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":0}}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}",
    ],
];
const EMPTY_CONTENT: [Events; 2] = [
    &[],
    &[
        r#"data: {"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9}}"#,
    ],
];

/// First only the streams of the first account are empty, then those of both accounts.
async fn check(provider: &str, events: Events, ask: Ask) {
    let lines = "strategy = \"sequential\"";
    let running =
        run(
            pool(provider, 2, lines),
            move |seen| {
                if seen.is_of(1) { stream(events) } else { ok(seen) }
            },
        );
    for outcome in running.pace(10, Duration::from_millis(100), ask).await {
        outcome.is_answered_at_once(&format!("{provider} {events:?}"));
        assert!(outcome.text.contains("Hello"), "{events:?} is passed on: {outcome}");
    }
    assert!(running.fake.calls_of(1) >= 1, "the first account in order was not called");

    let running = run(pool(provider, 2, lines), move |_: &Seen| stream(events));
    let outcome = running.send(ask()).await;
    outcome.is_answered_at_once(&format!("{provider} {events:?} of all"));
    // Usage that the caller did not ask for, and comments, may be missing.
    for event in events.iter().filter(|event| **event != USAGE && !event.starts_with(':')) {
        assert!(outcome.text.contains(event), "{event} is not passed on: {outcome}");
    }
    let calls = running.fake.calls();
    assert!((2..=3).contains(&calls), "{events:?} of all: {calls} calls of two accounts");
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_sends_the_request_to_another_account() {
    for events in EMPTY {
        check("openai", events, chat_stream).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_of_anthropic_sends_the_request_to_another_account() {
    for events in EMPTY_MESSAGE {
        check("anthropic", events, claude_stream).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_of_gemini_sends_the_request_to_another_account() {
    for events in EMPTY_CONTENT {
        check("gemini", events, gemini_stream).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_of_responses_sends_the_request_to_another_account() {
    let events: Events = &[
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"output\":[]}}",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}",
    ];
    let ask = || {
        let body = serde_json::json!({"model": "gpt-4o", "stream": true, "input": question()});
        post("/v1/responses", &body)
    };
    const HELLO: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}";
    let running = run(pool("openai", 2, "strategy = \"sequential\""), move |seen| {
        if seen.is_of(1) { stream(events) } else { stream(&[events[0], HELLO, events[1]]) }
    });
    for outcome in running.pace(5, Duration::from_millis(100), ask).await {
        outcome.is_answered_at_once("another account has something to say");
        assert!(outcome.text.contains("Hello"), "passed on: {outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_rests_nothing_for_others() {
    let running = run(pool("openai", 2, ""), |seen| {
        if seen.says("nothing") { stream(&[ROLE, STOP, DONE]) } else { ok(seen) }
    });
    for _ in 0..20 {
        let nothing = serde_json::json!({"stream": true, "user": "nothing"});
        let outcome = running.send(super::chat_with("gpt-4o", &nothing)).await;
        outcome.is_answered("as it came");
        running.send(chat_stream()).await.is_answered_at_once("others");
    }
    running.all_is_well(2, chat_stream, "others").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_content_but_without_text_is_an_answer() {
    let openai: [Events; 4] = [
        &[
            r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}"#,
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            DONE,
        ],
        &[
            ROLE,
            r#"data: {"choices":[{"index":0,"delta":{"refusal":"I cannot help with that."},"finish_reason":null}]}"#,
            STOP,
            DONE,
        ],
        &[
            ROLE,
            r#"data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm."},"finish_reason":null}]}"#,
            STOP,
            DONE,
        ],
        &[
            ROLE,
            r#"data: {"choices":[{"index":0,"delta":{"audio":{"id":"a","data":"AAAA"}},"finish_reason":null}]}"#,
            STOP,
            DONE,
        ],
    ];
    let anthropic: [Events; 1] = [&[
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}",
    ]];
    let gemini: [Events; 2] = [
        &[
            r#"data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}]}"#,
        ],
        &[r#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#],
    ];
    let asks: [(&str, &[Events], Ask); 3] = [
        ("openai", &openai, chat_stream),
        ("anthropic", &anthropic, claude_stream),
        ("gemini", &gemini, gemini_stream),
    ];
    for (provider, streams, ask) in asks {
        for &events in streams {
            let running = run(pool(provider, 2, ""), move |_: &Seen| stream(events));
            for number in 1..=3 {
                let outcome = running.send(ask()).await;
                outcome.is_answered_at_once("as it came");
                assert!(outcome.text.contains(events[0]), "{outcome}");
                assert_eq!(running.fake.calls(), number, "{provider}: {events:?} is an answer");
            }
        }
    }
}
