//! What requests really use: tokens by kind, read from answers as they pass through, and their cost.
//!
//! Providers count the same tokens twice, each in its own way: cached tokens are part of the prompt at one
//! provider and separate from it at another, and the same holds for reasoning and the answer. [`Usage`]
//! counts each token in exactly one kind. So its kinds add up, and each kind has one price.
//!
//! [`KeyRotation`](crate::KeyRotation) reads the usage from each answer of a dialect that reports it,
//! streamed or not, without holding anything back, and settles the request's lease with it. To receive
//! each usage with its cost, give the pool a [`UsageSink`], such as a [`Ledger`]. The cost comes from
//! [`Prices`]. Without Tower, a [`UsageReader`] reads the usage:
//!
//! ```
//! use tower_key_rotation::{OpenAi, provider::Provider, usage::UsageReader};
//!
//! let mut reader = UsageReader::new(OpenAi::default().spec().usage);
//! // The answer may be cut into pieces anywhere.
//! for piece in ["data: {\"choices\":[],\"usa", "ge\":{\"prompt_tokens\":9,\"completion_tokens\":7,",
//!     "\"total_tokens\":16,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"] {
//!     reader.feed(piece.as_bytes());
//! }
//! let usage = reader.usage().unwrap();
//! assert_eq!((usage.input, usage.cache_read, usage.output), (5, 4, 7));
//! assert_eq!(usage.total(), 16);
//! ```

mod ledger;
mod object;
mod output_estimate;
mod price;
mod reader;
mod reported;
mod shape;
mod sink;
#[cfg(test)]
mod tests;
mod tokens;

pub use ledger::{
    Dimension, Dimensions, Interval, Ledger, Query, Report, ReportRow, Totals, UsageRow,
};
pub(crate) use output_estimate::OutputEstimate;
pub(crate) use price::ModelPrices;
pub use price::{Charge, PriceError, Prices, Tariff};
pub use reader::UsageReader;
pub use shape::{Cost, UsageHeaders, UsageShape};
pub use sink::{UsageRecord, UsageSink};
pub use tokens::Usage;
