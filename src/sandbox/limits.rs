//! The limits of an account, enforced exactly. All arithmetic uses integers, so rounding errors cannot
//! add up.

use std::time::Duration;

use wildmatch::WildMatch;

use crate::{Limit, limit::Metered};

/// How the sandbox enforces a limit per time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitAlgorithm {
    /// A token bucket: it holds [`Limit::burst_amount`] and refills continuously.
    ///
    /// A demand above a default burst, up to [`Limit::largest_demand`], is admitted when the bucket
    /// is full, and leaves it in debt.
    #[default]
    TokenBucket,
    /// The whole amount in each fixed window of the limit's period, counted from the start of the
    /// sandbox. Bursts do not matter.
    FixedWindow,
}

/// What a request costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Cost {
    fn of(self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => 1,
            Metered::InputTokens => self.input,
            Metered::OutputTokens => self.output,
            Metered::Tokens => self.input.saturating_add(self.output),
            // Money is not modelled.
            Metered::Spend => 0,
        }
    }
}

/// A limit that has no room for a request.
#[derive(Clone, Debug)]
pub(super) struct Exceeded {
    pub(super) metered: Metered,
    pub(super) amount: u64,
    pub(super) period: Duration,
    pub(super) used: u64,
    pub(super) requested: u64,
    pub(super) wait: Wait,
}

/// When the same request would have room. Ordered from the least to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// The response does not say.
    Hidden,
    /// When another request ends, at an unknown time.
    Unknown,
    /// After this time, if no other request takes the room first.
    For(Duration),
    /// Never, because the request is larger than the limit. The time is that until the limit is fully
    /// refilled.
    Never(Duration),
}

/// What remains of a limit, for headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remaining {
    pub(super) metered: Metered,
    pub(super) amount: u64,
    pub(super) remaining: u64,
    /// The time until it is fully refilled.
    pub(super) reset: Duration,
}

/// All limits of an account.
pub(super) struct AccountLimits(Vec<Meter>);

struct Meter {
    limit: Limit,
    models: Option<WildMatch>,
    level: Level,
}

enum Level {
    Bucket(Bucket),
    Fixed { window: u128, used: u64 },
    Concurrent { running: u64 },
}

impl AccountLimits {
    pub(super) fn new(limits: impl IntoIterator<Item = Limit>, algorithm: LimitAlgorithm) -> Self {
        Self(limits.into_iter().map(|limit| Meter::new(limit, algorithm)).collect())
    }

    /// Takes the cost from every limit that counts this model, or from none.
    pub(super) fn take(&mut self, now: Duration, model: &str, cost: Cost) -> Result<(), Exceeded> {
        let refused = self.for_model(model).filter_map(|meter| meter.check(now, cost).err());
        if let Some(worst) = refused.max_by_key(|exceeded| exceeded.wait) {
            return Err(worst);
        }
        self.for_model(model).for_each(|meter| meter.spend(cost));
        Ok(())
    }

    /// Ends a request that [`take`](Self::take) admitted.
    pub(super) fn end(&mut self, model: &str) {
        for meter in self.for_model(model) {
            if let Level::Concurrent { running } = &mut meter.level {
                *running = running.saturating_sub(1);
            }
        }
    }

    /// What remains of the first limit of each kind that counts this model.
    pub(super) fn remaining(&mut self, now: Duration, model: &str) -> Vec<Remaining> {
        let mut all: Vec<Remaining> = Vec::new();
        for meter in self.for_model(model) {
            if all.iter().all(|known| known.metered != meter.limit.metered()) {
                all.extend(meter.remaining(now));
            }
        }
        all
    }

    fn for_model<'a>(&'a mut self, model: &'a str) -> impl Iterator<Item = &'a mut Meter> {
        self.0
            .iter_mut()
            .filter(move |meter| meter.models.as_ref().is_none_or(|m| m.matches(model)))
    }
}

impl Meter {
    fn new(limit: Limit, algorithm: LimitAlgorithm) -> Self {
        let level = match (limit.metered(), algorithm) {
            (Metered::Concurrent, _) => Level::Concurrent { running: 0 },
            (_, LimitAlgorithm::TokenBucket) => Level::Bucket(Bucket::new(&limit)),
            (_, LimitAlgorithm::FixedWindow) => Level::Fixed { window: 0, used: 0 },
        };
        Self { models: limit.model_pattern().map(WildMatch::new), limit, level }
    }

