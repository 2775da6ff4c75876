//! The sandbox as its users see it, through requests and responses.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod answers;
mod caches;
mod faults;
mod keys;
mod limits;
mod stats;
mod stream_faults;
mod streams;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::ServiceExt;
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, Sandbox, SandboxBody, SandboxBuilder},
};

/// One account with these limits and two keys.
fn org_a(dialect: Dialect, limits: impl IntoIterator<Item = Limit>) -> SandboxBuilder {
    Sandbox::builder(dialect).account("org-a", limits, ["sk-sandbox-a1", "sk-sandbox-a2"])
}

/// Eight bytes of prompt, which are two tokens.
const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"12345678"}]}"#;
const CHAT_STREAM: &str =
    r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"12345678"}]}"#;
const MESSAGES: &str = r#"{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"12345678"}]}"#;
const MESSAGES_STREAM: &str = r#"{"model":"claude-haiku-4-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"12345678"}]}"#;
const GENERATE: &str = r#"{"contents":[{"role":"user","parts":[{"text":"12345678"}]}]}"#;

fn post(path: &str) -> request::Builder {
    Request::post(format!("https://sandbox.test{path}"))
}

fn chat(secret: &str) -> Request<Full<Bytes>> {
    chat_with(secret, CHAT)
}

fn chat_with(secret: &str, body: &str) -> Request<Full<Bytes>> {
    let request = post("/v1/chat/completions").header("authorization", format!("Bearer {secret}"));
    request.body(Full::from(body.to_owned())).unwrap()
}

fn messages(body: &'static str) -> Request<Full<Bytes>> {
    post("/v1/messages").header("x-api-key", "sk-sandbox-a1").body(Full::from(body)).unwrap()
}

fn generate(call: &str) -> Request<Full<Bytes>> {
    post(&format!("/v1beta/models/gemini-2.5-flash:{call}"))
        .header("x-goog-api-key", "sk-sandbox-a1")
        .body(Full::from(GENERATE))
        .unwrap()
}

async fn send(sandbox: &Sandbox, request: Request<Full<Bytes>>) -> Response<SandboxBody> {
    sandbox.clone().oneshot(request).await.unwrap()
}

async fn status(sandbox: &Sandbox, request: Request<Full<Bytes>>) -> StatusCode {
    send(sandbox, request).await.status()
}

/// Status, headers and JSON body.
async fn ask(sandbox: &Sandbox, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Value) {
    let (parts, body) = send(sandbox, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

/// The whole body as text.
async fn text(sandbox: &Sandbox, request: Request<Full<Bytes>>) -> String {
    let body = send(sandbox, request).await.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The JSON of every `data:` line.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_sandbox_is_clone_send_and_sync() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send + Unpin + 'static>() {}
    shared::<Sandbox>();
    sent::<SandboxBody>();
}
