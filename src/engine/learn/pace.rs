//! The pace of an account whose limits are not reported, found from what it refuses.
//!
//! Between two refusals an account accepts what its limits refilled meanwhile, whatever the limits
//! look like. So the accepted amount per time is its rate. The pool sends a little less from then
//! on, and raises the rate in small steps while nothing is refused. An account with known limits is
//! paced only after it refused, three times, requests that were well within them.

use crate::{
    Limit,
    engine::{
        ask::Cost,
        time::{SECOND, Time, nanos},
    },
    limit::Metered,
};

/// This many refusals within the known limits, each within `MEMORY` of the last, are no accident.
const STRIKES: u8 = 3;
const MEMORY: u64 = 180 * SECOND;
/// The rate rises by a 16th each minute, and twice as fast for every two minutes without a refusal.
const RAISE: u64 = 16 * 60;
const PATIENCE: u64 = 120 * SECOND;
/// While only one refusal has shown the rate, it may be far off: it rises by a tenth each second.
const SEEK: u64 = 10;
/// Without a refusal at this multiple of the last refused rate, the declared limits hold.
const FREE: u64 = 4;
const DAY: u64 = 86_400 * SECOND;
/// At least one request an hour, so that a higher limit can be found.
const MIN_RATE: u64 = 24;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    stage: Stage,
    /// When it was first used, or last refused after it had accepted something.
    since: Time,
    requests: u64,
    tokens: u64,
    /// Whether less was sent since then than allowed, so that the account had time to refill.
    rested: bool,
    /// The number of refusals in a row, and the time of the last one.
    misses: u32,
    missed: Time,
    rates: Rates,
    /// The rates at the last refusal.
    refused: Rates,
    raised: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing is known.
    Start,
    /// Limits are known, and it has not refused within them recently.
    #[default]
    Fresh,
    Watched(u8),
    /// One refusal has shown a first rate.
    Seeking,
    Paced {
        /// Whether its limits were thought to be known.
        known: bool,
    },
}

/// Requests and tokens per day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    requests: u64,
    tokens: u64,
}

impl Pace {
    /// Starts without any knowledge.
    pub(in crate::engine) fn start(now: Time) -> Self {
        Self { stage: Stage::Start, since: now, ..Self::default() }
    }

    /// Limits have become known.
    pub(in crate::engine) fn watch(&mut self) {
        if self.stage == Stage::Start {
            self.stage = Stage::Fresh;
        }
    }

    pub(in crate::engine) fn is_paced(&self) -> bool {
        matches!(self.stage, Stage::Seeking | Stage::Paced { .. })
    }

    /// The allowed rates, if it is paced.
    pub(in crate::engine) fn rates(&self) -> Rates {
        self.rates
    }

    pub(in crate::engine) fn accepted(&mut self, cost: &Cost, is_used: bool) {
        self.misses = 0;
        self.rested |= !is_used;
        self.requests = self.requests.saturating_add(1);
        self.tokens = self.tokens.saturating_add(cost.of(Metered::Tokens));
    }

