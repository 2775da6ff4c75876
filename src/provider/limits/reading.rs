//! What one response reports of one limit.

use std::time::Duration;

use crate::{limit::Metered, verdict::Scope};

/// What one response reports of one limit.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::{limit::Metered, provider::{LimitReading, Refill}, verdict::Scope};
///
/// let mut reading = LimitReading::new(Metered::Requests, Scope::Account, Refill::Fixed);
/// reading.limit = Some(500);
/// reading.remaining = Some(499);
/// reading.reset = Some(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitReading {
    /// What is limited.
    pub metered: Metered,
    /// What it is limited for: the whole account, or the account for the model of the request.
    pub scope: Scope,
    /// How the allowance comes back.
    pub refill: Refill,
    /// The period of the limit, if it is known.
    pub period: Option<Duration>,
    /// The whole allowance.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// When the whole allowance is back, counted from the arrival of the response.
    pub reset: Option<Duration>,
}

impl LimitReading {
    /// A reading without any figure.
    #[must_use]
    pub fn new(metered: Metered, scope: Scope, refill: Refill) -> Self {
        Self { metered, scope, refill, period: None, limit: None, remaining: None, reset: None }
    }
}

/// How an allowance comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refill {
    /// Continuously, as a token bucket. The reset is when the bucket is full if nothing more is taken
    /// from it, so the amount used, divided by the reset, is the rate.
    Rolling,
    /// All at once, at the reset.
    Fixed,
}
