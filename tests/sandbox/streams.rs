//! Streams: their events, their timing, and that each event is generated only when it is polled.

use std::time::Duration;

use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::time::Instant;
use tower_key_rotation::sandbox::{Dialect, Script};

use crate::{
    CHAT_STREAM, MESSAGES_STREAM, chat_with, events, generate, messages, org_a, post, send, text,
};

fn content(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[tokio::test]
async fn a_chat_stream_ends_in_done_and_reports_usage_only_on_request() {
    let sandbox = org_a(Dialect::OpenAi, []).build();
    let received = text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
    assert!(received.ends_with("data: [DONE]\n\n"));
    let received = events(&received);
    assert_eq!(received.len(), 1 + 12 + 1);
    assert!(received.iter().all(|event| event.get("usage").is_none()));
    assert_eq!(content(&received, "/choices/0/delta/content").len(), 48);
    assert_eq!(content(&received, "/choices/0/finish_reason"), "stop");

    let asked = CHAT_STREAM.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let received = text(&sandbox, chat_with("sk-sandbox-a1", &asked)).await;
    assert!(received.ends_with("data: [DONE]\n\n"));
    let received = events(&received);
    let (last, others) = received.split_last().unwrap();
    assert!(others.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    assert_eq!(last["choices"], serde_json::json!([]));
    assert_eq!(last["usage"]["total_tokens"], 14);
}

#[tokio::test]
async fn a_responses_stream_ends_with_usage_and_without_done() {
    let sandbox = org_a(Dialect::OpenAi, []).answer(Script::new().tokens(9).events(3)).build();
    let body = r#"{"model":"gpt-4o","stream":true,"input":"12345678"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let received = text(&sandbox, request.body(Full::from(body)).unwrap()).await;
    assert!(!received.contains("[DONE]"));
    let received = events(&received);
    assert_eq!(received[0]["type"], "response.created");
    assert_eq!(received.len(), 1 + 3 + 1);
    assert_eq!(
        content(&received, "/delta"),
        received[4]["response"]["output"][0]["content"][0]["text"]
    );
    assert_eq!(received[4]["type"], "response.completed");
    assert_eq!(received[4]["response"]["usage"]["total_tokens"], 11);
    let numbers: Vec<_> = received.iter().map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..5).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_anthropic_stream_reports_usage_in_its_first_and_last_events() {
    let sandbox = org_a(Dialect::Anthropic, []).build();
    let received = text(&sandbox, messages(MESSAGES_STREAM)).await;
    let names: Vec<_> = received.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(
        names[14..],
        ["content_block_delta", "content_block_stop", "message_delta", "message_stop"]
    );
    let received = events(&received);
    let types: Vec<_> = received.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, names);
    assert_eq!(received[0]["message"]["usage"]["input_tokens"], 2);
    assert_eq!(content(&received, "/delta/text").len(), 48);
    assert_eq!(received[16]["usage"]["output_tokens"], 12);
    assert_eq!(received[16]["delta"]["stop_reason"], "end_turn");
}

#[tokio::test]
async fn gemini_streams_events_or_an_array_with_the_usage_so_far() {
    let script = || Script::new().tokens(10).events(4);
    let sandbox = org_a(Dialect::Gemini, []).answer(script()).build();
    let received = text(&sandbox, generate("streamGenerateContent?alt=sse")).await;
    assert!(received.ends_with("\r\n\r\n"));
    let received = events(&received);
    let list = text(&sandbox, generate("streamGenerateContent")).await;
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    for received in [received, list] {
        let counts: Vec<_> =
            received.iter().map(|e| e["usageMetadata"]["candidatesTokenCount"].as_u64()).collect();
        assert_eq!(counts, [Some(2), Some(5), Some(7), Some(10)]);
        assert_eq!(content(&received, "/candidates/0/content/parts/0/text").len(), 40);
        assert_eq!(content(&received, "/candidates/0/finishReason"), "STOP");
        assert_eq!(received[3]["usageMetadata"]["totalTokenCount"], 12);
    }

    let sandbox = org_a(Dialect::Gemini, []).answer(Script::new().tokens(0)).build();
    let received = events(&text(&sandbox, generate("streamGenerateContent?alt=sse")).await);
    assert_eq!(received.len(), 1);
    assert!(received[0]["usageMetadata"].get("candidatesTokenCount").is_none());
}

#[tokio::test]
async fn each_text_event_has_text_and_all_text_is_sent() {
    for (events_asked, expected) in [(0, 1), (2, 2), (3, 3), (100, 3)] {
        let script = Script::new().tokens(3).events(events_asked);
        let sandbox = org_a(Dialect::OpenAi, []).answer(script).build();
        let received = events(&text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await);
        assert_eq!(received.len(), 1 + expected + 1);
        assert_eq!(content(&received, "/choices/0/delta/content").len(), 12);
    }
}

#[tokio::test]
async fn an_event_is_generated_when_it_is_polled() {
    // The whole text would be a gigabyte.
    let script = Script::new().tokens(250_000_000).events(1_000_000);
    let sandbox = org_a(Dialect::OpenAi, []).answer(script).build();
    let mut body = send(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.into_body();
    assert_eq!(sandbox.stats().total().events, 0);
    for read in 1..=3 {
        body.frame().await.unwrap().unwrap();
        let counts = sandbox.stats().total();
        assert_eq!((counts.events, counts.answer_tokens), (read, (read - 1) * 250));
    }
    drop(body);
    let counts = sandbox.stats().total();
    assert_eq!((counts.streams_started, counts.streams_cut, counts.streams_finished), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn events_keep_their_gap() {
    let script =
        Script::new().tokens(3).latency(Duration::from_millis(500)).gap(Duration::from_millis(20));
    let sandbox = org_a(Dialect::OpenAi, []).answer(script).build();
    let start = Instant::now();
    let mut body = send(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.into_body();
    let mut times = Vec::new();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        times.push(start.elapsed().as_millis());
    }
    assert_eq!(times, [500, 520, 540, 560, 580, 600]);
    assert!(body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn latencies_vary_up_to_the_jitter() {
    let script =
        Script::new().latency(Duration::from_millis(100)).jitter(Duration::from_millis(50));
    let sandbox = org_a(Dialect::OpenAi, []).answer(script).seed(3).build();
    let mut times = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let start = Instant::now();
        text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
        times.insert(start.elapsed().as_millis());
    }
    assert!(times.len() > 5, "{times:?}");
    assert!(times.iter().all(|time| (100..=151).contains(time)), "{times:?}");
}

#[tokio::test]
async fn a_whole_body_states_its_length() {
    let sandbox = org_a(Dialect::OpenAi, []).build();
    let body = send(&sandbox, crate::chat("sk-sandbox-a1")).await.into_body();
    let stated = body.size_hint().exact().unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes().len() as u64, stated);
}
