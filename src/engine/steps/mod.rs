//! The steps of the engine: what it does at each event, one file for each kind of event.
//!
//! A step is a function on [`Engine`](super::Engine) and owns no data. Data and their invariants
//! are in the parts beside this folder.

mod alarm;
mod blame;
mod change;
mod choose;
mod expiry;
mod explain;
mod forecast;
#[cfg(feature = "balance")]
mod gate;
mod judge;
mod kin;
mod learn;
mod places;
mod reserve;
mod serve;
mod setup;
mod shadow;
mod spend;

pub(crate) use blame::Accusation;
pub(crate) use judge::{Judged, Reply};
pub(crate) use learn::Taught;
