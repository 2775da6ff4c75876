//! A simulated scenario: accounts and their limits, callers, and faults.

use std::{fmt, time::Duration};

use tower_key_rotation::Limit;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A time zone without summer time, so that each day has 24 hours.
const ZONE: &str = "Asia/Kolkata";

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// The amount of the limit of each account.
    pub(crate) accounts: Vec<u64>,
    pub(crate) metered: Metered,
    pub(crate) window: Window,
    pub(crate) known: Known,
    pub(crate) arrivals: Arrivals,
    /// The offered load, as a share of the sum of the limits.
    pub(crate) load: f64,
    /// The time after which callers give up. Without it they never give up.
    pub(crate) patience: Option<Duration>,
    pub(crate) faults: Faults,
    /// The time during which callers start.
    pub(crate) time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metered {
    Requests,
    /// Estimates of callers are wrong by a random factor between these two.
    Tokens(f64, f64),
}

/// How the provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// A token bucket, with the default burst.
    Bucket,
    /// A token bucket that holds one request.
    BucketOfOne,
    /// Fixed minutes. The pool assumes that they end this long after their real end, until it learns better.
    Minutes(Duration),
    /// Days of a time zone. Callers start this long after midnight.
    Days(Duration),
}

/// How the pool learns the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Declared,
    /// The provider reports limits in headers.
    Reported,
    /// The provider only refuses, without a time to wait.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    Poisson,
    /// Poisson arrivals for about 20 s, then no arrivals for about 40 s, and so on.
    Bursty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    None,
    /// A fifth of the keys are revoked, one by one.
    Deaths,
    /// A fifth of the accounts are refused for a minute, one by one.
    Cooldowns,
}

impl Scenario {
    pub(crate) fn name(&self) -> String {
        self.to_string()
    }

    /// The limit that the provider enforces and, unless it is fixed, the pool knows.
    pub(crate) fn limit(&self, account: usize) -> Limit {
        let amount = self.accounts[account];
        let amount = match self.metered {
            Metered::Requests => Limit::requests(amount),
            Metered::Tokens(..) => Limit::tokens(amount),
        };
        match self.window {
            Window::Bucket | Window::Minutes(_) => amount.per_minute(),
            Window::BucketOfOne => amount.per_minute().burst(1),
            Window::Days(_) => amount.per_day(),
        }
    }

    /// The same limit, as the user of the pool declares it.
    pub(crate) fn declared(&self, account: usize) -> Limit {
        let limit = self.limit(account);
        match self.window {
            Window::Bucket | Window::BucketOfOne => limit,
            Window::Minutes(_) => limit.fixed(),
            Window::Days(_) => limit.in_zone(ZONE),
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.window, Window::Minutes(_) | Window::Days(_))
    }

    pub(crate) fn is_even(&self) -> bool {
        self.accounts.windows(2).all(|two| two[0] == two[1])
    }

    pub(crate) fn zone(&self) -> &'static str {
        if matches!(self.window, Window::Days(_)) { ZONE } else { "UTC" }
    }

    /// Limits are learnt in the first minute, which is not measured.
    pub(crate) fn warm_up(&self) -> Duration {
        if self.known == Known::Declared { Duration::ZERO } else { MINUTE }
    }

    /// The time from the start of the provider to the first caller.
    pub(crate) fn before(&self) -> Duration {
        if let Window::Days(before) = self.window { before } else { Duration::ZERO }
    }

    /// When an account fails and when it is back, counted from the first caller.
    pub(crate) fn outage(&self, account: usize) -> Option<(Duration, Duration)> {
        let struck = (self.accounts.len() / 5).max(1);
        if account >= struck {
            return None;
        }
        let begins = self.time * (account as u32 + 1) / (struck as u32 + 2);
        match self.faults {
            Faults::None => None,
            Faults::Deaths => Some((begins, Duration::MAX)),
            Faults::Cooldowns => Some((begins, begins + MINUTE)),
        }
    }

    /// What the limit of an account allows while callers start, including its saved burst.
    pub(crate) fn allowed(&self, account: usize) -> f64 {
        let limit = self.limit(account);
        let out = self
            .outage(account)
            .map_or(Duration::ZERO, |(begins, ends)| ends.min(self.time).saturating_sub(begins));
        let periods = |time: Duration| time.as_secs_f64() / limit.period().as_secs_f64();
        match self.window {
            Window::Bucket | Window::BucketOfOne => {
                let time = self.time - self.warm_up();
                if time < self.time {
                    return limit.amount() as f64 * periods(time - out);
                }
                let burst = limit.burst_amount() as f64;
                // A bucket is full again after an outage.
                let saved = if out > Duration::ZERO && self.faults == Faults::Cooldowns {
                    2.0 * burst
                } else {
                    burst
                };
                limit.amount() as f64 * periods(self.time - out) + saved
            }
            Window::Minutes(_) | Window::Days(_) => {
                let windows = periods(self.before() + self.time).ceil()
                    - periods(self.before() + self.warm_up()).floor();
                limit.amount() as f64 * windows
            }
        }
    }

    /// What all accounts together allow per second.
    pub(crate) fn rate(&self) -> f64 {
        let amount: u64 = self.accounts.iter().sum();
        match self.window {
            // The load is computed over the ending and the starting day together.
            Window::Days(_) => 2.0 * amount as f64 / self.time.as_secs_f64(),
            _ => amount as f64 / MINUTE.as_secs_f64(),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(usize, u64)> = Vec::new();
        for &amount in &self.accounts {
            match groups.last_mut() {
                Some((number, of)) if *of == amount => *number += 1,
                _ => groups.push((1, amount)),
            }
        }
        let groups: Vec<_> = groups.iter().map(|(n, of)| format!("{n} x {of}")).collect();
        write!(f, "{} ", groups.join(" + "))?;
        match self.metered {
            Metered::Requests => f.write_str("requests")?,
            Metered::Tokens(1.0, 1.0) => f.write_str("tokens (estimates right)")?,
            Metered::Tokens(least, most) => {
                write!(f, "tokens (estimates {least:.1}x to {most:.1}x)")?;
            }
        }
        match self.window {
            Window::Bucket => f.write_str("/min, bucket")?,
            Window::BucketOfOne => f.write_str("/min, bucket of one")?,
            Window::Minutes(Duration::ZERO) => f.write_str("/min, fixed")?,
            Window::Minutes(_) => f.write_str("/min, fixed, edge unknown")?,
            Window::Days(_) => f.write_str("/day, over midnight")?,
        }
        match self.known {
            Known::Declared => {}
            Known::Reported => f.write_str(", reported in headers")?,
            Known::Refused => f.write_str(", not reported")?,
        }
        let arrivals = match self.arrivals {
            Arrivals::Poisson => "Poisson",
            Arrivals::Bursty => "bursty",
        };
        write!(f, ", {arrivals} {}x", self.load)?;
        match self.faults {
            Faults::None => {}
            Faults::Deaths => f.write_str(", keys die")?,
            Faults::Cooldowns => f.write_str(", accounts cool")?,
        }
        match self.patience {
            None => f.write_str(", callers wait"),
            Some(patience) => write!(f, ", callers give up after {} s", patience.as_secs()),
        }
    }
}
