//! A fake provider that enforces real limits, to test a stack against.
//!
//! A [`Sandbox`] is a tower `Service` that stands where the HTTP client would. It knows accounts and
//! their secrets, refuses what is over an account's [`Limit`](crate::Limit)s, speaks the dialect of
//! OpenAI, Anthropic or Gemini, and fails on demand ([`Fault`]). It shares no code with this crate's
//! own admission, so a mistake there shows up here as a 429.
//!
//! ```
//! use http_body_util::{BodyExt, Full};
//! use tower::ServiceExt;
//! use tower_key_rotation::{Limit, sandbox::{Dialect, Fault, Sandbox}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
//! sandbox.fail(Fault::revoke("sk-sandbox-a1"));
//! assert_eq!(sandbox.clone().oneshot(chat()?).await?.status(), 401);
//!
//! let seen = sandbox.seen();
//! assert_eq!(seen.account("org-a").accepted, 1);
//! assert_eq!(seen.key("org-a-1").rejected, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # How a request is judged
//!
//! 1. **The key.** It must come alone, and in the way of the dialect: `authorization: Bearer` for
//!    OpenAI shapes, `x-api-key` (or Bearer) for Anthropic, `x-goog-api-key` (or `?key=`) for Gemini.
//!    None, several at once, or an unknown one is rejected.
//! 2. **The faults** that [`Sandbox::fail`] has set.
//! 3. **The request.** An unknown path or model is a 404, an unreadable body a 400.
//! 4. **The limits** of the account, all of them or none. A request costs 1 request, its prompt (the
//!    bytes of its text / 4, rounded up, or as [`SandboxBuilder::count`] counts) in input tokens, and in
//!    output tokens the maximum it names, or else what the [`Script`] says; for Anthropic's messages never
//!    more than that. A refused request costs nothing.
//! 5. **The answer**, as the [`Script`] says.
//!
//! # Prompt caches
//!
//! Each account has a cache of the prompts that it has sent for a model, and answers tell what was
//! read from it and written to it, as the provider does. A prompt is there from the beginning of its
//! answer until it was not used for five minutes; beginnings below 1,024 tokens are not kept.
//!
//! - OpenAI and Gemini cache every prompt, here both in steps of 128 tokens, and tell what was read.
//! - Anthropic caches up to each block with `cache_control`, for five minutes or (`"ttl": "1h"`) an hour.
//!   What was marked earlier is found up to 20 blocks before a mark. It tells what was read and written
//!   beside `input_tokens`, and what was read costs nothing of a limit on input tokens.
//!
//! Real caches lose things now and then, and OpenAI's is many machines; these do not forget, so they
//! show what a client could gain at most.
//!
//! Every response says in `x-sandbox-key` which key it was asked with (`org-a-1` is the first key of
//! account `org-a`); secrets are never shown. Time is tokio's, so tests can run on a paused clock.
//!
//! # What it answers
//!
//! | dialect | paths |
//! | --- | --- |
//! | [`OpenAi`](Dialect::OpenAi) | `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `GET /v1/models` |
//! | [`Anthropic`](Dialect::Anthropic) | `/v1/messages`, and in OpenAI's shape `/v1/chat/completions` |
//! | [`Gemini`](Dialect::Gemini) | `/v1beta/models/{model}:generateContent`, `:streamGenerateContent`, and in OpenAI's shape `/v1beta/openai/chat/completions` |
//!
//! Streams are made event by event as their body is polled, in constant memory. (The last event of
//! `/v1/responses` repeats the whole text, as that API does.)

mod body;
mod books;
mod builder;
mod cache;
mod clock;
mod dialect;
mod faults;
mod judge;
mod limits;
mod prompt;
mod refusal;
mod request;
mod script;
mod service;
mod state;

use std::{fmt, sync::Arc};

pub use body::SandboxBody;
pub use books::{Arrival, Books, Tally};
pub use builder::{SandboxBuilder, Window};
pub use dialect::Dialect;
pub use faults::Fault;
pub use script::Script;
pub use service::SandboxFuture;

/// A fake provider. Clones share everything.
///
/// See the [module](self) for what it does.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<state::Shared>,
}

impl Sandbox {
    /// A sandbox to be furnished with accounts.
    pub fn builder(dialect: Dialect) -> SandboxBuilder {
        SandboxBuilder::new(dialect)
    }

    /// Makes something go wrong from now on. Faults add up.
    ///
    /// Returns whether the sandbox has the account or secret that the fault names; without it
    /// nothing changes.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn fail(&self, fault: Fault) -> bool {
        let now = self.shared.clock.elapsed();
        self.shared.state().faults.add(fault, &self.shared.directory, now)
    }

    /// What has happened so far.
    #[must_use]
    pub fn seen(&self) -> Books {
        self.shared.state().ledger.books(&self.shared.directory)
    }

    /// The requests with a key of this account in the order of their arrival; the first 100,000.
    #[must_use]
    pub fn arrivals(&self, account: &str) -> Vec<Arrival> {
        let account = self.shared.directory.account(account);
        account.map(|account| self.shared.state().ledger.arrivals(account)).unwrap_or_default()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("dialect", &self.shared.dialect)
            .field("directory", &self.shared.directory)
            .finish_non_exhaustive()
    }
}

/// What is not an answer but its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SandboxError {
    /// The connection was refused ([`Fault::refuse_connections`]).
    ConnectionRefused,
    /// The body of the request could not be read to its end.
    RequestBody,
    /// The stream broke off ([`Fault::cut_streams`]). An error of the body, not of the call.
    StreamCut,
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionRefused => "connection refused",
            Self::RequestBody => "the body of the request broke off",
            Self::StreamCut => "connection reset in the middle of the stream",
        })
    }
}

impl std::error::Error for SandboxError {}
