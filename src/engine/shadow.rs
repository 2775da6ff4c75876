//! Dry run: counts what would have been held back.

use crate::engine::time::Time;

/// What would have been held back since the pool was built.
#[derive(Debug, Default)]
pub(in crate::engine) struct Shadow {
    pub(in crate::engine) held_back: u64,
    /// The time of the last event about it, and the count then.
    pub(in crate::engine) announced: Option<(Time, u64)>,
}
