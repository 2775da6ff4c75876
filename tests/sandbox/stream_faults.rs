//! Streams that fail before their end.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower_key_rotation::sandbox::{Dialect, Fault, SandboxError};

use crate::{
    CHAT_STREAM, MESSAGES_STREAM, chat_with, events,
    faults::{code, two_accounts},
    generate, messages, post, send, text,
};

#[tokio::test]
async fn a_cut_stream_fails_after_the_given_number_of_events() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::cut_streams(2, 1));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200, "no stream, no fault");
    let mut body = send(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), SandboxError::StreamCut);
    assert!(body.frame().await.is_none());
    let counts = sandbox.stats().total();
    assert_eq!((counts.streams_started, counts.streams_cut, counts.events), (1, 1, 2));
    assert_eq!(counts.in_flight, 0);
    assert!(text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.ends_with("[DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_error_is_the_last_event_of_a_200() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_error(3, 1));
    let received = text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
    let received = events(&received);
    assert_eq!(received.len(), 4);
    assert_eq!(received[3]["error"]["type"], "server_error");

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::stream_error(0, 1));
    let received = text(&sandbox, messages(MESSAGES_STREAM)).await;
    assert!(received.starts_with("event: error\ndata: "), "{received}");
    assert_eq!(events(&received)[0]["error"]["type"], "overloaded_error");
    assert_eq!(events(&received).len(), 1);

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::stream_error(1, 2));
    let received = text(&sandbox, generate("streamGenerateContent?alt=sse")).await;
    assert_eq!(events(&received)[1]["error"]["code"], 503);
    let received = text(&sandbox, generate("streamGenerateContent")).await;
    let received: serde_json::Value = serde_json::from_str(&received).unwrap();
    assert_eq!(received[1]["error"]["code"], 503, "the array is whole");
    assert_eq!(sandbox.stats().total().streams_cut, 2);
}

#[tokio::test]
async fn a_stream_can_end_in_a_quota_error() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_quota_error(1, 2));
    let received = events(&text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await);
    assert_eq!((received.len(), &received[1]["error"]["code"]), (2, &"insufficient_quota".into()));
    let body = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let received = events(&text(&sandbox, request.body(Full::from(body)).unwrap()).await);
    assert_eq!(received[1]["response"]["error"]["code"], "insufficient_quota");
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200, "the account itself has quota left");

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::stream_quota_error(0, 1));
    let received = events(&text(&sandbox, messages(MESSAGES_STREAM)).await);
    assert!(received[0]["error"]["message"].as_str().unwrap().starts_with("Your credit balance"));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_continues_where_it_stopped() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stall_streams(3, Duration::from_secs(60), 1));
    let began = Instant::now();
    let stalled = text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
    assert_eq!(began.elapsed().as_secs(), 60);
    let whole = text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
    assert_eq!(events(&stalled).len(), events(&whole).len());
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn the_responses_api_reports_a_failure_in_its_own_event() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_error(1, 1));
    let body = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let received = text(&sandbox, request.body(Full::from(body)).unwrap()).await;
    let received = events(&received);
    assert_eq!(received[1]["type"], "response.failed");
    assert_eq!(received[1]["response"]["error"]["code"], "server_error");
}
