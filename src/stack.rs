//! The three layers in their recommended order, as one layer.

use tower::retry::{Retry, RetryLayer};
use tower_layer::Layer;

use crate::{
    KeyPool, KeyRotation, KeyRotationLayer, QuotaAwareRetry, ReplayBodyLayer,
    replay::ReplayBodyService,
};

/// [`ReplayBodyLayer`], [`QuotaAwareRetry`] and [`KeyRotationLayer`] as one layer, in this order from the
/// outside in. A client needs nothing more to rotate keys.
///
/// ```
/// # use std::convert::Infallible;
/// # use http_body_util::Full;
/// # use tower::{ServiceBuilder, ServiceExt, service_fn};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_key_rotation::{ApiKey, KeyPool, OpenAi, ReplayBody, RotationStack};
///
/// let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("sk-not-a-real-key")).build()?;
/// # let client = service_fn(|_: http::Request<ReplayBody>| async {
/// #     Ok::<_, Infallible>(http::Response::new(Full::<bytes::Bytes>::default()))
/// # });
/// let service = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(client);
///
/// let body = String::from(r#"{"model": "gpt-4o", "messages": []}"#);
/// let request = http::Request::post("https://api.openai.com/v1/chat/completions").body(body)?;
/// assert_eq!(service.oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RotationStack {
    replay: ReplayBodyLayer,
    retry: QuotaAwareRetry,
    rotation: KeyRotationLayer,
}

impl RotationStack {
    /// The stack over a pool, with the default options of its layers.
    pub fn new(pool: &KeyPool) -> Self {
        Self {
            replay: ReplayBodyLayer::new(),
            retry: QuotaAwareRetry::new(pool),
            rotation: KeyRotationLayer::new(pool),
        }
    }

    /// Sets the retry policy.
    pub fn retry(mut self, retry: QuotaAwareRetry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the layer that buffers request bodies.
    pub fn replay(mut self, replay: ReplayBodyLayer) -> Self {
        self.replay = replay;
        self
    }

    /// Sets the layer that puts keys into requests.
    pub fn rotation(mut self, rotation: KeyRotationLayer) -> Self {
        self.rotation = rotation;
        self
    }
}

impl<S> Layer<S> for RotationStack {
    type Service = ReplayBodyService<Retry<QuotaAwareRetry, KeyRotation<S>>>;

    fn layer(&self, inner: S) -> Self::Service {
        let rotation = self.rotation.layer(inner);
        self.replay.layer(RetryLayer::new(self.retry.clone()).layer(rotation))
    }
}
