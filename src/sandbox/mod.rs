//! A fake provider that enforces real limits, to test a stack against.
//!
//! A [`Sandbox`] is a tower `Service` that takes the place of the HTTP client. It has accounts with
//! keys, refuses requests that exceed an account's [`Limit`](crate::Limit)s, imitates the API of OpenAI,
//! Anthropic or Gemini, and fails on demand ([`Fault`]). It shares no code with the admission of this
//! crate, so a mistake there shows up here as a 429.
//!
//! ```
//! use http_body_util::{BodyExt, Full};
//! use tower::ServiceExt;
//! use tower_key_rotation::{Limit, sandbox::{Dialect, Fault, Sandbox}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One account with two keys that share its limit of 60 requests per minute.
//! let sandbox = Sandbox::builder(Dialect::OpenAi)
//!     .account("org-a", [Limit::requests(60).per_minute()], ["sk-sandbox-a1", "sk-sandbox-a2"])
//!     .build();
//! let chat = || {
//!     http::Request::post("https://api.openai.com/v1/chat/completions")
//!         .header("authorization", "Bearer sk-sandbox-a1")
//!         .body(Full::from(r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#))
//! };
//!
//! let response = sandbox.clone().oneshot(chat()?).await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["x-sandbox-key"], "org-a-1");
//! let body = response.into_body().collect().await?.to_bytes();
//! assert!(body.starts_with(b"{"));
//!
//! // Inject a fault, and see its effect.
//! sandbox.fail(Fault::revoke("sk-sandbox-a1"));
//! assert_eq!(sandbox.clone().oneshot(chat()?).await?.status(), 401);
//!
//! // The sandbox counts what it sees.
//! let stats = sandbox.stats();
//! assert_eq!(stats.account("org-a").accepted, 1);
//! assert_eq!(stats.key("org-a-1").rejected, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Each response with a known key names it in `x-sandbox-key`: `org-a-1` is the first key of account
//! `org-a`. Secrets never appear in any output. The clock is tokio's, so tests can run on paused time.
//!
//! # How a request is checked
//!
//! 1. **The key.** The request must carry exactly one key, in the place that the dialect demands:
//!    `authorization: Bearer` for OpenAI shapes, `x-api-key` (or Bearer) for Anthropic,
//!    `x-goog-api-key` (or `?key=`) for Gemini. No key, several keys, or an unknown key is rejected.
//! 2. **The faults** that [`Sandbox::fail`] has injected.
//! 3. **The request.** An unknown path or model gets a 404, an unreadable body a 400.
//! 4. **The limits** of the account. A request is charged to all of them, or to none if one has no room.
//!    It costs 1 request. Its input tokens are those of its prompt: the bytes of its text / 4, rounded
//!    up, or as [`SandboxBuilder::count_tokens`] counts. Its output tokens are the maximum that it
//!    names, or the tokens of the [`Script`] if it names none; for Anthropic's messages they are never
//!    more than the tokens of the script. A refused request costs nothing.
//! 5. **The answer**, as the [`Script`] describes it.
//!
//! # Prompt caches
//!
//! Each account has a cache of the prompts that it has sent to a model. Answers report what was read
//! from the cache and written to it, in the fields of the provider. A prompt is in the cache from the
//! start of its answer until it has been unused for five minutes. Prefixes below 1,024 tokens are not
//! kept.
//!
//! - OpenAI and Gemini cache every prompt, here both in steps of 128 tokens, and report what was read.
//! - Anthropic caches the prompt up to each block with `cache_control`, for five minutes or
//!   (`"ttl": "1h"`) an hour. It finds earlier marked prefixes up to 20 blocks before a mark. It reports
//!   tokens read and written beside `input_tokens`. Tokens read cost nothing of a limit on input tokens.
//!
//! Real caches lose entries now and then, and OpenAI's is spread over many machines. These caches lose
//! nothing, so they show the most that a client could gain.
//!
//! # Supported APIs
//!
//! | dialect | paths |
//! | --- | --- |
//! | [`OpenAi`](Dialect::OpenAi) | `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `GET /v1/models` |
//! | [`Anthropic`](Dialect::Anthropic) | `/v1/messages`, and in OpenAI's shape `/v1/chat/completions` |
//! | [`Gemini`](Dialect::Gemini) | `/v1beta/models/{model}:generateContent`, `:streamGenerateContent`, and in OpenAI's shape `/v1beta/openai/chat/completions` |
//!
//! A stream generates each event when its body is polled, in constant memory. (The last event of
//! `/v1/responses` repeats the whole text, as that API does.)

mod body;
mod builder;
mod cache;
mod clock;
mod dialect;
mod directory;
mod error;
mod faults;
mod judge;
mod limits;
mod prompt;
mod refusal;
mod request;
mod route;
mod script;
mod service;
mod state;
mod stats;

pub use body::SandboxBody;
pub use builder::SandboxBuilder;
pub use error::SandboxError;
pub use faults::Fault;
pub use limits::LimitAlgorithm;
pub use route::Dialect;
pub use script::Script;
pub use service::{Sandbox, SandboxFuture};
pub use stats::{Arrival, Counts, Stats};