    /// Whether there is room now. This also updates the level to the present.
    fn check(&mut self, now: Duration, cost: Cost) -> Result<(), Exceeded> {
        let (amount, period) = (self.limit.amount(), self.limit.period());
        let requested = cost.of(self.limit.metered());
        let (used, wait) = match &mut self.level {
            Level::Bucket(bucket) => {
                bucket.refill(now);
                let largest = self.limit.largest_demand();
                (bucket.used(), bucket.wait(requested, largest))
            }
            Level::Fixed { window, used } => {
                let rest = roll_over(window, used, now, period);
                let fits = used.saturating_add(requested) <= amount;
                let wait = if requested > amount { Wait::Never(rest) } else { Wait::For(rest) };
                (*used, (!fits).then_some(wait))
            }
            Level::Concurrent { running } => {
                let full = *running >= amount;
                (*running, full.then_some(Wait::Unknown))
            }
        };
        let metered = self.limit.metered();
        match wait {
            Some(wait) => Err(Exceeded { metered, amount, period, used, requested, wait }),
            None => Ok(()),
        }
    }

    /// Takes the cost, after [`check`](Self::check) has found room at the same time.
    fn spend(&mut self, cost: Cost) {
        let cost = cost.of(self.limit.metered());
        match &mut self.level {
            Level::Bucket(bucket) => bucket.spend(cost),
            Level::Fixed { used, .. } => *used = used.saturating_add(cost),
            Level::Concurrent { running } => *running += 1,
        }
    }

    /// What remains of the limit's amount. Providers report the amount too, not the smaller bucket.
    fn remaining(&mut self, now: Duration) -> Option<Remaining> {
        let (metered, amount) = (self.limit.metered(), self.limit.amount());
        let (used, reset) = match &mut self.level {
            Level::Bucket(bucket) => {
                bucket.refill(now);
                (bucket.used(), bucket.until_full())
            }
            Level::Fixed { window, used } => {
                let rest = roll_over(window, used, now, self.limit.period());
                (*used, if *used == 0 { Duration::ZERO } else { rest })
            }
            Level::Concurrent { .. } => return None,
        };
        Some(Remaining { metered, amount, remaining: amount.saturating_sub(used), reset })
    }
}

/// Starts a new window if the old one has ended. Returns how long the current window still lasts.
fn roll_over(window: &mut u128, used: &mut u64, now: Duration, period: Duration) -> Duration {
    let period = period.as_nanos().max(1);
    let current = now.as_nanos() / period;
    if current > *window {
        (*window, *used) = (current, 0);
    }
    nanos(period - now.as_nanos() % period)
}

/// A token bucket. One unit of the limit is divided into as many drops as the period has nanoseconds, so
/// that each nanosecond adds exactly `amount` drops.
struct Bucket {
    amount: i128,
    unit: i128,
    size: i128,
    /// The level; below zero after a demand larger than the bucket.
    drops: i128,
    /// The time of the last refill.
    at: Duration,
}

impl Bucket {
    fn new(limit: &Limit) -> Self {
        let unit = whole(limit.period().as_nanos()).max(1);
        let size = unit.saturating_mul(i128::from(limit.burst_amount()));
        Self { amount: i128::from(limit.amount()), unit, size, drops: size, at: Duration::ZERO }
    }

    fn refill(&mut self, now: Duration) {
        let passed = whole(now.saturating_sub(self.at).as_nanos());
        let more = passed.saturating_mul(self.amount);
        self.drops = self.drops.saturating_add(more).min(self.size);
        self.at = self.at.max(now);
    }

    fn spend(&mut self, cost: u64) {
        self.drops = self.drops.saturating_sub(self.unit.saturating_mul(i128::from(cost)));
    }

    /// What is missing to a full bucket, in whole units rounded up.
    fn used(&self) -> u64 {
        let missing = (self.size - self.drops).unsigned_abs();
        u64::try_from(missing.div_ceil(self.unit.unsigned_abs())).unwrap_or(u64::MAX)
    }

    /// How long a demand must wait; none if there is room.
    fn wait(&self, demand: u64, largest: u64) -> Option<Wait> {
        if demand == 0 {
            return None;
        }
        if demand > largest || self.amount == 0 {
            return Some(Wait::Never(self.until_full()));
        }
        let needed = self.unit.saturating_mul(i128::from(demand)).min(self.size);
        let time = self.until(needed);
        (!time.is_zero()).then_some(Wait::For(time))
    }

    fn until_full(&self) -> Duration {
        self.until(self.size)
    }

    fn until(&self, drops: i128) -> Duration {
        let missing = u128::try_from(drops - self.drops).unwrap_or(0);
        match u128::try_from(self.amount) {
            Ok(amount @ 1..) => nanos(missing.div_ceil(amount)),
            _ => Duration::MAX,
        }
    }
}

fn whole(number: u128) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}

fn nanos(nanos: u128) -> Duration {
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    Duration::new(seconds, rest)
}
