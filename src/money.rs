//! Money: read and written in whole billionths of a US dollar, without floating point.

use std::fmt;

/// Billionths of a US dollar in a dollar.
pub(crate) const NANOS_PER_DOLLAR: u64 = 1_000_000_000;

/// Decimal places of an amount.
const PLACES: u32 = 9;

/// An amount in billionths of a US dollar.
///
/// It is written as short as it can be (`12.5`); with `{:#}` to its last place (`12.500000000`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dollars(pub(crate) u64);

impl Dollars {
    /// Reads a number of dollars as JSON writes it, rounded to a billionth.
    pub(crate) fn parse(text: &str) -> Result<Self, DecimalError> {
        decimal(text, PLACES).map(Self)
    }

    /// The same without an exponent, and with no more than nine places behind the point: `12.5`.
    pub(crate) fn parse_exact(text: &str) -> Result<Self, DecimalError> {
        let places = text.split_once('.').map_or("0", |(_, places)| places);
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !is_plain || places.is_empty() || places.len() > PLACES as usize {
            return Err(DecimalError::NoNumber);
        }
        Self::parse(text)
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / NANOS_PER_DOLLAR, self.0 % NANOS_PER_DOLLAR);
        match part {
            _ if f.alternate() => write!(f, "{whole}.{part:09}"),
            0 => write!(f, "{whole}"),
            _ => write!(f, "{whole}.{}", format!("{part:09}").trim_end_matches('0')),
        }
    }
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalError {
    Negative,
    NoNumber,
    /// More than fits 64 bits.
    TooLarge,
}

/// A number as JSON writes it (`3e-06`, `0.000003`), in units of 10^-`places`. It is read digit by digit
/// and rounded to the nearest unit, half up.
pub(crate) fn decimal(text: &str, places: u32) -> Result<u64, DecimalError> {
    if text.starts_with('-') {
        return Err(DecimalError::Negative);
    }
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().map_err(|_| DecimalError::NoNumber)?),
        None => (text, 0_i64),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !all.clone().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::NoNumber);
    }
    // How many digits stand before the place of the last one that counts.
    let before = (whole.len() as i64).saturating_add(exponent).saturating_add(i64::from(places));
    let mut amount: u64 = 0;
    let mut rest = all.skip_while(|byte| *byte == b'0').peekable();
    let zeros = (whole.len() + fraction.len()) as i64 - rest.clone().count() as i64;
    if rest.peek().is_none() {
        return Ok(0);
    }
    let kept = before - zeros;
    for _ in 0..kept.clamp(0, 64) {
        let digit = u64::from(rest.next().map_or(0, |byte| byte - b'0'));
        let more = amount.checked_mul(10).and_then(|amount| amount.checked_add(digit));
        amount = more.ok_or(DecimalError::TooLarge)?;
    }
    let rounds_up = kept >= 0 && rest.next().is_some_and(|byte| byte >= b'5');
    amount.checked_add(u64::from(rounds_up)).ok_or(DecimalError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_and_its_last_place_rounded() {
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
            // What binary floating point leaves behind.
            ("4.6500000000000005e-07", 465_000_000_000),
            ("4.6999999999999995e-07", 470_000_000_000),
            ("2.1429999999999996e-06", 2_143_000_000_000),
            ("1.5e-18", 2),
            ("1.4e-18", 1),
            ("5e-19", 1),
            ("4e-19", 0),
            ("9e-300", 0),
            ("1", 1_000_000_000_000_000_000),
            ("18", 18_000_000_000_000_000_000),
            ("1e+0", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(decimal(text, 18), Ok(amount), "{text}");
        }
        for text in ["19", "1e2", "1e300", "123456789", "1e9999999999"] {
            assert_eq!(decimal(text, 18), Err(DecimalError::TooLarge), "{text}");
        }
        for text in ["", ".5", "e5", "1e", "\"3e-6\"", "null", "1_0", "1e99999999999999999999"] {
            assert_eq!(decimal(text, 18), Err(DecimalError::NoNumber), "{text}");
        }
        assert_eq!(decimal("-1e-6", 18), Err(DecimalError::Negative));
    }

    #[test]
    fn an_amount_is_written_as_it_is_read() {
        for (nanos, short, exact) in [
            (0, "0", "0.000000000"),
            (36_000, "0.000036", "0.000036000"),
            (12_500_000_000, "12.5", "12.500000000"),
            (12_000_000_001, "12.000000001", "12.000000001"),
            (50_000_000_000, "50", "50.000000000"),
        ] {
            let amount = Dollars(nanos);
            assert_eq!((amount.to_string(), format!("{amount:#}")), (short.into(), exact.into()));
            assert_eq!(Dollars::parse_exact(short), Ok(amount));
            assert_eq!(Dollars::parse_exact(exact), Ok(amount));
        }
    }

    #[test]
    fn an_exact_amount_has_no_exponent_and_no_more_than_nine_places() {
        for text in ["1e3", "1.", ".5", "1.0000000001", "-1", "", "1.2.3", "x"] {
            assert!(Dollars::parse_exact(text).is_err(), "{text}");
        }
        assert_eq!(Dollars::parse("1.0000000001"), Ok(Dollars(NANOS_PER_DOLLAR)));
        assert_eq!(Dollars::parse("1.5e-5"), Ok(Dollars(15_000)));
    }
}
