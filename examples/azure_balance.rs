//! Balances over four resources on their own servers, with different speeds and limits. One of them fails and
//! returns.
//!
//! ```text
//! cargo run --release --example azure_balance -- [--short]
//! ```
//!
//! Each server is a sandbox on its own port of this machine, and each key has its own client. For real
//! resources, set their endpoints and give the clients a TLS connector.

use std::{collections::BTreeMap, env, error::Error, net::SocketAddr, time::Duration};

use http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_key_rotation::{
    Account, ApiKey, AzureOpenAi, KeyBalance, KeyPool, KeyUsed, Limit, QuotaAwareRetry,
    ReplayBodyLayer, Trail,
    pool::KeyInfo,
    sandbox::{Dialect, Sandbox, Script},
};

type BoxError = Box<dyn Error + Send + Sync>;

/// The resources: name, duration of an answer in milliseconds, and requests per minute.
const RESOURCES: [(&str, u64, u64); 4] =
    [("sweden", 10, 2_400), ("france", 20, 1_200), ("japan", 40, 1_200), ("brazil", 80, 600)];

/// Requests at once: enough for some to wait in the queue.
const CALLERS: usize = 16;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let short = env::args().any(|arg| arg == "--short");
    // A failed server is tried again after 1, 2, 4 s and so on.
    let [well, dead, back] = if short { [1_000, 1_500, 4_000] } else { [5_000, 5_000, 10_000] }
        .map(Duration::from_millis);

    let mut pool = KeyPool::builder(AzureOpenAi::new("https://sweden.openai.azure.com"));
    let mut servers = Vec::new();
    for (name, takes, requests) in RESOURCES {
        let limit = Limit::requests(requests).per_minute();
        let secret = format!("sandbox-{name}");
        let sandbox = Sandbox::builder(Dialect::OpenAi)
            .answer(Script::new().latency(Duration::from_millis(takes)))
            .account(name, [limit.clone()], [secret.as_str()])
            .hide_limits()
            .build();
        let server = Server::start(sandbox, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{name}: http://{}, {takes} ms, {limit}", server.address);
        let key = ApiKey::new(secret).id(name).endpoint(format!("http://{}", server.address));
        pool = pool.account(Account::new(name).limit(limit).key(key));
        servers.push(server);
    }
    let pool = pool.build()?;
    let service = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new())
        .retry(QuotaAwareRetry::new(&pool))
        .service(KeyBalance::new(&pool, |_: &KeyInfo| {
            Client::builder(TokioExecutor::new()).build_http()
        }));

    println!("-- all resources work");
    offer(&service, well).await?.print();
    println!("-- sweden fails");
    let Server { address, sandbox, .. } = servers.swap_remove(0);
    offer(&service, dead).await?.print();
    println!("-- sweden returns");
    servers.push(Server::start(sandbox, address).await?);
    offer(&service, back).await?.print();
    Ok(())
}

/// The results of some requests.
#[derive(Default)]
struct Outcome {
    /// By endpoint: the number of answers, the time in the queue, and the total time.
    served: BTreeMap<String, (u32, Duration, Duration)>,
    failed: u32,
    retried: u32,
}

impl Outcome {
    fn add(mut self, other: Self) -> Self {
        for (name, (number, waited, took)) in other.served {
            let sum = self.served.entry(name).or_default();
            *sum = (sum.0 + number, sum.1 + waited, sum.2 + took);
        }
        self.failed += other.failed;
        self.retried += other.retried;
        self
    }

    fn print(&self) {
        for (name, (number, waited, took)) in &self.served {
            let [waited, took] = [waited, took].map(|sum| (*sum / *number).as_millis());
            println!(
                "{name:>8}: {number:>4} answers, {waited:>4} ms in the queue, {took:>4} ms in total"
            );
        }
        println!("  failed: {:>4}, retried without an error: {}", self.failed, self.retried);
    }
}

/// This many callers. Each sends one request after the other.
async fn offer<S, B>(service: &S, time: Duration) -> Result<Outcome, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send,
{
    let end = Instant::now() + time;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            let mut outcome = Outcome::default();
            while Instant::now() < end {
                outcome = outcome.add(ask(service.clone()).await?);
            }
            Ok::<_, BoxError>(outcome)
        });
    }
    let outcomes = callers.join_all().await;
    outcomes.into_iter().try_fold(Outcome::default(), |all, outcome| Ok(all.add(outcome?)))
}

async fn ask<S, B>(service: S) -> Result<Outcome, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Error: Into<BoxError>>,
{
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#;
    // Without a host: the host of the chosen endpoint is used.
    let request = Request::post("/openai/v1/chat/completions").body(Full::from(body))?;
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let Ok(response) = service.oneshot(request).await else {
        outcome.failed = 1;
        return Ok(outcome);
    };
    let (head, body) = response.into_parts();
    body.collect().await.map_err(Into::into)?;
    outcome.retried = u32::from(head.extensions.get::<Trail>().is_some());
    match head.extensions.get::<KeyUsed>() {
        Some(used) if head.status == StatusCode::OK => {
            let served = (1, used.waited, began.elapsed());
            outcome.served.insert(used.key.to_string(), served);
        }
        _ => outcome.failed = 1,
    }
    Ok(outcome)
}

/// A running resource. It fails when it is dropped, with all its connections.
struct Server {
    address: SocketAddr,
    sandbox: Sandbox,
    _connections: JoinSet<()>,
}

impl Server {
    async fn start(sandbox: Sandbox, address: SocketAddr) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let service = sandbox.clone().map_request(as_openai);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Ok(Self { address, sandbox, _connections: tasks })
    }
}

/// The sandbox has the dialect of OpenAI. The dialect of Azure has another header for the key and other
/// paths.
fn as_openai(mut request: Request<Incoming>) -> Request<Incoming> {
    let key = request.headers_mut().remove("api-key");
    let bearer = key.and_then(|key| Some(format!("Bearer {}", key.to_str().ok()?)));
    if let Some(bearer) = bearer.and_then(|bearer| HeaderValue::try_from(bearer).ok()) {
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    let path = request.uri().path().strip_prefix("/openai").map(str::to_owned);
    if let Some(uri) = path.and_then(|path| path.parse().ok()) {
        *request.uri_mut() = uri;
    }
    request
}
