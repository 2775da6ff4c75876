//! Streams that go wrong before their end.

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
async fn a_cut_stream_fails_after_so_many_events() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::cut_streams(2, 1));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200, "no stream, no fault");
    let mut body = send(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), SandboxError::StreamCut);
    assert!(body.frame().await.is_none());
    let seen = sandbox.stats().total();
    assert_eq!((seen.streams_started, seen.streams_cut, seen.events), (1, 1, 2));
    assert_eq!(seen.in_flight, 0);
    assert!(text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await.ends_with("[DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_error_is_the_last_event_of_a_200() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_error(3, 1));
    let told = text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await;
    let told = events(&told);
    assert_eq!(told.len(), 4);
    assert_eq!(told[3]["error"]["type"], "server_error");

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::stream_error(0, 1));
    let told = text(&sandbox, messages(MESSAGES_STREAM)).await;
    assert!(told.starts_with("event: error\ndata: "), "{told}");
    assert_eq!(events(&told)[0]["error"]["type"], "overloaded_error");
    assert_eq!(events(&told).len(), 1);

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::stream_error(1, 2));
    let told = text(&sandbox, generate("streamGenerateContent?alt=sse")).await;
    assert_eq!(events(&told)[1]["error"]["code"], 503);
    let told = text(&sandbox, generate("streamGenerateContent")).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told[1]["error"]["code"], 503, "the array is whole");
    assert_eq!(sandbox.stats().total().streams_cut, 2);
}

#[tokio::test]
async fn a_stream_may_find_out_that_the_quota_is_gone() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_quota_error(1, 2));
    let told = events(&text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await);
    assert_eq!((told.len(), &told[1]["error"]["code"]), (2, &"insufficient_quota".into()));
    let body = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let told = events(&text(&sandbox, request.body(Full::from(body)).unwrap()).await);
    assert_eq!(told[1]["response"]["error"]["code"], "insufficient_quota");
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200, "the account itself is as it was");

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::stream_quota_error(0, 1));
    let told = events(&text(&sandbox, messages(MESSAGES_STREAM)).await);
    assert!(told[0]["error"]["message"].as_str().unwrap().starts_with("Your credit balance"));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_goes_on_where_it_stopped() {
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
async fn the_responses_api_fails_in_its_own_event() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_error(1, 1));
    let body = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let told = text(&sandbox, request.body(Full::from(body)).unwrap()).await;
    let told = events(&told);
    assert_eq!(told[1]["type"], "response.failed");
    assert_eq!(told[1]["response"]["error"]["code"], "server_error");
}
