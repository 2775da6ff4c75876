//! The roster: accounts and keys, and how they are found.

pub(crate) mod accepted;
pub(crate) mod account;
pub(crate) mod expiry;
pub(crate) mod names;
pub(crate) mod operations;
