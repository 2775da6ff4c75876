//! The middleware: puts the right key on each request that goes out.
//!
//! [`KeyRotation`] reads what a request asks for, takes a lease on a key from the pool (or waits in
//! line for one), puts the key into the request, and hands it to the inner service. What comes back
//! tells the pool how its keys fare before the caller sees it.
//!
//! The caller sees the response as it came, byte for byte, without any credential in its headers
//! (nor in a refusal's body, where some providers repeat the key), and with [`KeyUsed`](crate::KeyUsed) in its extensions. When no key is left in time, the answer is
//! a 429 (or 503) in the provider's own error shape, with a true `retry-after` and
//! [`Exhausted`](crate::Exhausted) in its extensions: never an error of the service.
//!
//! A stream is not accepted by its head alone: that is held back until something comes that the caller
//! waits for, within the bounds of [`KeyRotationLayer::hold_back_timeout`]. An error that comes first is a
//! refusal like any other, though its response stays the 200 that it is: what it is worth stands in
//! [`KeyUsed::verdict`](crate::KeyUsed::verdict), and a retry policy has to go by that. An error that
//! comes later is passed on, and judged too.
//!
//! Requests to another origin than the pool's pass through without any credential.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, KeyUsed, OpenAi};
//!
//! let pool = KeyPool::builder(OpenAi::default())
//!     .key(ApiKey::new("sk-not-a-real-key").id("a1"))
//!     .build()?;
//! # let client = service_fn(|request: http::Request<Body>| async move {
//! #     assert_eq!(request.headers()["authorization"], "Bearer sk-not-a-real-key");
//! #     Ok::<_, Infallible>(http::Response::new(Body::default()))
//! # });
//! let service = ServiceBuilder::new().layer(KeyRotationLayer::new(&pool)).service(client);
//!
//! let request = http::Request::get("https://api.openai.com/v1/models").body(Body::default())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.extensions().get::<KeyUsed>().unwrap().key.as_str(), "a1");
//! # Ok(())
//! # }
//! ```

mod body;
mod exchange;
mod future;
mod layer;
mod options;
mod request;
mod response;
mod service;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::KeyRotationLayer;
pub use service::KeyRotation;
#[cfg(feature = "balance")]
pub(crate) use {
    exchange::Exchange, options::Options, request::RequestContext, response::turned_away,
};
