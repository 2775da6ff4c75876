//! The sandbox as a tower `Service`.

use std::{
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
    Sandbox, SandboxBody, SandboxError, clock,
    judge::{Judgement, judge},
    state::Shared,
};

/// The future of a [`Sandbox`]'s response.
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
