//! Keys with servers of their own: resources and regions, self-hosted servers, private gateways.
//!
//! [`KeyRotation`](crate::KeyRotation) has one client for all keys, and leads each request to the
//! endpoint of its key ([`ApiKey::endpoint`](crate::ApiKey::endpoint)). That is enough where one client
//! reaches all endpoints. [`KeyBalance`] has a service for each key, made by you: with a client, a
//! connection or a bound on concurrency of its own.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{
//!     ApiKey, AzureOpenAi, KeyBalance, KeyEndpointInfo, KeyPool, KeyUsed, QuotaAwareRetry,
//! };
//!
//! let pool = KeyPool::builder(AzureOpenAi::new("https://us.openai.azure.com"))
//!     .key(ApiKey::new("not-a-real-key").id("us"))
//!     .key(ApiKey::new("nor-this").id("eu").endpoint("https://eu.openai.azure.com"))
//!     .build()?;
//! # let client_for = |_: &KeyEndpointInfo| service_fn(|request: http::Request<Body>| async move {
//! #     assert_eq!(request.uri().path(), "/openai/v1/models");
//! #     Ok::<_, Infallible>(http::Response::new(Body::default()))
//! # });
//! let service = ServiceBuilder::new()
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .service(KeyBalance::new(&pool, move |key: &KeyEndpointInfo| client_for(key)));
//!
//! // Whatever host a request names: it is led to the endpoint of the key that it gets.
//! let request = http::Request::get("/openai/v1/models").body(Body::default())?;
//! let response = service.oneshot(request).await?;
//! println!("served by {}", response.extensions().get::<KeyUsed>().unwrap().key);
//! # Ok(())
//! # }
//! ```
//!
//! It stands where [`KeyRotation`](crate::KeyRotation) and the client would stand, below
//! [`QuotaAwareRetry`](crate::QuotaAwareRetry) and [`ReplayBodyLayer`](crate::ReplayBodyLayer). Both
//! can be used on one pool at once: limits, cooldowns and the line are the pool's.
//!
//! # Why not tower's `Balance`
//!
//! `tower::balance::p2c` takes the less loaded of two, and so does the pool; but it picks before there is
//! a request. It cannot leave out the key that has just refused one, nor know its model, its tokens,
//! its deadline or its place in the line, and where nothing is ready it waits for ever. So
//! [`KeyBalance`] asks the pool once it has the request, and looks for another endpoint where the
//! service of that one is not ready.
//!
//! For those who have a `Balance` already, [`KeyEndpoints`] is a `Discover` and each [`KeyEndpoint`] has
//! a `Load`. It keeps the limits, and a key that refuses shuts its gate before the retry comes:
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, balance::p2c::Balance, service_fn};
//! # use tower_key_rotation::{ApiKey, KeyEndpointInfo, KeyEndpoints, KeyPool, OpenAi, QuotaAwareRetry};
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pool = KeyPool::builder(OpenAi::default())
//! #     .key(ApiKey::new("not-a-real-key").endpoint("https://eu.example.com/openai"))
//! #     .build()?;
//! # let client_for = |_: &KeyEndpointInfo| service_fn(|request: http::Request<Body>| async move {
//! #     assert_eq!(request.uri(), "https://eu.example.com/openai/v1/models");
//! #     Ok::<_, Infallible>(http::Response::new(Body::default()))
//! # });
//! let endpoints = KeyEndpoints::new(&pool, move |key: &KeyEndpointInfo| client_for(key));
//! let service = ServiceBuilder::new()
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .buffer(64) // to be cloned
//!     .service(Balance::new(endpoints));
//! # let request = http::Request::get("/v1/models").body(Body::default())?;
//! # assert_eq!(service.oneshot(request).await.map_err(|e| e.to_string())?.status(), 200);
//! # Ok(())
//! # }
//! ```

mod endpoint;
mod endpoints;
mod future;
mod service;

pub use endpoint::{KeyEndpoint, QuotaLoad};
pub use endpoints::KeyEndpoints;
pub use future::BalanceFuture;
pub use service::KeyBalance;
