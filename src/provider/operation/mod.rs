//! What a request does, as its method and path say.

mod kind;
mod read;
mod segments;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use self::kind::{Billing, OPERATIONS};
pub use self::{
    kind::{Access, Kind, Operation},
    read::Operations,
};
