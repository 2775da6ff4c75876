//! A service for each key: for keys of different resources or regions, self-hosted servers, or private
//! gateways.
//!
//! [`KeyRotation`](crate::KeyRotation) has one client for all keys, and sends each request to the endpoint
//! of its key ([`ApiKey::endpoint`](crate::ApiKey::endpoint)). That is enough if one client reaches all
//! endpoints. [`KeyBalance`] has a service for each key, which you make: with its own client, connection
//! or concurrency limit.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{
//!     ApiKey, AzureOpenAi, KeyBalance, KeyPool, KeyUsed, QuotaAwareRetry, pool::KeyInfo,
//! };
//!
//! let pool = KeyPool::builder(AzureOpenAi::new("https://us.openai.azure.com"))
//!     .key(ApiKey::new("not-a-real-key").id("us"))
//!     .key(ApiKey::new("nor-this").id("eu").endpoint("https://eu.openai.azure.com"))
//!     .build()?;
//! # let client_for = |_: &KeyInfo| service_fn(|request: http::Request<Body>| async move {
//! #     assert_eq!(request.uri().path(), "/openai/v1/models");
//! #     Ok::<_, Infallible>(http::Response::new(Body::default()))
//! # });
//! let service = ServiceBuilder::new()
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .service(KeyBalance::new(&pool, move |key: &KeyInfo| client_for(key)));
//!
//! // The request goes to the endpoint of its key, whatever host it names.
//! let request = http::Request::get("/openai/v1/models").body(Body::default())?;
//! let response = service.oneshot(request).await?;
//! println!("served by {}", response.extensions().get::<KeyUsed>().unwrap().key);
//! # Ok(())
//! # }
//! ```
//!
//! It takes the place of [`KeyRotation`](crate::KeyRotation) and the client, below
//! [`QuotaAwareRetry`](crate::QuotaAwareRetry) and [`ReplayBodyLayer`](crate::ReplayBodyLayer). One pool
//! can serve both at once, because limits, cooldowns and the queue belong to the pool.
//!
//! # Why not tower's `Balance`
//!
//! `tower::balance::p2c` takes the less loaded of two endpoints, as the pool does, but it chooses before
//! it has a request. So it cannot leave out the key that has just refused the request, and does not know
//! the model, the tokens, the deadline or the priority. If no endpoint is ready, it waits without end.
//! [`KeyBalance`] asks the pool when it has the request, and tries another endpoint if the service of the
//! first is not ready.
//!
//! If you use a `Balance` already, [`KeyEndpoints`] is a `Discover` for it, and each [`KeyEndpoint`] has a
//! `Load`. Limits are kept, and a key that refuses becomes unready before the retry comes:
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use tower::{ServiceBuilder, ServiceExt, balance::p2c::Balance, service_fn};
//! # use tower_key_rotation::{
//! #     ApiKey, KeyPool, OpenAi, QuotaAwareRetry, balance::KeyEndpoints, pool::KeyInfo,
//! # };
//! # type Body = Full<bytes::Bytes>;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pool = KeyPool::builder(OpenAi::default())
//! #     .key(ApiKey::new("not-a-real-key").endpoint("https://eu.example.com/openai"))
//! #     .build()?;
//! # let client_for = |_: &KeyInfo| service_fn(|request: http::Request<Body>| async move {
//! #     assert_eq!(request.uri(), "https://eu.example.com/openai/v1/models");
//! #     Ok::<_, Infallible>(http::Response::new(Body::default()))
//! # });
//! let endpoints = KeyEndpoints::new(&pool, move |key: &KeyInfo| client_for(key));
//! let service = ServiceBuilder::new()
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .buffer(64) // to be cloned
//!     .service(Balance::new(endpoints));
//! # let request = http::Request::get("/v1/models").body(Body::default())?;
//! # assert_eq!(service.oneshot(request).await.map_err(|e| e.to_string())?.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! [`KeyBalance`]: crate::KeyBalance

mod endpoint;
mod endpoints;
mod future;
pub(crate) mod service;
mod services;

pub use endpoint::{KeyEndpoint, QuotaLoad};
pub use endpoints::KeyEndpoints;
pub use future::BalanceFuture;
