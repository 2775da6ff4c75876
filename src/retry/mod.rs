//! Retries: the only place in the crate that sends a request again.
//!
//! [`QuotaAwareRetry`] is a policy for [`tower::retry`]. It sits above
//! [`KeyRotation`](crate::KeyRotation), so that every attempt takes a new key:
//!
//! - If a key or an account refuses the request, another one is tried at once. This adds no load to
//!   the account that refused. The number of keys bounds the attempts.
//! - After an overload, a 5xx or a broken connection the request is tried again with exponential
//!   backoff: a few times, within a retry budget for each tenant, and only if the provider allows
//!   such a request to be repeated.
//! - A request that is itself at fault is never tried again.
//! - A request whose body cannot be sent again is never tried again.
//!
//! If no attempt succeeds, the caller gets the last answer of the provider.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, OpenAi, QuotaAwareRetry, Trail};
//!
//! let pool = KeyPool::builder(OpenAi::default())
//!     .key(ApiKey::new("sk-revoked").id("old"))
//!     .key(ApiKey::new("sk-good").id("new"))
//!     .build()?;
//! # let client = service_fn(|request: http::Request<Body>| async move {
//! #     let good = request.headers()["authorization"] == "Bearer sk-good";
//! #     let status = if good { 200 } else { 401 };
//! #     let response = http::Response::builder().status(status).body(Body::default());
//! #     Ok::<_, Infallible>(response.unwrap())
//! # });
//! let service = ServiceBuilder::new()
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .layer(KeyRotationLayer::new(&pool))
//!     .service(client);
//!
//! for _ in 0..10 {
//!     let request = http::Request::get("https://api.openai.com/v1/models").body(Body::default())?;
//!     let response = service.clone().oneshot(request).await?;
//!     assert_eq!(response.status(), 200); // whichever key was tried first
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`QuotaAwareRetry`]: crate::QuotaAwareRetry

mod budget;
mod delay;
pub(crate) mod policy;

pub use delay::RetryDelay;
