//! A second, slow and plain implementation of what the engine must do. It shares no code with the
//! engine.
//!
//! The engine rounds to whole nanoseconds where the model computes in fractions. So the model has
//! two views of every count: what is *sure* to fit, and what *may* just fit. The engine must only
//! admit what may fit, and only refuse what is not sure to fit.

mod bucket;
mod changes;
mod meter;
mod standing;
mod verdict;
mod way;
mod windows;
mod world;

pub(super) use meter::{Meter, Told, is_like};
pub(super) use standing::{End, Seen};
pub(super) use verdict::{Accused, Said};
pub(super) use windows::SKEW;
pub(super) use world::{Spot, Want, World};

/// When a demand fits; the later of two says when it fits into both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    /// From this nanosecond on.
    At(u64),
    /// Once something ends or changes.
    OnChange,
    Never,
}

/// How to treat the engine's rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Sure,
    Maybe,
}

/// The message about a broken rule.
pub(super) type Check = Result<(), String>;

/// Fails with a message unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(format!($($message)*));
        }
    };
}
pub(super) use ensure;
