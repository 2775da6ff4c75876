//! What a refusal is held against: what others were told, what was accepted meanwhile, and how many
//! second opinions may still be asked.

pub(crate) mod alike;
pub(crate) mod at_fault;
pub(crate) mod opinions;
pub(crate) mod refusal;
pub(crate) mod serving;
