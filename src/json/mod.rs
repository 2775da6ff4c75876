//! Reading JSON as it is written, without building a tree of it.
//!
//! The [`Walker`] is the only code that knows where texts and brackets begin and end. It keeps its
//! place between pieces, so a body can be read as it streams by. The rest is made of it: [`Members`] of
//! an object that is there whole, [`end_of_value`], and [`parse_partial`] for a document that breaks
//! off.

mod partial;
mod value;
mod walker;

pub(crate) use self::{
    partial::parse_partial,
    value::{Member, Members, Text, end_of_value},
    walker::{Mark, Walker},
};

#[cfg(test)]
mod tests;
