//! Shadow mode: what would have been held back.

use crate::engine::time::Time;

/// What would have been held back since the pool was built.
#[derive(Debug, Default)]
pub(in crate::engine) struct Shadow {
    pub(in crate::engine) held_back: u64,
    /// When that was last told, and how many there were then.
    pub(in crate::engine) told: Option<(Time, u64)>,
}
