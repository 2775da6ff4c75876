//! Faults: failures that a test injects.

mod active;
mod fault;

pub(super) use active::{ActiveFaults, RequestFacts};
pub use fault::Fault;
pub(super) use fault::StreamFault;
