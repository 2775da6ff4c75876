//! The pace of an account whose limits nobody tells, found out from what it refuses.
//!
//! Between two refusals an account has accepted what had come back to it meanwhile, whatever its
//! limits look like. So that much per that time is its rate: a little less is sent from then on, and
//! slowly more while nothing is refused. An account whose limits are known is paced only when it has
//! refused requests three times that were well within them.

use crate::{
    Limit,
    engine::{
        ask::Cost,
        time::{SECOND, Time, nanos},
    },
    limit::Metered,
};

/// So many refusals within their limits, each within so long after the last, are no accident.
const STRIKES: u8 = 3;
const MEMORY: u64 = 180 * SECOND;
/// A rate is raised by a 16th each minute, and twice as fast for every two minutes that nothing was
/// refused.
const RAISE: u64 = 16 * 60;
const PATIENCE: u64 = 120 * SECOND;
/// As long as only one refusal has told the rate, it may be far from it: it is raised by a tenth each
/// second.
const SEEK: u64 = 10;
/// Nobody refuses at so many times the rate that was last refused: the limits that were declared hold.
const FREE: u64 = 4;
const DAY: u64 = 86_400 * SECOND;
/// At least one an hour, so that it is ever found out that there is more.
const MIN_RATE: u64 = 24;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    stage: Stage,
    /// When it was first used, or last refused after something was accepted.
    since: Time,
    requests: u64,
    tokens: u64,
    /// Whether less was sent than might have been since then, so that the account had time to rest.
    rested: bool,
    /// How many refusals came one after the other, and when the last one did.
    misses: u32,
    missed: Time,
    rates: Rates,
    /// The rates that were last refused.
    refused: Rates,
    raised: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing is known yet.
    Start,
    /// Limits are known; it has refused within them so often of late.
    #[default]
    Fresh,
    Watched(u8),
    /// It was refused once.
    Seeking,
    Paced {
        /// Whether its limits were thought to be known.
        known: bool,
    },
}

/// Requests and tokens a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    requests: u64,
    tokens: u64,
}

impl Pace {
    /// Nothing is known.
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

    /// What may be sent, if it is paced.
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

    /// So many refusals came one after the other, each sent after the one before, with this one that
    /// was sent at `sent`.
    pub(in crate::engine) fn missed(&mut self, now: Time, sent: Time) -> u32 {
        if sent >= self.missed {
            (self.misses, self.missed) = (self.misses.saturating_add(1), now);
        }
        self.misses
    }

    /// A request sent at `sent` was refused for its rate. Whether that tells the rate. `declared` is
    /// what it should be.
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
            // It may have been idle in between, and have accepted less than it would.
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

    /// Nothing was refused for a while. The new rates, if it was long enough to tell.
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
    /// What some limits allow.
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

    /// Five seconds' worth at once.
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

    /// A little below what was refused, and half way to what was seen, if anything was.
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
