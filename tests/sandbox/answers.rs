//! Answers in one piece, and malformed requests.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;
use tower_key_rotation::sandbox::{Dialect, Sandbox, Script};

use crate::{CHAT, GENERATE, MESSAGES, ask, chat, chat_with, generate, messages, org_a, post};

fn bearer(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = post(path).header("authorization", "Bearer sk-sandbox-a1");
    request.body(Full::from(body)).unwrap()
}

async fn answer(sandbox: &Sandbox, request: Request<Full<Bytes>>) -> Value {
    let (status, headers, body) = ask(sandbox, request).await;
    assert_eq!(status, 200, "{body}");
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/json"));
    body
}

#[tokio::test]
async fn openai_answers_report_usage() {
    let sandbox = org_a(Dialect::OpenAi, []).models(["gpt-4o", "embed"]).build();
    let body = answer(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(body["object"], "chat.completion");
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["content"].as_str().unwrap().len(), 48);
    assert_eq!(body["usage"]["prompt_tokens"], 2);
    assert_eq!(body["usage"]["completion_tokens"], 12);
    assert_eq!(body["usage"]["total_tokens"], 14);

    let short = CHAT.replacen('{', r#"{"max_tokens":5,"#, 1);
    let body = answer(&sandbox, chat_with("sk-sandbox-a1", &short)).await;
    assert_eq!(body["usage"]["completion_tokens"], 5);
    assert_eq!(body["choices"][0]["finish_reason"], "length");

    let body = r#"{"model":"gpt-4o","instructions":"1234","input":[{"role":"user","content":[{"type":"input_text","text":"12345678"}]}]}"#;
    let body = answer(&sandbox, bearer("/v1/responses", body)).await;
    assert_eq!((&body["object"], &body["status"]), (&"response".into(), &"completed".into()));
    assert_eq!(body["usage"]["input_tokens"], 3);
    assert_eq!(body["usage"]["output_tokens"], 12);
    assert_eq!(body["output"][0]["content"][0]["text"].as_str().unwrap().len(), 48);

    let body = r#"{"model":"embed","input":["1234","12345"]}"#;
    let body = answer(&sandbox, bearer("/v1/embeddings", body)).await;
    assert_eq!(body["usage"], serde_json::json!({"prompt_tokens": 3, "total_tokens": 3}));
    assert!(body["data"][0]["embedding"].is_array());

    let list = Request::get("https://sandbox.test/v1/models");
    let list = list.header("authorization", "Bearer sk-sandbox-a1").body(Full::default()).unwrap();
    assert_eq!(answer(&sandbox, list).await["data"][1]["id"], "embed");
}

#[tokio::test]
async fn anthropic_answers_report_usage_in_both_shapes() {
    let sandbox = org_a(Dialect::Anthropic, []).build();
    let body = answer(&sandbox, messages(MESSAGES)).await;
    assert_eq!((&body["type"], &body["stop_reason"]), (&"message".into(), &"end_turn".into()));
    assert_eq!(body["usage"]["input_tokens"], 2);
    assert_eq!(body["usage"]["output_tokens"], 12);
    let body = answer(&sandbox, bearer("/v1/chat/completions", CHAT)).await;
    assert_eq!(body["usage"]["total_tokens"], 14);
}

#[tokio::test]
async fn gemini_answers_report_usage_in_both_shapes() {
    let sandbox = org_a(Dialect::Gemini, []).build();
    let body = answer(&sandbox, generate("generateContent")).await;
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    assert_eq!(body["usageMetadata"]["promptTokenCount"], 2);
    assert_eq!(body["usageMetadata"]["candidatesTokenCount"], 12);
    assert_eq!(body["usageMetadata"]["totalTokenCount"], 14);
    assert_eq!(body["modelVersion"], "gemini-2.5-flash");
    let body = answer(&sandbox, bearer("/v1beta/openai/chat/completions", CHAT)).await;
    assert_eq!(body["usage"]["total_tokens"], 14);

    let short = GENERATE.replacen('{', r#"{"generationConfig":{"maxOutputTokens":4},"#, 1);
    let request =
        post("/v1beta/models/m:generateContent").header("x-goog-api-key", "sk-sandbox-a1");
    let body = answer(&sandbox, request.body(Full::from(short)).unwrap()).await;
    assert_eq!(body["usageMetadata"]["candidatesTokenCount"], 4);
    assert_eq!(body["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[tokio::test]
async fn malformed_requests_get_the_errors_of_their_dialect() {
    let sandbox = org_a(Dialect::OpenAi, []).models(["gpt-4o"]).build();
    let code = async |request| {
        let (status, _, body) = ask(&sandbox, request).await;
        (status.as_u16(), body["error"]["code"].as_str().map(str::to_owned))
    };
    let path = "/v1/chat/completions";
    assert_eq!(code(bearer(path, "{")).await, (400, None));
    assert_eq!(code(bearer(path, "[]")).await, (400, None));
    assert_eq!(code(bearer(path, r#"{"messages":[]}"#)).await, (400, None));
    assert_eq!(code(bearer("/v1/other", CHAT)).await, (404, None));
    let unknown = code(bearer(path, r#"{"model":"gpt-9"}"#)).await;
    assert_eq!(unknown, (404, Some("model_not_found".into())));
    assert_eq!(sandbox.stats().account("org-a").errors, 5);

    let sandbox = org_a(Dialect::Anthropic, []).models(["claude"]).build();
    let (status, _, body) = ask(&sandbox, messages(MESSAGES)).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (404, &"not_found_error".into()));
    let (status, _, body) = ask(&sandbox, messages(r#"{"model":"claude"}"#)).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (400, &"invalid_request_error".into()));

    let sandbox = org_a(Dialect::Gemini, []).models(["gemini"]).build();
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!((status.as_u16(), &body["error"]["status"]), (404, &"NOT_FOUND".into()));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let ids = async |seed| {
        let sandbox = org_a(Dialect::OpenAi, []).seed(seed).answer(Script::new()).build();
        let first = ask(&sandbox, chat("sk-sandbox-a1")).await.2["id"].clone();
        (first, ask(&sandbox, chat("sk-sandbox-a1")).await.2["id"].clone())
    };
    let (first, second) = ids(7).await;
    assert_ne!(first, second);
    assert_eq!(ids(7).await, (first.clone(), second));
    assert_ne!(ids(8).await.0, first);
}
