//! API-key rotation as ordinary Tower middleware.

mod account;
mod demand;
mod error;
mod key;
pub mod limit;
pub mod provider;
mod verdict;

pub use account::Account;
pub use demand::{Demand, Estimate};
pub use error::{BuildError, Exhausted, Reason};
pub use key::{ApiKey, KeyId};
pub use limit::{Limit, LimitError};
pub use provider::{Anthropic, Gemini, Generic, OpenAi};
pub use verdict::{Scope, Verdict};
