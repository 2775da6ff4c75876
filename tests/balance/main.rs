//! A service for each key: how it behaves, and which failures of simpler balancers it avoids.
#![cfg(all(feature = "balance", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod gate;
mod naive;
mod random;
mod rotation;
mod servers;
mod service;
