//! API-key rotation as ordinary Tower middleware.

mod account;
mod demand;
mod error;
mod key;
pub mod limit;
pub mod provider;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod verdict;

pub use account::Account;
pub use demand::{Demand, Estimate};
pub use error::{BuildError, Exhausted, Reason};
pub use key::{ApiKey, KeyId};
pub use limit::{Limit, LimitError};
pub use verdict::{Scope, Verdict};
