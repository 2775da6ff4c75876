//! API-key rotation as ordinary Tower middleware.

mod account;
mod demand;
mod engine;
mod error;
mod key;
pub mod limit;
mod origin;
pub mod pool;
pub mod provider;
pub mod replay;
#[cfg(feature = "retry")]
pub mod retry;
pub mod rotate;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "retry")]
mod stack;
mod trail;
mod usage;
mod verdict;

pub use account::Account;
pub use demand::{Demand, Estimate};
pub use engine::{AccountState, Event, KeyState, LaneState, MeterState, Snapshot};
pub use error::{BuildError, Exhausted, Reason};
pub use key::{ApiKey, KeyId};
pub use limit::{Limit, LimitError};
pub use pool::{Events, KeyPool, KeyPoolBuilder, Lease};
pub use provider::{Anthropic, Gemini, Generic, OpenAi};
pub use replay::{Replay, ReplayBody, ReplayBodyLayer};
#[cfg(feature = "retry")]
pub use retry::QuotaAwareRetry;
pub use rotate::{KeyRotation, KeyRotationLayer};
#[cfg(feature = "retry")]
pub use stack::RotationStack;
pub use trail::{Attempt, KeyUsed, Trail};
pub use usage::Usage;
pub use verdict::{Scope, Verdict};
