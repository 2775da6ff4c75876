//! One server for each key. Each notices requests with a wrong key or for a wrong host.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Service, ServiceExt};
use tower_key_rotation::{ApiKey, KeyPool, KeyPoolBuilder, OpenAi, pool::KeyInfo};

pub(crate) type Body = Full<Bytes>;

/// All servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    all: Arc<Mutex<HashMap<String, State>>>,
    /// The number of clients that exist.
    clients: Arc<AtomicUsize>,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) status: StatusCode,
    pub(crate) takes: Duration,
    pub(crate) seen: u64,
    /// Whether its client is ready.
    pub(crate) is_ready: bool,
    /// Requests with a wrong key or for a wrong host.
    pub(crate) strays: u64,
}

impl Default for State {
    fn default() -> Self {
        let takes = Duration::from_millis(100);
        Self { status: StatusCode::OK, takes, seen: 0, is_ready: true, strays: 0 }
    }
}

impl Servers {
    /// Makes a server answer with a status after this many milliseconds.
    pub(crate) fn set(&self, id: &str, status: u16, takes: u64) {
        self.change(id, |server| {
            server.status = StatusCode::from_u16(status).unwrap();
            server.takes = Duration::from_millis(takes);
        });
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut State)) {
        change(self.all().entry(id.to_owned()).or_default());
    }

    pub(crate) fn seen(&self, id: &str) -> u64 {
        self.all().get(id).map_or(0, |server| server.seen)
    }

    pub(crate) fn strays(&self) -> u64 {
        self.all().values().map(|server| server.strays).sum()
    }

    /// The service of a key: a client of its server.
    pub(crate) fn client(&self, info: &KeyInfo) -> Server {
        let uri = info.endpoint.as_ref().unwrap();
        Server::new(self, uri.host().unwrap().strip_suffix(".test").unwrap())
    }

    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.all.lock().unwrap()
    }
}

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Server {
    all: Arc<Mutex<HashMap<String, State>>>,
    clients: Arc<AtomicUsize>,
    id: String,
}

impl Clone for Server {
    fn clone(&self) -> Self {
        let Self { all, clients, id } = self;
        clients.fetch_add(1, Ordering::Relaxed);
        Self { all: Arc::clone(all), clients: Arc::clone(clients), id: id.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(crate) fn new(servers: &Servers, id: &str) -> Self {
        let clients = Arc::clone(&servers.clients);
        clients.fetch_add(1, Ordering::Relaxed);
        Self { all: Arc::clone(&servers.all), clients, id: id.to_owned() }
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.all.lock().unwrap().entry(self.id.clone()).or_default().is_ready {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut servers = self.all.lock().unwrap();
        let server = servers.entry(self.id.clone()).or_default();
        let key = format!("Bearer {}", secret(&self.id));
        let is_for_it = request.uri().host() == Some(&format!("{}.test", self.id))
            && request.uri().path().starts_with("/base/")
            && request.headers().get("authorization").is_some_and(|sent| *sent == *key);
        server.seen += 1;
        server.strays += u64::from(!is_for_it);
        let (takes, status) = (server.takes, server.status);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let body = r#"{"error":{"message":"Rate limit reached","type":"requests"}}"#;
            let body = if status.is_success() { "{}" } else { body };
            Ok(Response::builder().status(status).body(Body::from(body)).unwrap())
        })
    }
}

pub(crate) fn secret(id: &str) -> String {
    format!("sk-{id}-not-a-real-key")
}

pub(crate) fn key(id: &str) -> ApiKey {
    ApiKey::new(secret(id)).id(id).endpoint(format!("https://{id}.test/base"))
}

/// Keys `k1`, `k2`, ..., each with its own server.
pub(crate) fn keys(number: usize) -> KeyPoolBuilder {
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    (1..=number).fold(pool, |pool, i| pool.key(key(&format!("k{i}"))))
}

pub(crate) fn request() -> Request<Body> {
    let body = Body::from(r#"{"model":"gpt-4o","messages":[]}"#);
    Request::post("https://api.openai.com/v1/chat/completions").body(body).unwrap()
}

/// Sends this many requests, one every 10 ms. Returns how many are not answered with 200.
pub(crate) async fn offer<S, B>(service: S, number: usize) -> usize
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug + Send,
    B: Send + 'static,
{
    let mut tasks = Vec::new();
    for _ in 0..number {
        let service = service.clone();
        tasks.push(tokio::spawn(async move { service.oneshot(request()).await.unwrap().status() }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut refused = 0;
    for task in tasks {
        refused += usize::from(task.await.unwrap() != 200);
    }
    refused
}
