//! How much of a limit is spent, in a form that outlives its meter.

use crate::engine::time::Time;

/// How much of a limit is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// A token bucket: its theoretical arrival time.
    Paid(Time),
    /// A window: the units used until it ends.
    Used { amount: u64, ends: Time },
}
