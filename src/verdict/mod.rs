//! What a response says ([`Verdict`](crate::Verdict)), about which place, and how well that is proven.

pub(crate) mod kinds;
mod place;

pub use place::{Blame, Place, Scope};
