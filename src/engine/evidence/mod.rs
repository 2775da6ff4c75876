//! The evidence that a refusal is weighed against: what other accounts answered, what was accepted
//! since, and how many second opinions may still be asked for.

pub(crate) mod alike;
pub(crate) mod at_fault;
pub(crate) mod opinions;
pub(crate) mod refusal;
pub(crate) mod serving;
