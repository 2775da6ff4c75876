//! API-key rotation as ordinary Tower middleware.
//!
//! A provider limits each account (an organisation, a project or a workspace) to so many requests and
//! tokens per minute. This crate keeps those limits around any client that is a tower `Service` of `http`
//! requests, for one key or for many:
//!
//! - **Admission.** A request is admitted when an account has room in all its limits. All of them are
//!   reserved together, before anything is sent. Otherwise the request waits in line until its deadline.
//! - **Failover.** A refusal ([`Verdict`]) takes only what it is about out of use: the key, the account,
//!   the model or the provider. The request itself goes to another key.
//! - **Truthful errors.** When no account has room in time, the answer is a 429 or 503 in the provider's
//!   own error shape, with a true `Retry-After`. It is never an error of the service.
//!
//! The [guides](docs) explain each topic on a page of its own; [getting started](docs::guide) is the first.
//!
//! # A stack
//!
//! ```
//! # use bytes::Bytes;
//! # use http_body_util::Full;
//! # use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! # use tower::{Service, ServiceBuilder};
//! # use tower_key_rotation::{
//! #     Account, ApiKey, KeyPool, KeyRotationLayer, Limit, OpenAi, QuotaAwareRetry, ReplayBody,
//! #     ReplayBodyLayer,
//! # };
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (secret_a, secret_b) = ("sk-not-a-real-key", "sk-nor-this");
//! # let hyper_util_client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody>();
//! let pool = KeyPool::builder(OpenAi::default())
//!     .account(Account::new("org-a").limit(Limit::requests(500).per_minute()).key(ApiKey::new(secret_a).id("a1")))
//!     .account(Account::new("org-b").limit(Limit::requests(500).per_minute()).key(ApiKey::new(secret_b).id("b1")))
//!     .build()?;
//! let client = ServiceBuilder::new()
//!     .layer(ReplayBodyLayer::new())
//!     .retry(QuotaAwareRetry::new(&pool))
//!     .layer(KeyRotationLayer::new(&pool))
//!     .service(hyper_util_client);
//! # fn is_client<S: Service<http::Request<Full<Bytes>>> + Clone + Send + Sync>(_: S) {}
//! # is_client(client);
//! # Ok(())
//! # }
//! ```
//!
//! The same in one line, with [`RotationStack`]:
//!
//! ```
//! # use bytes::Bytes;
//! # use http_body_util::Full;
//! # use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! # use tower::{Service, ServiceBuilder};
//! # use tower_key_rotation::{ApiKey, KeyPool, OpenAi, ReplayBody, RotationStack};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("sk-not-a-real-key")).build()?;
//! # let hyper_util_client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody>();
//! let client = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(hyper_util_client);
//! # fn is_client<S: Service<http::Request<Full<Bytes>>> + Clone + Send + Sync>(_: S) {}
//! # is_client(client);
//! # Ok(())
//! # }
//! ```
//!
//! # The order of layers
//!
//! Each layer sees what the ones inside it do, so the order matters:
//!
//! ```text
//!                     requests
//!                        |
//!                        v
//! +--------------- trace, timeout ---------------+   yours, if wanted
//! | +------------ ReplayBodyLayer -------------+ |   keeps the body, to send it again
//! | | +---------- QuotaAwareRetry -----------+ | |   the only retry loop
//! | | | +------- KeyRotationLayer ---------+ | | |   admission, key, verdict
//! | | | |                                  | | | |
//! | | | |           your client            | | | |   hyper-util, or any Service
//! | | | |                                  | | | |
//! | | | +------- KeyRotationLayer ---------+ | | |   the lease ends with the body
//! | | +---------- QuotaAwareRetry -----------+ | |
//! | +------------ ReplayBodyLayer -------------+ |
//! +--------------- trace, timeout ---------------+
//!                        |
//!                        v
//!                    responses
//! ```
//!
//! - [`ReplayBodyLayer`] is outside the retry loop. It buffers a body once, so that the body can be sent
//!   again and can be read for its model and tokens.
//! - [`QuotaAwareRetry`] is outside [`KeyRotation`], so that each attempt gets a new key. No other layer,
//!   and no client inside, may retry as well.
//! - [`KeyRotation`] is the innermost. Nothing between it and the client may follow redirects or add
//!   credentials. It never sends a key to an origin other than the pool's.
//! - [`KeyBalance`] replaces [`KeyRotation`] and the client where keys have servers and clients of their
//!   own: see [`balance`].
//! - A timeout goes outside. [`KeyPoolBuilder::max_wait`] already bounds the wait in line.
//! - Do not add `tower::load_shed` or `tower::buffer`: the pool has its own bounded line.
//!
//! # What the caller sees
//!
//! A response is passed on as the provider sent it, without credentials in its headers. The head of a
//! stream is held back until its first content, so that after an earlier error the request goes to another
//! key and the caller does not notice ([`KeyRotationLayer::hold_back_timeout`]). The response's extensions
//! report what happened:
//!
//! ```
//! # use tower::{ServiceBuilder, ServiceExt};
//! # use tower_key_rotation::{
//! #     ApiKey, Exhausted, KeyPool, KeyUsed, OpenAi, RotationStack, Trail,
//! #     sandbox::{Dialect, Fault, Sandbox},
//! # };
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pool = KeyPool::builder(OpenAi::default())
//! #     .key(ApiKey::new("sk-sandbox-a1").id("a1"))
//! #     .key(ApiKey::new("sk-sandbox-b1").id("b1"))
//! #     .build()?;
//! # let sandbox = Sandbox::builder(Dialect::OpenAi)
//! #     .account("org-a", [], ["sk-sandbox-a1"])
//! #     .account("org-b", [], ["sk-sandbox-b1"])
//! #     .build();
//! # sandbox.fail(Fault::refuse_connections(1));
//! # let client = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(sandbox);
//! # let body = String::from(r#"{"model": "gpt-4o", "messages": []}"#);
//! # let request = http::Request::post("https://api.openai.com/v1/chat/completions").body(body)?;
//! let response = client.oneshot(request).await?;
//! if let Some(used) = response.extensions().get::<KeyUsed>() {
//!     println!("key {} of account {}, {:?} in line", used.key, used.account, used.waited);
//! }
//! if let Some(trail) = response.extensions().get::<Trail>() {
//!     println!("after {} attempts", trail.attempts().len());
//! }
//! if let Some(exhausted) = response.extensions().get::<Exhausted>() {
//!     println!("{exhausted}"); // every account is at its limits; try again in 7 s
//! }
//! # assert!(response.extensions().get::<KeyUsed>().is_some());
//! # assert_eq!(response.extensions().get::<Trail>().unwrap().attempts().len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! The pool reads from each answer how many tokens it used, and reports them to a sink: see [`usage`].
//!
//! # Testing your own stack
//!
//! The [`sandbox`] is a fake provider that enforces real limits and fails on demand. It takes the place of
//! the client:
//!
//! ```
//! # use tower::{ServiceBuilder, ServiceExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{ApiKey, KeyPool, Limit, OpenAi, RotationStack};
//! use tower_key_rotation::sandbox::{Dialect, Fault, Sandbox};
//!
//! let sandbox = Sandbox::builder(Dialect::OpenAi)
//!     .account("org-a", [Limit::requests(60).per_minute()], ["sk-sandbox-a1", "sk-sandbox-a2"])
//!     .build();
//! let pool = KeyPool::builder(OpenAi::default())
//!     .key(ApiKey::new("sk-sandbox-a1"))
//!     .key(ApiKey::new("sk-sandbox-a2"))
//!     .build()?;
//! let client = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(sandbox.clone());
//!
//! sandbox.fail(Fault::revoke("sk-sandbox-a1"));
//! for _ in 0..4 {
//!     let body = String::from(r#"{"model": "gpt-4o", "messages": []}"#);
//!     let request = http::Request::post("https://api.openai.com/v1/chat/completions").body(body)?;
//!     assert_eq!(client.clone().oneshot(request).await?.status(), 200);
//! }
//! assert_eq!(sandbox.stats().total().rate_limited, 0);
//! # Ok(())
//! # }
//! ```
//!
//! A pool can also be used without Tower: see [`pool`].
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `retry` | yes | [`QuotaAwareRetry`], [`RotationStack`], and tower as a dependency |
//! | `balance` | yes | [`KeyBalance`] and the rest of [`balance`], and tower as a dependency |
//! | `compression` | yes | reads refusals, streams and usage that are packed by gzip, deflate or brotli |
//! | `tzdb` | yes | the time zone database, for limits per day such as `America/Los_Angeles` |
//! | `sandbox` | no | [`sandbox`] |
//! | `full` | no | all of them |
//!
//! A feature only adds; none changes what is there without it.
//!
//! Without `compression`, a packed body is passed on unread: a refusal is judged by its status and
//! headers alone, an error or the usage in a packed answer is not seen, and a key that a packed refusal
//! repeats is not overwritten. Leave the feature out only if your client asks for no encoding
//! (`accept-encoding: identity`).
//!
//! Without `tzdb`, time zones are those of the system. A pool with a zone that the system does not know
//! is not built; minimal containers know none.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod affinity;
#[cfg(feature = "balance")]
pub mod balance;
mod changes;
mod demand;
pub mod docs;
mod endpoint;
mod engine;
mod error;
pub mod event;
mod json;
mod key;
pub mod limit;
mod macros;
mod money;
pub mod pool;
pub mod provider;
pub mod replay;
#[cfg(feature = "retry")]
pub mod retry;
pub mod rotate;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod snapshot;
pub mod source;
#[cfg(feature = "retry")]
mod stack;
pub mod strategy;
mod stream;
pub mod usage;
pub mod verdict;

pub use account::Account;
#[cfg(feature = "balance")]
pub use balance::service::KeyBalance;
pub use demand::Demand;
pub use error::{BuildError, Exhausted};
pub use key::{ApiKey, KeyId};
pub use limit::declared::Limit;
pub use pool::{
    builder::KeyPoolBuilder,
    key_pool::KeyPool,
    lease::{
        Lease,
        trail::{KeyUsed, Trail},
    },
};
pub use provider::dialects::{
    anthropic::Anthropic, azure::AzureOpenAi, gemini::Gemini, openai::OpenAi,
};
pub use replay::{body::ReplayBody, layer::ReplayBodyLayer};
#[cfg(feature = "retry")]
pub use retry::policy::QuotaAwareRetry;
pub use rotate::{layer::KeyRotationLayer, service::KeyRotation};
#[cfg(feature = "retry")]
pub use stack::RotationStack;
pub use verdict::kinds::Verdict;
