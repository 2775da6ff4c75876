//! Limits: an amount of something per time, or at once.
//!
//! A limit is written in code or read from text; both say the same thing:
//!
//! ```
//! use tower_key_rotation::Limit;
//!
//! let a = Limit::tokens(200_000).per_minute().burst(20_000).models("gpt-4o*");
//! let b: Limit = "200000 tokens/min burst 20000".parse::<Limit>()?.models("gpt-4o*");
//! assert_eq!(a, b);
//!
//! assert_eq!("64 concurrent".parse::<Limit>()?, Limit::concurrent(64));
//! assert_eq!("$50/day".parse::<Limit>()?, Limit::dollars(50).per_day());
//! assert_eq!("60 requests/min fixed".parse::<Limit>()?, Limit::requests(60).per_minute().fixed());
//! assert_eq!(
//!     "1500 requests/day America/Los_Angeles".parse::<Limit>()?,
//!     Limit::requests(1500).per_day().in_zone("America/Los_Angeles"),
//! );
//! # Ok::<(), tower_key_rotation::limit::LimitError>(())
//! ```

pub(crate) mod declared;
mod parse;

pub(crate) use declared::Window;
pub use declared::{Amount, Metered};
pub use parse::LimitError;
