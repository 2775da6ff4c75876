//! The accounts and keys of a pool: declared, changed, followed, and gone.

pub(in crate::pool) mod change;
pub(in crate::pool) mod declared;
pub(in crate::pool) mod diff;
pub(in crate::pool) mod drained;
mod effect;
pub(in crate::pool) mod key_set;
mod saved;
mod watch;
