//! The accounts and keys of a pool: their declaration, changes, sources and removal.

pub(in crate::pool) mod change;
pub(in crate::pool) mod declared;
pub(in crate::pool) mod diff;
pub(in crate::pool) mod drained;
mod effect;
pub(in crate::pool) mod key_set;
mod saved;
mod watch;
