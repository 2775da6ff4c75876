//! Prices and their sums, in integers, so that no rounding error adds up.

/// The price of one token, in 10^-18 US dollars; 18 dollars at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Price(u64);

/// Decimal places of a dollar that a price has: finer than any provider's prices, and coarse enough to
/// round away the errors of binary floats in price files (`4.6500000000000005e-07`).
const PLACES: i64 = 18;
/// How many units of a price are a billionth of a dollar.
const TO_NANO: u128 = 1_000_000_000;

impl Price {
    /// Parses a JSON number (`3e-06`, `0.000003`) digit by digit, rounded to the 18th decimal place.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('-') {
            return Err("is negative");
        }
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().map_err(|_| "is not a number")?),
            None => (text, 0_i64),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !all.clone().all(|byte| byte.is_ascii_digit()) {
            return Err("is not a number");
        }
        // How many of the digits are kept; the others are below the last decimal place.
        let kept = (whole.len() as i64).saturating_add(exponent).saturating_add(PLACES);
        let mut amount: u64 = 0;
        let mut all = all.skip_while(|byte| *byte == b'0').peekable();
        let zeros = (whole.len() + fraction.len()) as i64 - all.clone().count() as i64;
        if all.peek().is_none() {
            return Ok(Self(0));
        }
        let kept = kept - zeros;
        for _ in 0..kept.clamp(0, 64) {
            let digit = u64::from(all.next().map_or(0, |byte| byte - b'0'));
            let more = amount.checked_mul(10).and_then(|amount| amount.checked_add(digit));
            amount = more.ok_or("is more than 18 dollars per token")?;
        }
        if kept >= 0 && all.next().is_some_and(|byte| byte >= b'5') {
            amount = amount.saturating_add(1);
        }
        Ok(Self(amount))
    }

    pub(super) fn times(self, tokens: u64) -> u128 {
        u128::from(self.0) * u128::from(tokens)
    }
}

/// A sum of prices times tokens in billionths of a dollar, rounded to the nearest, a half up.
pub(super) fn nano_dollars(sum: u128) -> u64 {
    u64::try_from(sum.saturating_add(TO_NANO / 2) / TO_NANO).unwrap_or(u64::MAX)
}

/// Billionths of a dollar as dollars, with all nine decimal places: `0.000036000`.
pub(crate) fn dollars(nano_dollars: u64) -> String {
    format!("{}.{:09}", nano_dollars / 1_000_000_000, nano_dollars % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_parsed_exactly() {
        for (text, amount) in [
            ("0", 0),
            ("0.0", 0),
            ("0e99", 0),
            ("1.25e-06", 1_250_000_000_000),
            ("0.00000125", 1_250_000_000_000),
            ("125E-8", 1_250_000_000_000),
            ("5e-09", 5_000_000_000),
            // A tenth of a billionth of a dollar.
            ("1e-10", 100_000_000),
            ("2.0345052083e-09", 2_034_505_208),
            ("3.75e-9", 3_750_000_000),
            // Errors of binary floats.
            ("4.6500000000000005e-07", 465_000_000_000),
            ("4.6999999999999995e-07", 470_000_000_000),
            ("2.1429999999999996e-06", 2_143_000_000_000),
            // The last decimal place is rounded; smaller amounts are 0.
            ("1.5e-18", 2),
            ("1.4e-18", 1),
            ("5e-19", 1),
            ("4e-19", 0),
            ("9e-300", 0),
            ("1", 1_000_000_000_000_000_000),
            ("18", 18_000_000_000_000_000_000),
            ("1e+0", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(Price::parse(text), Ok(Price(amount)), "{text}");
        }
        for text in ["19", "1e2", "1e300", "123456789", "1e9999999999"] {
            assert_eq!(Price::parse(text), Err("is more than 18 dollars per token"), "{text}");
        }
        for text in ["", ".5", "e5", "1e", "\"3e-6\"", "null", "1_0", "1e99999999999999999999"] {
            assert_eq!(Price::parse(text), Err("is not a number"), "{text}");
        }
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
        assert_eq!(dollars(36_000), "0.000036000");
        assert_eq!(dollars(12_000_000_001), "12.000000001");
    }
}
