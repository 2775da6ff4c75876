//! The way to the provider: departure is not arrival.

use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION};
use http_body::Body;
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_key_rotation::sandbox::{Sandbox, SandboxBody, SandboxError};

use crate::{scenario::Scenario, workload::Job};

/// How long a request travels, in milliseconds.
const TRAVEL: Range<u64> = 10..51;
pub(crate) const LONGEST_TRAVEL: Duration = Duration::from_millis(50);

const CHAT: &str = "https://api.openai.com/v1/chat/completions";

/// A sandbox at some distance. It notes when each request leaves, and what was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    sandbox: Sandbox,
    start: Instant,
    /// What arrives before is not noted, nor what arrives after the end.
    first: Instant,
    end: Instant,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    rng: fastrand::Rng,
    /// Of each account, before the end.
    accepted: Vec<u64>,
}

/// What a request takes of the limits.
#[derive(Clone, Copy, Debug)]
struct Amount(u64);

impl Uplink {
    /// From now on; what arrives after the end is not noted.
    pub(crate) fn new(sandbox: &Sandbox, scenario: &Scenario, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let notes = Notes { rng, accepted: vec![0; scenario.accounts.len()] };
        let start = Instant::now();
        let (first, end) = (start + scenario.warm_up(), start + scenario.time);
        Self { sandbox: sandbox.clone(), start, first, end, notes: Arc::new(Mutex::new(notes)) }
    }

    /// What was accepted of each account of all that arrived before the end.
    pub(crate) fn accepted(&self) -> Vec<u64> {
        self.with(|notes| notes.accepted.clone())
    }

    fn with<R>(&self, act: impl FnOnce(&mut Notes) -> R) -> R {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The secret of an account's only key.
pub(crate) fn secret(account: usize) -> String {
    format!("sk-sandbox-{account}")
}

/// The request that a caller sends. The sandbox takes the most tokens of an answer for their number,
/// so `max_tokens` is what it costs.
pub(crate) fn request(job: &Job) -> Request<String> {
    let body = format!(r#"{{"model":"m","max_tokens":{},"messages":[]}}"#, job.amount);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static(CHAT);
    request.extensions_mut().insert(job.sent.clone());
    request.extensions_mut().insert(Amount(job.amount));
    request
}

fn account_of<B>(request: &Request<B>) -> Option<usize> {
    let carrier = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    carrier.strip_prefix("Bearer sk-sandbox-")?.parse().ok()
}

impl<B> Service<Request<B>> for Uplink
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<SandboxBody>;
    type Error = SandboxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, SandboxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SandboxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(sent) = request.extensions().get::<crate::workload::Sent>() {
            sent.set(self.start.elapsed());
        }
        let travel = Duration::from_millis(self.with(|notes| notes.rng.u64(TRAVEL)));
        let mut this = self.clone();
        // What has left arrives, also when its caller gives up.
        let answer = tokio::spawn(async move {
            sleep(travel).await;
            let amount = request.extensions().get::<Amount>().map_or(0, |amount| amount.0);
            let account =
                account_of(&request).filter(|_| (this.first..this.end).contains(&Instant::now()));
            let answer = this.sandbox.call(request).await?;
            if let Some(account) = account.filter(|_| answer.status().is_success()) {
                this.with(|notes| notes.accepted[account] += amount);
            }
            Ok(answer)
        });
        Box::pin(async { answer.await.unwrap_or(Err(SandboxError::ConnectionRefused)) })
    }
}
