//! Keys with servers of their own: what goes wrong with naive parts, and does not with these.
#![cfg(all(feature = "balance", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod gate;
mod naive;
mod random;
mod rotation;
mod servers;
mod service;
