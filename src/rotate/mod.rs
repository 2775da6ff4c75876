//! The middleware that puts a key on each request.
//!
//! [`KeyRotation`] reads what a request asks for, takes a lease on a key from the pool or waits in the queue
//! for one, puts the key into the request, and calls the inner service. The pool learns from the response
//! before the caller sees it.
//!
//! The caller gets the response byte for byte as the provider sent it, with three exceptions: credentials
//! are removed from its headers, a key that a provider repeats in a refusal is overwritten with asterisks,
//! and usage that only [`ask_usage`](crate::KeyRotationLayer::ask_usage) asked for is left out of streams.
//! [`KeyUsed`](crate::KeyUsed) in its extensions says which key was used.
//!
//! If no key is free in time, the response is a 429 or 503 in the provider's own error shape, with a correct
//! `retry-after`, and [`Exhausted`](crate::Exhausted) in its extensions. It is never an error of the service.
//!
//! A stream does not count as accepted when its head comes. The head is held back until the first content,
//! within the bounds of [`hold_back_timeout`](crate::KeyRotationLayer::hold_back_timeout). A stream that
//! begins with an error is a refusal like any other, although its response keeps the status 200. So a retry
//! policy must use [`KeyUsed::verdict`](crate::KeyUsed::verdict), and not by the status. A later error is
//! passed on, and is judged too.
//!
//! A request to another origin than the pool's is passed on without any credential.
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
//!
//! [`KeyRotation`]: crate::KeyRotation

mod body;
mod exchange;
mod future;
pub(crate) mod layer;
mod options;
mod request;
mod response;
pub(crate) mod service;

pub use body::ResponseBody;
pub use future::ResponseFuture;
#[cfg(feature = "balance")]
pub(crate) use {
    exchange::Exchange,
    options::{Options, define_option_setters},
    request::RequestContext,
    response::turned_away,
};
