//! What tokens cost.

mod amount;
mod builtin;
mod charge;
mod prices;
mod rates;
mod table;
#[cfg(test)]
mod tests;

pub use charge::{Charge, Tariff};
pub(crate) use prices::ModelPrices;
pub use prices::Prices;
pub use table::PriceError;
