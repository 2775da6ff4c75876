//! When a demand fits.

use crate::engine::time::Time;

/// When a demand fits. The maximum of several says when it fits into all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// From this moment on; it may be in the past.
    At(Time),
    /// When something ends or changes; that time is unknown.
    OnChange,
    /// Never: the demand is larger than the limit.
    Never,
}
