//! The network to the provider: requests take time to arrive.

use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::Body;
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_key_rotation::sandbox::{Sandbox, SandboxBody, SandboxError};

use crate::workload::{Job, Operation, Sent, What};

/// The travel time of a request, in milliseconds.
const TRAVEL: Range<u64> = 10..51;
pub(crate) const LONGEST_TRAVEL: Duration = Duration::from_millis(50);

const CHAT: &str = "https://api.openai.com/v1/chat/completions";
const RESPONSES: &str = "https://api.openai.com/v1/responses";

/// The header in which faulty requests name an organisation, and its name.
pub(crate) const ORGANIZATION: &str = "openai-organization";
pub(crate) const NO_SUCH_ORGANIZATION: &str = "org-typo";

/// A sandbox with travel times. It records when each request departs, and what was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    sandbox: Sandbox,
    start: Instant,
    /// The time in which arrivals are recorded.
    noted: Range<Instant>,
    kinds: usize,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    rng: fastrand::Rng,
    /// By account, and then by kind of request.
    accepted: Vec<u64>,
}

/// The record of an accepted request: its use of the limits, and its kind.
#[derive(Clone, Copy, Debug)]
struct Note {
    amount: u64,
    kind: usize,
}

impl Uplink {
    /// Starts the clock now. Arrivals in this time are counted by account and by kind of request.
    pub(crate) fn new(
        sandbox: &Sandbox,
        accounts: usize,
        kinds: usize,
        noted: Range<Duration>,
        seed: u64,
    ) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let notes = Notes { rng, accepted: vec![0; accounts * kinds] };
        let start = Instant::now();
        let noted = start + noted.start..start + noted.end;
        Self { sandbox: sandbox.clone(), start, noted, kinds, notes: Arc::new(Mutex::new(notes)) }
    }

    /// The recorded accepted requests, by account and by kind.
    pub(crate) fn accepted(&self) -> Vec<u64> {
        self.with(|notes| notes.accepted.clone())
    }

    fn with<R>(&self, act: impl FnOnce(&mut Notes) -> R) -> R {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The secret of the only key of an account.
pub(crate) fn secret(account: usize) -> String {
    format!("sk-sandbox-{account}")
}

/// The request of a caller. The sandbox always answers with the maximum number of tokens, so `max_tokens`
/// sets the cost.
pub(crate) fn request(job: &Job) -> Request<String> {
    let Job { amount, what: What { operation, model, kind, at_fault, .. }, .. } = *job;
    let (uri, body) = match operation {
        Operation::Chat => {
            (CHAT, format!(r#"{{"model":"{model}","max_tokens":{amount},"messages":[]}}"#))
        }
        Operation::Responses => {
            (RESPONSES, format!(r#"{{"model":"{model}","max_output_tokens":{amount},"input":""}}"#))
        }
    };
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static(uri);
    if at_fault {
        let value = HeaderValue::from_static(NO_SUCH_ORGANIZATION);
        request.headers_mut().insert(ORGANIZATION, value);
    }
    request.extensions_mut().insert(job.sent.clone());
    request.extensions_mut().insert(Note { amount, kind });
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
        if let Some(sent) = request.extensions().get::<Sent>() {
            sent.set(self.start.elapsed());
        }
        let travel = Duration::from_millis(self.with(|notes| notes.rng.u64(TRAVEL)));
        let mut this = self.clone();
        // A request that departed arrives, even if its caller gives up.
        let answer = tokio::spawn(async move {
            sleep(travel).await;
            let note = account_of(&request).zip(request.extensions().get::<Note>().copied());
            let note = note.filter(|_| this.noted.contains(&Instant::now()));
            let answer = this.sandbox.call(request).await?;
            if let Some((account, note)) = note.filter(|_| answer.status().is_success()) {
                let place = account * this.kinds + note.kind;
                this.with(|notes| notes.accepted[place] += note.amount);
            }
            Ok(answer)
        });
        Box::pin(async { answer.await.unwrap_or(Err(SandboxError::ConnectionRefused)) })
    }
}
