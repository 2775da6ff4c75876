//! Each fault strikes whom it should, as often as it should.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, advance};
use tower::ServiceExt;
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, Fault, Sandbox, SandboxError},
};

use crate::{
    CHAT, CHAT_STREAM, MESSAGES, MESSAGES_STREAM, ask, chat, chat_with, events, generate, messages,
    org_a, post, send, status, text,
};

fn two_accounts(dialect: Dialect) -> Sandbox {
    org_a(dialect, []).account("org-b", [], ["sk-sandbox-b1"]).build()
}

async fn code(sandbox: &Sandbox, secret: &str) -> u16 {
    status(sandbox, chat(secret)).await.as_u16()
}

#[tokio::test]
async fn a_revoked_key_is_unknown_until_it_is_restored() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::revoke("sk-sandbox-a1")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 401);
    assert_eq!(code(&sandbox, "sk-sandbox-a2").await, 200);
    assert!(sandbox.fail(Fault::restore("sk-sandbox-a1")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert!(!sandbox.fail(Fault::revoke("sk-typo")));
}

#[tokio::test]
async fn an_exhausted_account_says_so_in_each_dialect() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::exhaust("org-a")));
    let (status, headers, body) = ask(&sandbox, chat("sk-sandbox-a2")).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (429, &"insufficient_quota".into()));
    assert!(!headers.contains_key("retry-after"));
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);
    assert!(sandbox.fail(Fault::restore("org-a")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::exhaust("org-a"));
    let (status, headers, body) = ask(&sandbox, messages(MESSAGES)).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Your credit balance is too low"));
    assert_eq!((status.as_u16(), &headers["x-should-retry"]), (400, &"false".parse().unwrap()));

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::exhaust("org-a"));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    let quota = &body["error"]["details"][0]["violations"][0]["quotaId"];
    assert_eq!(status.as_u16(), 429);
    assert!(quota.as_str().unwrap().contains("PerDay"));
}

#[tokio::test(start_paused = true)]
async fn a_cooling_account_tells_what_is_left_of_its_time() {
    let sandbox = two_accounts(Dialect::OpenAi);
    advance(Duration::from_secs(7)).await;
    sandbox.fail(Fault::cool("org-a", Duration::from_secs(20)));
    advance(Duration::from_millis(4_500)).await;
    let (status, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(status.as_u16(), 429);
    assert_eq!(headers["retry-after"], "16");
    assert_eq!(headers["retry-after-ms"], "15500");
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);
    advance(Duration::from_millis(15_499)).await;
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 429);
    advance(Duration::from_millis(1)).await;
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert_eq!(sandbox.seen().account("org-a").rate_limited, 2);
}

#[tokio::test]
async fn a_forbidden_model_concerns_one_key_only() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::forbid_model("sk-sandbox-a1", "gpt-4o"));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 403);
    assert_eq!(code(&sandbox, "sk-sandbox-a2").await, 200);
    let other = CHAT.replace("gpt-4o", "gpt-5");
    assert_eq!(status(&sandbox, chat_with("sk-sandbox-a1", &other)).await, StatusCode::OK);
    sandbox.fail(Fault::restore("sk-sandbox-a1"));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
}

#[tokio::test]
async fn counted_faults_strike_in_turn_and_then_no_more() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::overload(2));
    sandbox.fail(Fault::error(StatusCode::INTERNAL_SERVER_ERROR, 1));
    assert_eq!(code(&sandbox, "sk-wrong").await, 401, "an unknown key uses no fault up");
    let (_, _, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(body["error"]["code"], "server_is_overloaded");
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 503);
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 500);
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::overload(1));
    let (status, headers, body) = ask(&sandbox, messages(MESSAGES)).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (529, &"overloaded_error".into()));
    assert_eq!(headers["x-should-retry"], "true");

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::overload(1));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!((status.as_u16(), &body["error"]["status"]), (503, &"UNAVAILABLE".into()));
}

#[tokio::test]
async fn refused_connections_are_errors_of_the_call() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::refuse_connections(2));
    for _ in 0..2 {
        let error = sandbox.clone().oneshot(chat("sk-sandbox-a1")).await.unwrap_err();
        assert_eq!(error, SandboxError::ConnectionRefused);
    }
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    let seen = sandbox.seen();
    assert_eq!((seen.refused_connections(), seen.total().requests), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_response_comes_later_whatever_it_is() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::slow(Duration::from_secs(3), 2));
    sandbox.fail(Fault::overload(1));
    let took = async |sandbox: &Sandbox| {
        let start = Instant::now();
        let status = code(sandbox, "sk-sandbox-a1").await;
        (status, start.elapsed())
    };
    assert_eq!(code(&sandbox, "sk-wrong").await, 401, "an unknown key uses no fault up");
    assert_eq!(took(&sandbox).await, (503, Duration::from_secs(3)));
    assert_eq!(took(&sandbox).await, (200, Duration::from_secs(3)));
    assert_eq!(took(&sandbox).await, (200, Duration::ZERO));
}

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
    let seen = sandbox.seen().total();
    assert_eq!((seen.streams_begun, seen.streams_cut, seen.events), (1, 1, 2));
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
    assert_eq!(sandbox.seen().total().streams_cut, 2);
}

#[tokio::test]
async fn a_stream_may_find_out_that_the_quota_is_gone() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::stream_exhausted(1, 2));
    let told = events(&text(&sandbox, chat_with("sk-sandbox-a1", CHAT_STREAM)).await);
    assert_eq!((told.len(), &told[1]["error"]["code"]), (2, &"insufficient_quota".into()));
    let body = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    let request = post("/v1/responses").header("authorization", "Bearer sk-sandbox-a1");
    let told = events(&text(&sandbox, request.body(Full::from(body)).unwrap()).await);
    assert_eq!(told[1]["response"]["error"]["code"], "insufficient_quota");
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200, "the account itself is as it was");

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::stream_exhausted(0, 1));
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

#[tokio::test(start_paused = true)]
async fn a_fault_takes_nothing_from_the_limits() {
    let sandbox = org_a(Dialect::OpenAi, [Limit::requests(1).per_hour()]).build();
    sandbox.fail(Fault::overload(3));
    for _ in 0..3 {
        assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 503);
    }
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
}
