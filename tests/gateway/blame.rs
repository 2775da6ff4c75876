//! The cause of a refusal: the request, a key, an account, a model, the provider, or the caller. A refusal
//! must not have more effect than it proves, so each test checks what *other* requests get afterwards.

#[path = "blame/callers.rs"]
mod callers;
#[path = "blame/empty.rs"]
mod empty;
#[path = "blame/hidden.rs"]
mod hidden;
#[path = "blame/keys.rs"]
mod keys;
#[path = "blame/mistakes.rs"]
mod mistakes;
#[path = "blame/operations.rs"]
mod operations;
#[path = "blame/outage.rs"]
mod outage;
#[path = "blame/overload.rs"]
mod overload;
#[path = "blame/rates.rs"]
mod rates;
#[path = "blame/rejected.rs"]
mod rejected;
#[path = "blame/restart.rs"]
mod restart;
#[path = "blame/size.rs"]
mod size;

use std::{
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};
use tower::ServiceExt;

use crate::{
    fake::{Fake, Reply, Seen, secret},
    gateway::{
        config::{Config, Listen, Surroundings, read_file},
        routes::Gateway,
    },
};

/// Makes a request, to be called several times.
type Ask = fn() -> Request<Body>;

/// The time in which a request without a wait is answered.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A gateway before a fake provider, in this process.
pub(crate) struct Running {
    gateway: Arc<Gateway>,
    router: Router,
    pub(crate) fake: Fake,
}

/// What a caller sees.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) text: String,
    /// When it was sent, by the provider's clock, and how long it took to its end.
    sent: Duration,
    took: Duration,
}

/// A pool with accounts `org-1`, `org-2`, ... of one key each, and lines of its own.
pub(crate) fn pool(provider: &str, accounts: usize, in_pool: &str) -> Config {
    pool_after("", provider, accounts, in_pool)
}

/// The same with other lines before it.
pub(crate) fn pool_after(before: &str, provider: &str, accounts: usize, in_pool: &str) -> Config {
    let account = |number| {
        let secret = secret(number);
        format!(
            "[[pool.account]]\nname = \"org-{number}\"\n\
             keys = [{{ id = \"k{number}\", secret = \"{secret}\" }}]\n"
        )
    };
    let accounts: String = (1..=accounts).map(account).collect();
    let text = format!(
        "listen = \"127.0.0.1:0\"\n{before}\n[[pool]]\nname = \"{provider}\"\nprovider = \"{provider}\"\n\
         {in_pool}\n{accounts}"
    );
    let around = Surroundings { env: &|_| None, folder: Path::new("") };
    read_file("keys.toml".to_owned(), &text, Listen::default(), &around).unwrap()
}

/// A gateway with this configuration, whose provider answers as the closure says.
pub(crate) fn run(
    config: Config,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Running {
    run_before(&Fake::new(answer), config)
}

/// The same in front of an existing provider.
fn run_before(fake: &Fake, config: Config) -> Running {
    let gateway = Arc::new(Gateway::new(config, &fake.upstream()).unwrap());
    Running { router: Arc::clone(&gateway).router(), gateway, fake: fake.clone() }
}

impl Running {
    /// Sends a request now, or as soon as the future is polled.
    pub(crate) fn send(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let (router, fake) = (self.router.clone(), self.fake.clone());
        async move {
            let (sent, began) = (fake.age(), Instant::now());
            let (head, body) = router.oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let text = String::from_utf8_lossy(&body).into_owned();
            let (status, headers) = (head.status.as_u16(), head.headers);
            Outcome { status, headers, text, sent, took: began.elapsed() }
        }
    }

    /// Sends requests at an even rate, however long each takes. Returns the answers in the order of sending.
    async fn pace(&self, number: usize, gap: Duration, ask: Ask) -> Vec<Outcome> {
        let mut calls = JoinSet::new();
        for index in 0..number {
            let call = self.send(ask());
            calls.spawn(async move { (index, call.await) });
            tokio::time::sleep(gap).await;
        }
        let mut answers = calls.join_all().await;
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Sends requests for half a minute. Each must be answered at once, and all keys must be used. A key may
    /// rest for some seconds, as long as no caller waits.
    async fn all_is_well(&self, accounts: usize, ask: Ask, what: &str) {
        let number = 20 * accounts.max(3);
        let before: Vec<_> = (1..=accounts).map(|key| self.fake.calls_of(key)).collect();
        let gap = Duration::from_secs(30) / number as u32;
        for outcome in self.pace(number, gap, ask).await {
            outcome.is_answered_at_once(what);
        }
        let idle = (1..=accounts).filter(|key| self.fake.calls_of(*key) == before[*key - 1]);
        let idle: Vec<_> = idle.collect();
        assert!(idle.is_empty(), "{what}: keys {idle:?} of {accounts} are no longer used");
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn is_answered(&self, what: &str) {
        assert_eq!(self.status, 200, "{what}: {self}");
    }

    #[track_caller]
    fn is_answered_at_once(&self, what: &str) {
        self.is_answered(what);
        assert!(self.took < AT_ONCE, "{what}: took {:?}, {self}", self.took);
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, sent, took, text, .. } = self;
        let start: String = text.chars().take(400).collect();
        write!(f, "{status} to what was sent at {sent:?}, after {took:?}: {start}")
    }
}

/// A new question, so that affinity does not tie it to an account.
fn question() -> String {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    format!("{number} is the number of this question. What do you think of it?")
}

pub(crate) fn messages() -> Value {
    json!([{"role": "user", "content": question()}])
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(crate) fn with(
    name: &'static str,
    value: &'static str,
    mut request: Request<Body>,
) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

pub(crate) fn chat_with(model: &str, more: &Value) -> Request<Body> {
    let mut body = json!({"model": model, "messages": messages()});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    post("/v1/chat/completions", &body)
}

pub(crate) fn chat() -> Request<Body> {
    chat_with("gpt-4o", &json!({}))
}

pub(crate) fn chat_stream() -> Request<Body> {
    chat_with("gpt-4o", &json!({"stream": true}))
}

fn claude_with(more: &Value) -> Request<Body> {
    let mut body = json!({"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": messages()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = post("/anthropic/v1/messages", &body);
    with("anthropic-version", "2023-06-01", request)
}

fn claude() -> Request<Body> {
    claude_with(&json!({}))
}

fn claude_stream() -> Request<Body> {
    claude_with(&json!({"stream": true}))
}

fn gemini_at(path: &str) -> Request<Body> {
    let path = format!("/gemini/v1beta/models/{path}");
    post(&path, &json!({"contents": [{"role": "user", "parts": [{"text": question()}]}]}))
}

fn gemini() -> Request<Body> {
    gemini_at("gemini-2.5-flash:generateContent")
}

fn gemini_stream() -> Request<Body> {
    gemini_at("gemini-2.5-flash:streamGenerateContent?alt=sse")
}
