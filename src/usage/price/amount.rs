//! Prices and their sums, in integers, so that no rounding error adds up.

use crate::money::{DecimalError, NANOS_PER_DOLLAR, decimal};

/// The price of one token, in 10^-18 US dollars; 18 dollars at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Price(u64);

/// Decimal places of a dollar that a price has: finer than any provider's prices, and coarse enough to
/// round away the errors of binary floats in price files (`4.6500000000000005e-07`).
const PLACES: u32 = 18;

impl Price {
    /// Dollars as a JSON number (`3e-06`, `0.000003`), rounded to the 18th decimal place.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        decimal(text, PLACES).map(Self).map_err(|error| match error {
            DecimalError::Negative => "is negative",
            DecimalError::NoNumber => "is not a number",
            DecimalError::TooLarge => "is more than 18 dollars per token",
        })
    }

    pub(super) fn times(self, tokens: u64) -> u128 {
        u128::from(self.0) * u128::from(tokens)
    }
}

/// A sum of prices times tokens in billionths of a dollar, rounded to the nearest, a half up.
pub(super) fn nano_dollars(sum: u128) -> u64 {
    // A price has as many places beyond a billionth as a billionth has.
    let unit = u128::from(NANOS_PER_DOLLAR);
    u64::try_from(sum.saturating_add(unit / 2) / unit).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_refused_with_its_reason() {
        assert_eq!(Price::parse("3e-6"), Ok(Price(3_000_000_000_000)));
        assert_eq!(Price::parse("19"), Err("is more than 18 dollars per token"));
        assert_eq!(Price::parse("null"), Err("is not a number"));
        assert_eq!(Price::parse("-1e-6"), Err("is negative"));
    }

    #[test]
    fn a_sum_is_rounded_once() {
        let tenth = Price::parse("1e-10").unwrap();
        assert_eq!(nano_dollars(tenth.times(4)), 0, "0.4");
        assert_eq!(nano_dollars(tenth.times(5)), 1, "0.5");
        assert_eq!(nano_dollars(tenth.times(1_000_000)), 100_000);
        assert_eq!(nano_dollars(u128::MAX), u64::MAX);
        assert_eq!(nano_dollars(Price(u64::MAX).times(u64::MAX)), u64::MAX);
    }
}
