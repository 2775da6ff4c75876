//! The usage that is read from answers: exact, and recorded once for each request, however its answer ends.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod asked;
mod costs;
mod ends;
mod gzip;
mod ledger;
mod totals;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::{
    Account, Anthropic, ApiKey, Gemini, KeyPool, KeyPoolBuilder, Limit, OpenAi, ReplayBody,
    RotationStack,
    rotate::ResponseBody,
    sandbox::{Dialect, Sandbox, SandboxBuilder, Script},
    usage::{Usage, UsageRecord, UsageSink},
};

/// Keeps all records.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(String, Option<Usage>)>>);

impl UsageSink for Kept {
    fn record(&self, record: &UsageRecord<'_>) {
        self.0.lock().unwrap().push((record.key.to_string(), record.usage));
    }
}

impl Kept {
    /// The usages of all records.
    fn all(&self) -> Vec<Usage> {
        self.0.lock().unwrap().iter().filter_map(|(_, usage)| *usage).collect()
    }

    /// The number of requests whose answer ended and reported no usage.
    fn unmetered(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|(_, usage)| usage.is_none()).count()
    }
}

/// An API of a provider. Each can be used with and without a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Chat,
    Responses,
    Messages,
    Generate,
}

const APIS: [Api; 4] = [Api::Chat, Api::Responses, Api::Messages, Api::Generate];

impl Api {
    fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Responses => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            Self::Generate => Dialect::Gemini,
        }
    }

    fn request(self, stream: bool) -> Request<String> {
        let (uri, body) = match self {
            Self::Chat => (
                "https://api.openai.com/v1/chat/completions".to_owned(),
                format!(
                    r#"{{"model":"m","stream":{stream},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"Hello"}}]}}"#
                ),
            ),
            Self::Responses => (
                "https://api.openai.com/v1/responses".to_owned(),
                format!(r#"{{"model":"m","stream":{stream},"input":"Hello"}}"#),
            ),
            Self::Messages => (
                "https://api.anthropic.com/v1/messages".to_owned(),
                format!(
                    r#"{{"model":"m","stream":{stream},"max_tokens":100,"messages":[{{"role":"user","content":"Hello"}}]}}"#
                ),
            ),
            Self::Generate => {
                let method = if stream { "streamGenerateContent" } else { "generateContent" };
                let host = "https://generativelanguage.googleapis.com";
                (
                    format!("{host}/v1beta/models/m:{method}"),
                    r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#.to_owned(),
                )
            }
        };
        Request::post(uri).body(body).unwrap()
    }
}

struct Setup {
    pool: KeyPool,
    sandbox: Sandbox,
    kept: Arc<Kept>,
}

impl Setup {
    fn new(api: Api, limits: &[Limit]) -> Self {
        Self::with(api, limits, |sandbox| sandbox)
    }

    fn with(
        api: Api,
        limits: &[Limit],
        furnish: impl FnOnce(SandboxBuilder) -> SandboxBuilder,
    ) -> Self {
        let kept = Arc::new(Kept::default());
        let mut pool = match api.dialect() {
            Dialect::OpenAi => KeyPool::builder(OpenAi::default()),
            Dialect::Anthropic => KeyPool::builder(Anthropic::default()),
            _ => KeyPool::builder(Gemini::default()),
        };
        let mut sandbox = Sandbox::builder(api.dialect()).seed(7);
        for i in 1..=2 {
            let secret = format!("sk-sandbox-{i}");
            sandbox = sandbox.account(format!("org-{i}"), [], [secret.as_str()]);
            let account = Account::new(format!("org-{i}")).limit(Limit::concurrent(8));
            let account = limits.iter().cloned().fold(account, Account::limit);
            pool = pool.account(account.key(ApiKey::new(secret).id(format!("k{i}"))));
        }
        let pool = KeyPoolBuilder::usage_sink(pool.seed(7), Arc::clone(&kept)).build().unwrap();
        Self { pool, sandbox: furnish(sandbox).build(), kept }
    }

    async fn send<S, B>(&self, inner: S, request: Request<String>) -> Response<ResponseBody<B>>
    where
        S: Service<Request<ReplayBody>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
        B: Body<Data = Bytes> + Unpin,
    {
        RotationStack::new(&self.pool).layer(inner).oneshot(request).await.unwrap()
    }

    async fn ask(
        &self,
        request: Request<String>,
    ) -> Response<ResponseBody<impl Body<Data = Bytes, Error: std::fmt::Debug> + Unpin + use<>>>
    {
        self.send(self.sandbox.clone(), request).await
    }

    fn in_flight(&self) -> u64 {
        self.pool.snapshot().accounts.iter().map(|account| account.in_flight).sum()
    }

    /// The usage of the only record.
    fn only(&self) -> Usage {
        let all = self.kept.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }
}

async fn read<B: Body<Data = Bytes, Error: std::fmt::Debug>>(body: B) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}
