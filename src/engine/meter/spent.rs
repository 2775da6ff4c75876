//! How much of a limit is spent, in a form that outlives its meter.

use crate::engine::time::Time;

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// All that comes back until this moment.
    Paid(Time),
    /// So much until the window ends.
    Used { amount: u64, ends: Time },
}
