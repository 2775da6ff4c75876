//! A limit as it is declared: its builder methods and its validation.

use std::{fmt, sync::Arc, time::Duration};

use crate::money::NANOS_PER_DOLLAR;

const DAY: Duration = Duration::from_secs(86_400);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metered {
    /// Requests; each counts 1.
    Requests,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// Tokens of prompt and answer together.
    Tokens,
    /// Money, in billionths of a US dollar.
    Spend,
    /// Requests under way: sent, and their answer has not ended.
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

/// An amount of something per time for an account or a key, optionally only for some models.
///
/// A limit per time is *rolling* by default, a token bucket: the allowance refills continuously
/// (500 requests/min is one every 120 ms), and at most [`burst`](Self::burst) of it can be spent at
/// once. Otherwise it is counted in *fixed windows* ([`fixed`](Self::fixed),
/// [`in_zone`](Self::in_zone)): the whole allowance is available at the start of each minute, hour
/// or day.
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

/// How an allowance refills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Window {
    /// Continuously.
    #[default]
    Rolling,
    /// All at once, at fixed times: multiples of the period since 1970, or midnight in a time zone.
    Fixed { zone: Option<Arc<str>> },
}

impl Limit {
    /// This many requests; add the period, for example with [`per_minute`](Amount::per_minute).
    pub fn requests(amount: u64) -> Amount {
        Amount { metered: Metered::Requests, amount }
    }

    /// This many tokens of prompt and answer together; add the period.
    pub fn tokens(amount: u64) -> Amount {
        Amount { metered: Metered::Tokens, amount }
    }

    /// This many tokens of the prompt; add the period.
    pub fn input_tokens(amount: u64) -> Amount {
        Amount { metered: Metered::InputTokens, amount }
    }

    /// This many tokens of the answer; add the period.
    pub fn output_tokens(amount: u64) -> Amount {
        Amount { metered: Metered::OutputTokens, amount }
    }

    /// This many requests at once. A request ends when the body of its answer ends.
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

    /// This much money in US dollars; add the period. Before a request is sent, its cost is
    /// estimated from its tokens and their price
    /// ([`KeyPoolBuilder::prices`](crate::KeyPoolBuilder::prices)), or given by
    /// [`Demand::nano_dollars`](crate::Demand::nano_dollars). In the end its real cost counts.
    pub fn dollars(amount: u64) -> Amount {
        Self::nano_dollars(amount.saturating_mul(NANOS_PER_DOLLAR))
    }

    /// This much money in billionths of a US dollar; add the period.
    pub fn nano_dollars(amount: u64) -> Amount {
        Amount { metered: Metered::Spend, amount }
    }

    /// Counts in fixed windows: the whole allowance refills at once, at each full minute, hour or
    /// day (UTC), or each multiple of the period since 1970. If the provider reports when its
    /// window ends, the windows are moved there.
    pub fn fixed(mut self) -> Self {
        self.window = Window::Fixed { zone: None };
        self
    }

    /// Counts a limit per day in fixed windows that start at midnight in a time zone, such as
    /// `America/Los_Angeles`. A day has 23 or 25 hours when the clocks change. Without the
    /// feature `tzdb`, the system must know the zone.
    pub fn in_zone(mut self, zone: impl AsRef<str>) -> Self {
        self.window = Window::Fixed { zone: Some(Arc::from(zone.as_ref())) };
        self
    }

    /// The burst: how much may be spent at once after a pause; the size of the provider's token
    /// bucket.
    ///
    /// The default is a twelfth of the amount (five seconds' worth of a limit per minute), at least
    /// 1, because providers enforce a limit per minute over shorter slices, too. A demand above the
    /// default burst is still admitted, alone and once the bucket is full, up to the whole amount.
    /// A demand above a burst that is set here can never be admitted and is refused at once.
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

    /// The amount, in units of [`metered`](Self::metered).
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// The period; zero for a limit on concurrent requests.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The burst: as set, otherwise the default.
    #[must_use]
    pub fn burst_amount(&self) -> u64 {
        self.burst.unwrap_or(self.amount / 12).max(1)
    }

    /// The largest single demand that this limit can ever admit.
    #[must_use]
    pub fn largest_demand(&self) -> u64 {
        self.burst.unwrap_or(self.amount)
    }

    /// The pattern of the models that it counts; `None` for all models.
    #[must_use]
    pub fn model_pattern(&self) -> Option<&str> {
        self.models.as_deref()
    }

    /// Why this limit is not valid; `None` if it is.
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

/// An amount that becomes a [`Limit`] once the period is added.
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

    /// Per 24 hours, refilled continuously.
    pub fn per_day(self) -> Limit {
        self.per(DAY)
    }

    /// Per any other period.
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
