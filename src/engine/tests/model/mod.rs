//! What the engine must do, said a second time: slow, plain, and sharing no code with it.
//!
//! The engine rounds to whole nanoseconds where the model computes in fractions, so the model has
//! two views of every count: what is *sure* to fit, and what *may* just fit. An admission must be one
//! that may fit; a refusal must be of something that is not sure to.

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
    /// Once something ends.
    OnChange,
    Never,
}

/// How the engine's rounding is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Sure,
    Maybe,
}

/// What a rule was broken by.
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
