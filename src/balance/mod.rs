//! Keys with servers of their own.

mod endpoint;
mod endpoints;
mod future;
mod service;

pub use endpoint::{KeyEndpoint, QuotaLoad};
pub use endpoints::KeyEndpoints;
pub use future::BalanceFuture;
pub use service::KeyBalance;