    /// Whether its limits are thought to be known.
    pub(in crate::engine) fn knows_limits(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Watched(_))
    }

    /// Counts a refusal of a request sent at `sent`. Returns the number of refusals in a row, each
    /// sent after the one before.
    pub(in crate::engine) fn missed(&mut self, now: Time, sent: Time) -> u32 {
        if sent >= self.missed {
            (self.misses, self.missed) = (self.misses.saturating_add(1), now);
        }
        self.misses
    }

    /// A request sent at `sent` was refused for its rate. Returns whether this shows the rate.
    /// `declared` is the rate of the known limits.
    pub(in crate::engine) fn refused(&mut self, now: Time, sent: Time, declared: Rates) -> bool {
        let is_news = sent >= self.since && self.requests > 0 && now.since(self.since) >= SECOND;
        if !is_news && self.stage != Stage::Fresh {
            return false;
        }
        let seen = Rates {
            requests: per_day(self.requests, now.since(self.since)),
            tokens: per_day(self.tokens, now.since(self.since)),
        };
        let strikes = match self.stage {
            Stage::Watched(strikes) if now.since(self.since) <= MEMORY => strikes + 1,
            _ => 1,
        };
        let rested = std::mem::take(&mut self.rested);
        (self.since, self.requests, self.tokens) = (now, 0, 0);
        let known = matches!(self.stage, Stage::Watched(_) | Stage::Paced { known: true });
        (self.rates, self.stage) = match self.stage {
            Stage::Start => (seen.less(), Stage::Seeking),
            Stage::Seeking if rested => (self.rates.corrected(None), Stage::Seeking),
            Stage::Seeking => (seen.less(), Stage::Paced { known }),
            Stage::Paced { .. } => {
                (self.rates.corrected(Some(seen).filter(|_| !rested)), self.stage)
            }
            // It may have been idle in between, and so have accepted less than possible.
            Stage::Watched(_) if strikes >= STRIKES => {
                (seen.less().at_least(declared.half()), Stage::Paced { known })
            }
            Stage::Fresh | Stage::Watched(_) => {
                self.stage = Stage::Watched(strikes);
                return false;
            }
        };
        (self.refused, self.raised) = (self.rates, now);
        true
    }

    /// Raises the rates after a time without a refusal. Returns the new ones if enough time has
    /// passed.
    pub(in crate::engine) fn raise(&mut self, now: Time) -> Option<Rates> {
        let elapsed = now.since(self.raised);
        if !self.is_paced() || elapsed < SECOND {
            return None;
        }
        self.raised = now;
        let millis = elapsed.min(10 * SECOND) / (SECOND / 1_000);
        let (parts, of) = match self.stage {
            Stage::Seeking => (millis, SEEK * 1_000),
            _ => (millis << (now.since(self.since) / PATIENCE).min(4), RAISE * 1_000),
        };
        let raised = |rate: u64| rate.saturating_add(rate.saturating_mul(parts) / of);
        self.rates =
            Rates { requests: raised(self.rates.requests), tokens: raised(self.rates.tokens) };
        let is_free = self.rates.requests / FREE >= self.refused.requests;
        if is_free && self.stage == (Stage::Paced { known: true }) {
            self.stage = Stage::Fresh;
        }
        Some(self.rates)
    }
}

impl Rates {
    /// The rates that limits allow.
    pub(crate) fn of_limits<'a>(limits: &(impl Iterator<Item = &'a Limit> + Clone)) -> Self {
        let least = |metered: Metered| {
            let limits = limits.clone().filter(|limit| limit.metered() == metered);
            let rates = limits.map(|limit| per_day(limit.amount(), nanos(limit.period())));
            rates.min().unwrap_or(0)
        };
        Self { requests: least(Metered::Requests), tokens: least(Metered::Tokens) }
    }

    pub(in crate::engine) fn of(&self, metered: Metered) -> u64 {
        if metered == Metered::Tokens { self.tokens } else { self.requests }
    }

    /// The burst: five seconds' worth.
    pub(in crate::engine) fn burst(amount: u64) -> u64 {
        (amount / (86_400 / 5)).max(1)
    }

    pub(in crate::engine) fn limit(metered: Metered, amount: u64) -> Limit {
        let limit = match metered {
            Metered::Tokens => Limit::tokens(amount),
            _ => Limit::requests(amount),
        };
        limit.per_day().burst(Self::burst(amount))
    }

    fn less(self) -> Self {
        Self { requests: less(self.requests).max(MIN_RATE), tokens: less(self.tokens) }
    }

    fn half(self) -> Self {
        Self { requests: self.requests / 2, tokens: self.tokens / 2 }
    }

    fn at_least(self, other: Self) -> Self {
        Self { requests: self.requests.max(other.requests), tokens: self.tokens.max(other.tokens) }
    }

    /// A little below what was refused, and half way to what was seen, if anything was seen.
    fn corrected(self, seen: Option<Self>) -> Self {
        let corrected = |rate: u64, seen: Option<u64>| match (rate, seen) {
            (rate, None | Some(0)) => rate - rate / 16,
            (0, Some(seen)) => less(seen),
            (rate, Some(seen)) => (rate / 2 + seen / 2).clamp(rate / 2, rate - rate / 16),
        };
        Self {
            requests: corrected(self.requests, seen.map(|seen| seen.requests)).max(MIN_RATE),
            tokens: corrected(self.tokens, seen.map(|seen| seen.tokens)),
        }
    }
}

fn less(rate: u64) -> u64 {
    rate - rate / 32
}

fn per_day(count: u64, time: u64) -> u64 {
    let rate = u128::from(count) * u128::from(DAY) / u128::from(time.max(SECOND));
    u64::try_from(rate).unwrap_or(u64::MAX >> 16)
}
