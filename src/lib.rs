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
pub mod rotate;
mod trail;
mod verdict;

pub use account::Account;
pub use demand::{Demand, Estimate};
pub use engine::{AccountState, Event, KeyState, LaneState, MeterState, Snapshot};
pub use error::{BuildError, Exhausted, Reason};
pub use key::{ApiKey, KeyId};
pub use limit::{Limit, LimitError};
pub use pool::{Events, KeyPool, KeyPoolBuilder, Lease};
pub use replay::{Replay, ReplayBody, ReplayBodyLayer};
pub use rotate::{KeyRotation, KeyRotationLayer};
pub use trail::{Attempt, KeyUsed, Trail};
pub use verdict::{Scope, Verdict};
