//! A provider whose answers a closure makes, and which counts its requests. It needs no socket, so a paused
//! clock does not run ahead of bytes in transit.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use tower::{service_fn, util::BoxCloneSyncService};
use tower_key_rotation::{ReplayBody, sandbox::SandboxError};

use crate::gateway::{
    serve::serve,
    upstream::{Upstream, UpstreamBody, UpstreamError},
};

/// How long an answer takes in the gateway's process.
const LATENCY: Duration = Duration::from_millis(20);
/// The headers of keys.
const CARRIERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

/// What the provider answers. An event stream is sent event by event.
pub(crate) type Reply = Response<Bytes>;

/// A request as the provider sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) secret: String,
    /// The time since the provider was made.
    pub(crate) at: Duration,
}

impl Seen {
    /// Whether it has the key of account `org-{number}`.
    pub(crate) fn is_of(&self, number: usize) -> bool {
        self.secret == secret(number)
    }

    /// Whether its body contains a word.
    pub(crate) fn says(&self, word: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(word)
    }

    /// The model in the body or the path.
    pub(crate) fn model(&self) -> String {
        let by_path = || {
            let (_, name) = self.path.split_once("/models/")?;
            name.split(':').next().map(str::to_owned)
        };
        let by_body = self.json()["model"].as_str().map(str::to_owned);
        by_body.or_else(by_path).unwrap_or_default()
    }

    pub(crate) fn is_before(&self, seconds: f64) -> bool {
        self.at.as_secs_f64() < seconds
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn streams(&self) -> bool {
        self.json()["stream"] == true || self.path.ends_with(":streamGenerateContent")
    }
}

#[derive(Clone)]
pub(crate) struct Fake {
    answer: Arc<dyn Fn(&Seen) -> Reply + Send + Sync>,
    began: Instant,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), began: Instant::now(), seen: Arc::default() }
    }

    /// The time since the provider was made.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn calls(&self) -> usize {
        self.count(|_| true)
    }

    /// Calls with the key of account `org-{number}`.
    pub(crate) fn calls_of(&self, number: usize) -> usize {
        self.count(|seen| seen.is_of(number))
    }

    pub(crate) fn count(&self, counts: impl Fn(&Seen) -> bool) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| counts(seen)).count()
    }

    /// In the gateway's process.
    pub(crate) fn upstream(&self) -> Upstream {
        let fake = self.clone();
        Upstream::Fake(BoxCloneSyncService::new(service_fn(move |request| {
            let fake = fake.clone();
            async move { fake.answer_here(request).await }
        })))
    }

    async fn answer_here(
        &self,
        request: Request<ReplayBody>,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let reply = self.call(request).await;
        tokio::time::sleep(LATENCY).await;
        let (head, body) = reply.ok_or(UpstreamError::Sandbox(SandboxError::RequestBody))?;
        let body = StreamBody::new(tokio_stream::iter(body.into_iter().map(Ok)));
        let body = UpstreamBody::Fake(BodyExt::boxed_unsync(body));
        Ok(Response::from_parts(head, body))
    }

    /// Serves on its own socket, without a pause. Returns the address.
    pub(crate) async fn listen(&self) -> String {
        let fake = self.clone();
        let answer = move |request: Request<Body>| async move {
            let Some((head, body)) = fake.call(request).await else {
                return Response::builder().status(400).body(Body::empty()).unwrap();
            };
            let body =
                StreamBody::new(tokio_stream::iter(body.into_iter().map(Ok::<_, axum::Error>)));
            Response::from_parts(head, Body::new(body))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, Router::new().fallback(answer), std::future::pending()));
        url
    }

    /// None if the request broke off.
    async fn call<B>(
        &self,
        request: Request<B>,
    ) -> Option<(http::response::Parts, Vec<Frame<Bytes>>)>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let secret = CARRIERS.iter().find_map(|name| head.headers.get(*name)?.to_str().ok());
        let secret = secret.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        let path = head.uri.path().to_owned();
        let at = self.age();
        let seen = Seen { path, headers: head.headers, body, secret, at };
        let reply = (self.answer)(&seen);
        self.seen.lock().unwrap().push(seen);
        let (head, body) = reply.into_parts();
        let frames = match std::str::from_utf8(&body) {
            Ok(text) if head.headers.get(header::CONTENT_TYPE) == Some(&EVENTS) => {
                text.split_inclusive("\n\n").map(|event| Bytes::from(event.to_owned())).collect()
            }
            _ if body.is_empty() => Vec::new(),
            _ => vec![body],
        };
        Some((head, frames.into_iter().map(Frame::data).collect()))
    }
}

/// The key of account `org-{number}`.
pub(crate) fn secret(number: usize) -> String {
    format!("sk-canary-{number}")
}

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// A status, headers and a JSON body.
pub(crate) fn refusal(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: impl Into<Bytes>,
) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status.try_into().unwrap();
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
    reply
}

/// Events, each without its blank line.
pub(crate) fn stream(events: &[&str]) -> Reply {
    let text: String = events.iter().map(|event| format!("{event}\n\n")).collect();
    let mut reply = Response::new(Bytes::from(text));
    reply.headers_mut().insert(header::CONTENT_TYPE, EVENTS);
    reply
}

/// A successful answer, whole or as events, depending on the path. It contains "Hello".
pub(crate) fn ok(seen: &Seen) -> Reply {
    let tokens = seen.body.len() / 4;
    let path = seen.path.as_str();
    if path.ends_with("/chat/completions") {
        ok_chat(seen, tokens)
    } else if path.ends_with("/messages") {
        ok_message(seen, tokens)
    } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
        let parts = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]},
            "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": tokens, "candidatesTokenCount": 1}});
        if seen.streams() {
            return stream(&[&format!("data: {parts}")]);
        }
        refusal(200, &[], parts.to_string())
    } else if path.ends_with("/responses") {
        let answer = json!({"id": "resp_1", "object": "response", "status": "completed",
            "error": null, "model": seen.model(), "output": [{"type": "message",
            "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}],
            "usage": {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1}});
        refusal(200, &[], answer.to_string())
    } else {
        refusal(200, &[], r#"{"object":"list","data":[]}"#)
    }
}

fn ok_chat(seen: &Seen, tokens: usize) -> Reply {
    let usage =
        json!({"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1});
    if seen.streams() {
        let chunk = |delta: Value, finish: Value| {
            let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
            format!("data: {}", json!({"object": "chat.completion.chunk", "choices": choices}))
        };
        let role = chunk(json!({"role": "assistant"}), Value::Null);
        let hello = chunk(json!({"content": "Hello"}), Value::Null);
        let end = chunk(json!({}), "stop".into());
        return stream(&[&role, &hello, &end, "data: [DONE]"]);
    }
    let message = json!({"role": "assistant", "content": "Hello"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": seen.model(),
        "choices": choices, "usage": usage});
    refusal(200, &[], answer.to_string())
}

fn ok_message(seen: &Seen, tokens: usize) -> Reply {
    if seen.streams() {
        let start = format!(
            r#"event: message_start
data: {{"type":"message_start","message":{{"id":"msg_1","type":"message","role":"assistant","content":[],"usage":{{"input_tokens":{tokens},"output_tokens":1}}}}}}"#
        );
        return stream(&[
            &start,
            r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
            r#"event: content_block_stop
data: {"type":"content_block_stop","index":0}"#,
            r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}"#,
            r#"event: message_stop
data: {"type":"message_stop"}"#,
        ]);
    }
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant",
        "model": seen.model(), "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": tokens, "output_tokens": 1}});
    refusal(200, &[], answer.to_string())
}
