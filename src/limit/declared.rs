//! A limit as it is declared.

use std::{fmt, sync::Arc, time::Duration};

use crate::money::NANOS_PER_DOLLAR;

const DAY: Duration = Duration::from_secs(86_400);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metered {
    /// Requests, one each.
    Requests,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// Tokens of prompt and answer together.
    Tokens,
    /// Money, in billionths of a US dollar.
    Spend,
    /// Requests that have been sent and whose answer has not ended.
    Concurrent,
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Tokens => "tokens",
            Self::Spend => "nano-dollars",
            Self::Concurrent => "concurrent",
        })
    }
}

/// An amount of something per time for an account or a key, perhaps only for some models.
///
/// A limit per time is *rolling*: the allowance refills continuously (500 requests/min is one every
/// 120 ms), and up to [`burst`](Self::burst) of it can be saved up and spent at once. Or it is counted
/// in *windows* ([`fixed`](Self::fixed), [`in_zone`](Self::in_zone)): the whole allowance is there at
/// once at the beginning of each minute, hour or day.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limit {
    pub(crate) metered: Metered,
    pub(crate) amount: u64,
    /// Zero for [`Metered::Concurrent`].
    pub(crate) period: Duration,
    pub(crate) burst: Option<u64>,
    pub(crate) window: Window,
    pub(crate) models: Option<Arc<str>>,
}

/// How an allowance comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Window {
    /// All the time.
    #[default]
    Rolling,
    /// Whole, at fixed times: multiples of the period since 1970, or midnight in a time zone.
    Fixed { zone: Option<Arc<str>> },
}

impl Limit {
    /// So many requests, per a time still to be said.
    pub fn requests(amount: u64) -> Amount {
        Amount { metered: Metered::Requests, amount }
    }

    /// So many tokens of prompt and answer together, per a time still to be said.
    pub fn tokens(amount: u64) -> Amount {
        Amount { metered: Metered::Tokens, amount }
    }

    /// So many tokens of the prompt, per a time still to be said.
    pub fn input_tokens(amount: u64) -> Amount {
        Amount { metered: Metered::InputTokens, amount }
    }

    /// So many tokens of the answer, per a time still to be said.
    pub fn output_tokens(amount: u64) -> Amount {
        Amount { metered: Metered::OutputTokens, amount }
    }

    /// So many requests at once. A request ends when its answer's body does.
    pub fn concurrent(amount: u64) -> Self {
        Self {
            metered: Metered::Concurrent,
            amount,
            period: Duration::ZERO,
            burst: None,
            window: Window::Rolling,
            models: None,
        }
    }

    /// So much money, per a time still to be said. What a request may cost is reckoned from its tokens and
    /// their price ([`KeyPoolBuilder::prices`](crate::KeyPoolBuilder::prices)), or said by
    /// [`Demand::nano_dollars`](crate::Demand::nano_dollars); what it did cost counts in the end.
    pub fn dollars(amount: u64) -> Amount {
        Self::nano_dollars(amount.saturating_mul(NANOS_PER_DOLLAR))
    }

    /// So much money in billionths of a US dollar, per a time still to be said.
    pub fn nano_dollars(amount: u64) -> Amount {
        Amount { metered: Metered::Spend, amount }
    }

    /// The whole allowance comes back at once, at each full minute, hour or day (UTC), or whatever
    /// the period is, counted from 1970. Where a provider tells when its window ends, that is
    /// believed.
    pub fn fixed(mut self) -> Self {
        self.window = Window::Fixed { zone: None };
        self
    }

    /// A limit per day whose whole allowance comes back at midnight in a time zone, such as
    /// `America/Los_Angeles`. Its days are as long as they are there: 23 or 25 hours when clocks
    /// change. Without the feature `tzdb`, the system must know the zone.
    pub fn in_zone(mut self, zone: impl AsRef<str>) -> Self {
        self.window = Window::Fixed { zone: Some(Arc::from(zone.as_ref())) };
        self
    }

    /// How much may be spent at once after a pause: the size of the provider's bucket.
    ///
    /// By default a twelfth of the amount (five seconds' worth of a limit per minute), at least 1:
    /// providers enforce a limit per minute over shorter slices too. A demand above the default
    /// burst is still admitted, alone and once the meter is at rest, up to the whole amount; one
    /// above a burst that was set here can never be admitted and is refused at once.
    pub fn burst(mut self, burst: u64) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Counts only requests for models that match the pattern (`*` any text, `?` one character).
    ///
    /// All matching models share the one meter, as a provider's model family does.
    pub fn models(mut self, pattern: impl AsRef<str>) -> Self {
        self.models = Some(Arc::from(pattern.as_ref()));
        self
    }

    /// What this limit counts.
    #[must_use]
    pub fn metered(&self) -> Metered {
        self.metered
    }

    /// How much of it.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Per how long; zero for a limit on concurrent requests.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// How much may be spent at once, whether set or the default.
    #[must_use]
    pub fn burst_amount(&self) -> u64 {
        self.burst.unwrap_or(self.amount / 12).max(1)
    }

    /// The largest single demand this limit can ever admit.
    #[must_use]
    pub fn largest_demand(&self) -> u64 {
        self.burst.unwrap_or(self.amount)
    }

    /// The pattern of the models it counts, if not all.
    #[must_use]
    pub fn model_pattern(&self) -> Option<&str> {
        self.models.as_deref()
    }

    /// What makes this limit unusable, if anything does.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let zone = match &self.window {
            Window::Fixed { zone: Some(zone) } => Some(zone),
            _ => None,
        };
        if self.amount == 0 {
            Some("the amount is 0: leave the account out instead")
        } else if self.metered != Metered::Concurrent && self.period.is_zero() {
            Some("the period is 0: give a time such as one minute")
        } else if self.burst == Some(0) {
            Some("the burst is 0, which admits nothing: give at least 1")
        } else if self.metered == Metered::Concurrent && self.burst.is_some() {
            Some("a concurrent limit has no burst: leave it out")
        } else if self.window != Window::Rolling && self.burst.is_some() {
            Some("a fixed window has no burst: its whole amount may be spent at once")
        } else if self.window != Window::Rolling && self.metered == Metered::Concurrent {
            Some("a concurrent limit has no window: leave it out")
        } else if zone.is_some() && self.period != DAY {
            Some("a time zone is for limits per day only")
        } else if zone.is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
            Some("the time zone is unknown: use a name such as America/Los_Angeles")
        } else if self.models.as_deref() == Some("") {
            Some("the model pattern is empty: leave it out, or use *")
        } else {
            None
        }
    }
}

/// An amount that becomes a [`Limit`] once it is said per how long.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Amount {
    metered: Metered,
    amount: u64,
}

impl Amount {
    /// Per second.
    pub fn per_second(self) -> Limit {
        self.per(Duration::from_secs(1))
    }

    /// Per minute.
    pub fn per_minute(self) -> Limit {
        self.per(Duration::from_secs(60))
    }

    /// Per hour.
    pub fn per_hour(self) -> Limit {
        self.per(Duration::from_secs(3_600))
    }

    /// Per 24 hours, refilling all the time.
    pub fn per_day(self) -> Limit {
        self.per(DAY)
    }

    /// Per any other time.
    pub fn per(self, period: Duration) -> Limit {
        Limit {
            metered: self.metered,
            amount: self.amount,
            period,
            burst: None,
            window: Window::Rolling,
            models: None,
        }
    }
}
