//! When a demand fits.

use crate::engine::time::Time;

/// When a demand fits. The largest of several says when it fits into all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// From this moment on, which may have passed.
    At(Time),
    /// Not before something ends or changes; no clock tells when.
    OnChange,
    /// Never: it is larger than the limit.
    Never,
}
