//! Streams through the whole stack: errors inside a 200, what is held back, and timeouts.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod cuts;
mod errors;
mod holding;
mod timeouts;
mod whole;

use std::{convert::Infallible, future::ready, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::{
    Account, Anthropic, ApiKey, Gemini, KeyPool, KeyPoolBuilder, KeyRotationLayer, KeyUsed, Limit,
    OpenAi, ReplayBody, RotationStack, Trail, Verdict,
    rotate::ResponseBody,
    sandbox::{Dialect, Sandbox, SandboxBuilder, Script},
    snapshot::Snapshot,
};

/// The formats in which providers stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Chat,
    Responses,
    Messages,
    Events,
    List,
    /// Gemini in the format of OpenAI, with refusals in an array.
    GeminiChat,
}

const STYLES: [Style; 6] =
    [Style::Chat, Style::Responses, Style::Messages, Style::Events, Style::List, Style::GeminiChat];

impl Style {
    fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Responses => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            Self::Events | Self::List | Self::GeminiChat => Dialect::Gemini,
        }
    }

    fn pool(self) -> KeyPoolBuilder {
        match self.dialect() {
            Dialect::OpenAi => KeyPool::builder(OpenAi::default()),
            Dialect::Anthropic => KeyPool::builder(Anthropic::default()),
            _ => KeyPool::builder(Gemini::default()),
        }
    }

    fn request(self) -> Request<String> {
        let chat = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
        let gemini = "https://generativelanguage.googleapis.com/v1beta";
        let (uri, body) = match self {
            Self::Chat => ("https://api.openai.com/v1/chat/completions".to_owned(), chat),
            Self::Responses => (
                "https://api.openai.com/v1/responses".to_owned(),
                r#"{"model":"m","stream":true,"input":"Hello"}"#,
            ),
            Self::Messages => (
                "https://api.anthropic.com/v1/messages".to_owned(),
                r#"{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}"#,
            ),
            Self::Events => (
                format!("{gemini}/models/m:streamGenerateContent?alt=sse"),
                r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#,
            ),
            Self::List => (
                format!("{gemini}/models/m:streamGenerateContent"),
                r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#,
            ),
            Self::GeminiChat => (format!("{gemini}/openai/chat/completions"), chat),
        };
        Request::post(uri).body(body.to_owned()).unwrap()
    }

    /// The same request with a key in it, to be sent to the sandbox directly.
    fn with_key(self, account: usize) -> Request<Full<Bytes>> {
        let mut request = self.request().map(|body| Full::from(Bytes::from(body)));
        let secret = secret(account);
        let (name, value) = match self {
            Self::Chat | Self::Responses | Self::GeminiChat => {
                ("authorization", format!("Bearer {secret}"))
            }
            Self::Messages => ("x-api-key", secret),
            Self::Events | Self::List => ("x-goog-api-key", secret),
        };
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    }

    /// How many frames come before the first one with text.
    fn preludes(self) -> u64 {
        match self {
            Self::Chat | Self::Responses | Self::GeminiChat => 1,
            Self::Messages => 3,
            Self::Events | Self::List => 0,
        }
    }

    /// The verdict of an error in a stream of a provider that fails.
    fn failure(self) -> Verdict {
        match self {
            Self::Chat | Self::Responses | Self::GeminiChat => Verdict::Transient,
            Self::Messages | Self::Events | Self::List => Verdict::Overloaded { retry_after: None },
        }
    }
}

fn secret(account: usize) -> String {
    format!("sk-sandbox-{account}")
}

/// Accounts `org-1`, `org-2`, ... with one key each (`k1`, `k2`, ...).
fn sandbox(style: Style, accounts: usize) -> SandboxBuilder {
    let sandbox = Sandbox::builder(style.dialect()).seed(7);
    let sandbox = sandbox.answer(Script::new().tokens(3));
    (1..=accounts)
        .fold(sandbox, |sandbox, i| sandbox.account(format!("org-{i}"), [], [secret(i).as_str()]))
}

/// The pool of the same accounts. The limit shows whether a lease has ended.
fn pool(style: Style, accounts: usize) -> KeyPool {
    let account = |i| {
        let key = ApiKey::new(secret(i)).id(format!("k{i}"));
        Account::new(format!("org-{i}")).limit(Limit::concurrent(1)).key(key)
    };
    let pool = style.pool().seed(7).max_wait(Duration::from_secs(5));
    (1..=accounts).fold(pool, |pool, i| pool.account(account(i))).build().unwrap()
}

/// The recommended stack with this rotation layer.
fn stack<S>(
    pool: &KeyPool,
    rotation: KeyRotationLayer,
    inner: S,
) -> <RotationStack as Layer<S>>::Service {
    RotationStack::new(pool).rotation(rotation).layer(inner)
}

/// Sends one request through the recommended stack.
async fn send<S, B>(pool: &KeyPool, inner: S, request: Request<String>) -> Response<ResponseBody<B>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: Body<Data = Bytes> + Unpin,
{
    stack(pool, KeyRotationLayer::new(pool), inner).oneshot(request).await.unwrap()
}

/// A whole body.
async fn read<B>(body: B) -> Bytes
where
    B: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    body.collect().await.unwrap().to_bytes()
}

/// The body that the sandbox sends for the key of an account.
async fn raw(style: Style, sandbox: &Sandbox, account: usize) -> Bytes {
    let response = sandbox.clone().oneshot(style.with_key(account)).await.unwrap();
    assert_eq!(response.status(), 200);
    read(response.into_body()).await
}

/// A provider that answers each request with the next of these bodies, in these pieces. The last one
/// answers all further requests.
fn answers(
    content_type: &'static str,
    bodies: Vec<Vec<Bytes>>,
) -> impl Service<
    Request<ReplayBody>,
    Response = Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>,
    Error = Infallible,
> + Clone {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    tower::service_fn(move |_: Request<ReplayBody>| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let pieces = bodies[call.min(bodies.len() - 1)].clone();
        let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
        let body = StreamBody::new(tokio_stream::iter(frames));
        let response = Response::builder().header("content-type", content_type);
        ready(Ok(response.body(body).unwrap()))
    })
}

fn verdict<B>(response: &Response<B>) -> Verdict {
    response.extensions().get::<KeyUsed>().unwrap().verdict
}

/// The key and verdict of each attempt.
fn attempts<B>(response: &Response<B>) -> Vec<(String, Verdict)> {
    let trail = response.extensions().get::<Trail>().map(Trail::attempts).unwrap_or_default();
    trail.iter().map(|one| (one.key.as_ref().unwrap().to_string(), one.verdict)).collect()
}

fn in_flight(snapshot: &Snapshot) -> u64 {
    snapshot.accounts.iter().map(|account| account.in_flight).sum()
}

/// How many requests got a verdict.
fn judged(pool: &KeyPool, verdict: &str) -> u64 {
    pool.snapshot().verdicts.get(verdict).copied().unwrap_or_default()
}
