//! The sandbox itself, and how it serves a request as a tower `Service`.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::DATE};
use http_body::Body;
use http_body_util::{BodyExt, Collected};
use tower_service::Service;

use crate::sandbox::{
    body::SandboxBody,
    clock,
    error::SandboxError,
    faults::Fault,
    judge::{Judgement, judge},
    state::Shared,
    stats::{Arrival, Stats},
};

/// A fake provider. Clones share all state.
///
/// It is always ready. See the [module](crate::sandbox) for what it does, and [`Sandbox::builder`] for
/// how to make one.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

impl Sandbox {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Injects a fault. Faults add up.
    ///
    /// Returns whether the sandbox has the account or secret that the fault names; if not, nothing
    /// changes.
    #[expect(clippy::must_use_candidate, reason = "it is called for its effect")]
    pub fn fail(&self, fault: Fault) -> bool {
        let now = self.shared.clock.elapsed();
        self.shared.state().faults.add(fault, &self.shared.directory, now)
    }

    /// What has happened so far, counted by key, by account and in total.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.state().recorder.stats(&self.shared.directory)
    }

    /// The requests that used a key of this account, in the order of their arrival. The first 100,000
    /// are kept. Empty if there is no such account.
    #[must_use]
    pub fn arrivals(&self, account: &str) -> Vec<Arrival> {
        let account = self.shared.directory.account(account);
        account.map(|account| self.shared.state().recorder.arrivals(account)).unwrap_or_default()
    }
}

/// The future of a [`Sandbox`]'s response.
///
/// Cancel safety: it may be dropped at any point. A request that was admitted keeps its charge on the
/// limits and frees its concurrency.
pub type SandboxFuture =
    Pin<Box<dyn Future<Output = Result<Response<SandboxBody>, SandboxError>> + Send>>;

impl<B> Service<Request<B>> for Sandbox
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<SandboxBody>;
    type Error = SandboxError;
    type Future = SandboxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SandboxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> SandboxFuture {
        Box::pin(serve(Arc::clone(&self.shared), request))
    }
}

async fn serve<B: Body<Data = Bytes>>(
    shared: Arc<Shared>,
    request: Request<B>,
) -> Result<Response<SandboxBody>, SandboxError> {
    if shared.refuses_connection() {
        return Err(SandboxError::ConnectionRefused);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(Collected::to_bytes) else {
        return Err(SandboxError::RequestBody);
    };
    let Judgement { delay, mut response } = judge(&shared, &parts, &body);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if let Ok(date) = HeaderValue::try_from(clock::http_date(shared.clock.elapsed())) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    Ok(response)
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("dialect", &self.shared.dialect)
            .field("directory", &self.shared.directory)
            .finish_non_exhaustive()
    }
}
