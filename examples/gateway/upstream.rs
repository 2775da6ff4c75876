//! The client of the gateway: to providers over TLS, or to the sandbox. It is one type, so that one stack
//! fits both. Tests can use a service of their own.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Bytes, HttpBody},
    http::{Request, Response},
};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower_key_rotation::{
    ReplayBody,
    sandbox::{Sandbox, SandboxBody, SandboxError, SandboxFuture},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A Tower service for requests whose bodies can be sent again.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    Providers(Arc<Client<HttpsConnector<HttpConnector>, ReplayBody>>),
    Sandbox(Sandbox),
    #[cfg(test)]
    Fake(FakeService),
}

/// A provider that a test has made.
#[cfg(test)]
pub(crate) type FakeService =
    tower::util::BoxCloneSyncService<Request<ReplayBody>, Response<UpstreamBody>, UpstreamError>;

impl Upstream {
    /// A pooling client for HTTP/1.1 and HTTP/2 that trusts the certificates of this machine.
    ///
    /// It follows no redirects, because a response must not decide where a key is sent.
    pub(crate) fn providers() -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(KEEP_ALIVE));
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .build(tls);
        Ok(Self::Providers(Arc::new(client)))
    }
}

impl tower::Service<Request<ReplayBody>> for Upstream {
    type Response = Response<UpstreamBody>;
    type Error = UpstreamError;
    type Future = UpstreamFuture;

    /// It is always ready: the client has its own queue, and waiting for quota happens before.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> UpstreamFuture {
        match self {
            Self::Providers(client) => UpstreamFuture::Providers(client.request(request)),
            Self::Sandbox(sandbox) => UpstreamFuture::Sandbox(sandbox.call(request)),
            #[cfg(test)]
            Self::Fake(service) => UpstreamFuture::Fake(service.call(request)),
        }
    }
}

pub(crate) enum UpstreamFuture {
    Providers(legacy::ResponseFuture),
    Sandbox(SandboxFuture),
    #[cfg(test)]
    Fake(<FakeService as tower::Service<Request<ReplayBody>>>::Future),
}

impl Future for UpstreamFuture {
    type Output = Result<Response<UpstreamBody>, UpstreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Providers(future) => Pin::new(future)
                .poll(cx)
                .map_ok(|response| response.map(UpstreamBody::Providers))
                .map_err(UpstreamError::Call),
            Self::Sandbox(future) => Pin::new(future)
                .poll(cx)
                .map_ok(|response| response.map(UpstreamBody::Sandbox))
                .map_err(UpstreamError::Sandbox),
            #[cfg(test)]
            Self::Fake(future) => Pin::new(future).poll(cx),
        }
    }
}

/// The body of an answer, as it arrives.
pub(crate) enum UpstreamBody {
    Providers(Incoming),
    Sandbox(SandboxBody),
    #[cfg(test)]
    Fake(http_body_util::combinators::UnsyncBoxBody<Bytes, UpstreamError>),
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match self.get_mut() {
            Self::Providers(body) => Pin::new(body).poll_frame(cx).map_err(UpstreamError::Body),
            Self::Sandbox(body) => Pin::new(body).poll_frame(cx).map_err(UpstreamError::Sandbox),
            #[cfg(test)]
            Self::Fake(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Providers(body) => body.is_end_stream(),
            Self::Sandbox(body) => body.is_end_stream(),
            #[cfg(test)]
            Self::Fake(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Providers(body) => body.size_hint(),
            Self::Sandbox(body) => body.size_hint(),
            #[cfg(test)]
            Self::Fake(body) => body.size_hint(),
        }
    }
}

/// An error of a call. It says why, but never shows the address, because that may contain a query.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    Call(legacy::Error),
    Body(hyper::Error),
    Sandbox(SandboxError),
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error: &dyn Error = match self {
            Self::Call(error) => error,
            Self::Body(error) => error,
            Self::Sandbox(error) => error,
        };
        write!(f, "{error}")?;
        // The text of these errors ("client error (Connect)") is of little use without the cause.
        while let Some(source) = error.source() {
            write!(f, ": {source}")?;
            error = source;
        }
        Ok(())
    }
}

impl Error for UpstreamError {}
