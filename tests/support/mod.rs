//! Helpers that several tests use.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, KeyPoolBuilder, Limit, OpenAi, RotationStack,
    sandbox::{Dialect, Sandbox, SandboxBuilder, SandboxError},
};

pub const CHAT: &str = "https://api.openai.com/v1/chat/completions";

/// A response read to its end.
pub type Answer = Response<Bytes>;
pub type Client = BoxCloneSyncService<Request<String>, Answer, SandboxError>;

/// Accounts `org-1`, `org-2`, ... with one key each (`k1`, `k2`, ...), and a sandbox that enforces the limits
/// of the pool.
pub fn accounts(
    number: usize,
    limits: impl Fn(usize) -> Vec<Limit>,
) -> (SandboxBuilder, KeyPoolBuilder) {
    let mut sandbox = Sandbox::builder(Dialect::OpenAi).seed(7);
    let mut pool = KeyPool::builder(OpenAi::default()).seed(7);
    for i in 1..=number {
        let secret = secret(i);
        sandbox = sandbox.account(format!("org-{i}"), limits(i), [secret.as_str()]);
        let mut account = Account::new(format!("org-{i}"));
        for limit in limits(i) {
            account = account.limit(limit);
        }
        pool = pool.account(account.key(ApiKey::new(secret).id(format!("k{i}"))));
    }
    (sandbox, pool)
}

pub fn secret(i: usize) -> String {
    format!("sk-sandbox-{i}")
}

pub fn per_minute(requests: u64) -> Vec<Limit> {
    vec![Limit::requests(requests).per_minute()]
}

/// The recommended stack over a sandbox; answers are read to their end.
pub fn client(pool: &KeyPool, sandbox: &Sandbox) -> Client {
    let stack = ServiceBuilder::new().layer(RotationStack::new(pool)).service(sandbox.clone());
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let stack = stack.clone();
        async move {
            let (head, body) = stack.oneshot(request).await?.into_parts();
            // The start of a cut stream is kept.
            let mut bytes = Vec::new();
            let mut body = body;
            while let Some(Ok(frame)) = body.frame().await {
                bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            Ok(Response::from_parts(head, Bytes::from(bytes)))
        }
    }))
}

pub fn chat() -> Request<String> {
    chat_for("gpt-4o")
}

pub fn chat_for(model: &str) -> Request<String> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#);
    Request::post(CHAT).header("content-type", "application/json").body(body).unwrap()
}

pub async fn ask(client: &Client, request: Request<String>) -> Answer {
    client.clone().oneshot(request).await.unwrap()
}

pub async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Sends requests at an even rate, independent of the answers, and waits for all answers.
pub async fn offer(
    client: &Client,
    number: usize,
    gap: Duration,
    request: impl Fn(usize) -> Request<String>,
) -> Vec<Answer> {
    let mut calls = Vec::new();
    for i in 0..number {
        let mut client = client.clone();
        let request = request(i);
        calls.push(tokio::spawn(async move {
            client.ready().await.unwrap().call(request).await.unwrap()
        }));
        tokio::time::sleep(gap).await;
    }
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}
