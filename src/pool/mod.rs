//! The pool: accounts, keys and the queue of waiting requests, shared by all senders.
//!
//! This is the only module with locks and waiting: one mutex around the engine, held briefly, a waker for
//! each waiting request, and a clock. A pool can be used without Tower. A request takes four steps:
//! `acquire`, `apply`, `observe`, and the drop of the lease:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{Account, ApiKey, Demand, KeyPool, Limit, OpenAi, Verdict};
//!
//! let pool = KeyPool::builder(OpenAi::default())
//!     .account(
//!         Account::new("org-a")
//!             .limit(Limit::requests(500).per_minute())
//!             .key(ApiKey::new("sk-not-a-real-key").id("a1")),
//!     )
//!     .build()?;
//!
//! let mut lease = pool.acquire(&Demand::new().model("gpt-4o")).await?;
//! let mut request = http::Request::post("https://api.openai.com/v1/responses").body(())?;
//! lease.apply(&mut request)?;
//! // Send the request with any client, and report the response to the lease.
//! let response = http::Response::new(());
//! let ruling = lease.observe(response.status(), response.headers(), b"");
//! assert_eq!(ruling.verdict, Verdict::Accepted);
//! drop(lease); // when the body of the answer has ended
//! # Ok(())
//! # }
//! ```

mod acquire;
mod ask;
pub(crate) mod builder;
mod clock;
mod core;
mod credentials;
mod events;
#[cfg(feature = "balance")]
mod gate;
pub(crate) mod key_pool;
pub(crate) mod lease;
mod roster;
mod shared;

pub use crate::{affinity::Affinity, changes::Changes, engine::Saved, error::Reason};
pub use acquire::Acquire;
pub use events::{EventError, Events};
#[cfg(feature = "balance")]
pub(crate) use gate::{KeyGate, News};
pub use lease::apply::ForeignOrigin;
pub use lease::contrast::Advice;
pub use lease::trail::Attempt;
pub use roster::change::Prepared;
pub use roster::drained::Drained;
pub use roster::key_set::{KeyInfo, KeySet};

pub(crate) use ask::Wanted;
#[cfg(feature = "retry")]
pub(crate) use lease::pending::Open;
pub(crate) use lease::trail::{Closed, Refusal};
