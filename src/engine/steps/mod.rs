//! The steps of the engine: what it does at each event that can happen.
//!
//! A step is a function on [`Engine`](super::Engine) and owns no data; data and its invariants are in
//! the parts beside this folder.

mod alarm;
mod blame;
mod choose;
mod explain;
mod forecast;
mod gate;
mod judge;
mod places;
mod reserve;
mod serve;

pub(crate) use blame::Accusation;
pub(in crate::engine) use choose::Passing;
pub(crate) use judge::{Judged, Told};
