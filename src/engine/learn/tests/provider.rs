//! Limiters as providers have them, enforced exactly: what the learner has to find out.

use std::{collections::VecDeque, time::Duration};

use crate::{
    engine::{
        ask::Cost,
        time::{SECOND, Time},
    },
    limit::Metered,
    provider::{LimitReading, Refill},
    verdict::Scope,
};

/// One limit of an account.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    pub(super) metered: Metered,
    pub(super) amount: u64,
    /// Nanoseconds.
    pub(super) period: u64,
    pub(super) kind: Kind,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A token bucket of this size, and what its headers call `remaining`: what is in it, or the amount without what
    /// is missing in it.
    Bucket {
        burst: u64,
        shows_amount: bool,
    },
    /// The first window is so old at the beginning.
    Fixed {
        age: u64,
    },
    /// A log; its reset is when the oldest entry leaves, or when all have left.
    Sliding {
        shows_oldest: bool,
    },
    Concurrent,
}

#[derive(Clone, Debug, Default)]
struct State {
    level: f64,
    at: Time,
    window: u64,
    used: u64,
    log: VecDeque<(Time, u64)>,
}

impl Limiter {
    pub(super) fn new(metered: Metered, amount: u64, period: u64, kind: Kind) -> Self {
        let level = if let Kind::Bucket { burst, .. } = kind { burst as f64 } else { 0.0 };
        Self { metered, amount, period, kind, state: State { level, ..State::default() } }
    }

    fn rate(&self) -> f64 {
        self.amount as f64 / self.period as f64
    }

    fn turn(&mut self, now: Time) {
        let (rate, period) = (self.rate(), self.period);
        let state = &mut self.state;
        match self.kind {
            Kind::Bucket { burst, .. } => {
                let more = rate * now.since(state.at) as f64;
                state.level = (state.level + more).min(burst as f64);
            }
            Kind::Fixed { age } => {
                let window = now.plus(age).nanos() / period;
                if window > state.window {
                    (state.window, state.used) = (window, 0);
                }
            }
            Kind::Sliding { .. } => {
                while state.log.front().is_some_and(|(at, _)| now.since(*at) >= period) {
                    state.used -= state.log.pop_front().map_or(0, |(_, units)| units);
                }
            }
            Kind::Concurrent => {}
        }
        state.at = now;
    }

    /// How long a demand has to wait; not at all if there is room.
    fn wait(&mut self, now: Time, units: u64) -> Option<u64> {
        self.turn(now);
        let state = &self.state;
        match self.kind {
            Kind::Bucket { burst, .. } => {
                let missing = units.min(burst) as f64 - state.level;
                (missing > 1e-9).then(|| (missing / self.rate()).ceil() as u64)
            }
            Kind::Fixed { age } => {
                let rest = self.period - now.plus(age).nanos() % self.period;
                (state.used + units > self.amount).then_some(rest)
            }
            Kind::Sliding { .. } => {
                let mut used = state.used;
                if used + units <= self.amount {
                    return None;
                }
                let enough = state.log.iter().find(|(_, spent)| {
                    used -= spent;
                    used + units <= self.amount
                });
                enough.map(|(at, _)| at.plus(self.period).since(now))
            }
            Kind::Concurrent => (state.used >= self.amount).then_some(0),
        }
    }

    fn spend(&mut self, now: Time, units: u64) {
        self.turn(now);
        let state = &mut self.state;
        match self.kind {
            Kind::Bucket { .. } => state.level -= units as f64,
            Kind::Fixed { .. } => state.used += units,
            Kind::Sliding { .. } => {
                state.used += units;
                state.log.push_back((now, units));
            }
            Kind::Concurrent => state.used += 1,
        }
    }

    fn reading(&mut self, now: Time) -> Option<LimitReading> {
        self.turn(now);
        let state = &self.state;
        let (left, reset) = match self.kind {
            Kind::Bucket { burst, shows_amount } => {
                let missing = burst as f64 - state.level;
                let of = if shows_amount { self.amount } else { burst };
                ((of as f64 - missing).max(0.0) as u64, (missing / self.rate()).ceil() as u64)
            }
            Kind::Fixed { age } => {
                let rest = self.period - now.plus(age).nanos() % self.period;
                (self.amount.saturating_sub(state.used), rest)
            }
            Kind::Sliding { shows_oldest } => {
                let log = &state.log;
                let entry = if shows_oldest { log.front() } else { log.back() };
                let rest = entry.map_or(0, |(at, _)| at.plus(self.period).since(now));
                (self.amount.saturating_sub(state.used), rest)
            }
            Kind::Concurrent => return None,
        };
        Some(LimitReading {
            limit: Some(self.amount),
            remaining: Some(left),
            reset: Some(Duration::from_nanos(reset)),
            ..LimitReading::new(self.metered, Scope::Model, Refill::Rolling)
        })
    }

    /// What it allows in so long, beside what is saved up.
    pub(super) fn allows(&self, nanos: u64) -> f64 {
        self.rate() * nanos as f64
    }
}

/// What an account tells of its limits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tells {
    pub(super) headers: bool,
    /// Figures that the headers leave out.
    pub(super) no_limit: bool,
    pub(super) no_reset: bool,
    pub(super) retry_after: bool,
    /// Resets are whole seconds, rounded up.
    pub(super) rounds: bool,
    /// Figures are so old, in nanoseconds.
    pub(super) lag: u64,
    /// Seconds that the clock of the resets is off.
    pub(super) offset: i64,
}

/// An account at the provider.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) limiters: Vec<Limiter>,
    pub(super) tells: Tells,
    pub(super) counts_refused: bool,
    /// Readings that are not told yet.
    old: VecDeque<(Time, Vec<LimitReading>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) accepted: bool,
    pub(super) retry_after: Option<Duration>,
    pub(super) readings: Vec<LimitReading>,
}

impl Account {
    pub(super) fn new(limiters: Vec<Limiter>, tells: Tells) -> Self {
        Self { limiters, tells, counts_refused: false, old: VecDeque::new() }
    }

    /// A request has arrived.
    pub(super) fn ask(&mut self, now: Time, cost: &Cost) -> Answer {
        let waits: Vec<_> =
            self.limiters.iter_mut().map(|l| l.wait(now, cost.of(l.metered))).collect();
        let wait = waits.into_iter().flatten().max();
        if wait.is_none() || self.counts_refused {
            self.limiters.iter_mut().for_each(|l| l.spend(now, cost.of(l.metered)));
        }
        let is_rounded = self.tells.rounds;
        let told = |nanos: u64| match is_rounded {
            true => Duration::from_secs(nanos.div_ceil(SECOND)),
            false => Duration::from_nanos(nanos),
        };
        let retry_after = wait.filter(|wait| *wait > 0 && self.tells.retry_after).map(told);
        Answer { accepted: wait.is_none(), retry_after, readings: self.readings(now, told) }
    }

    fn readings(&mut self, now: Time, told: impl Fn(u64) -> Duration) -> Vec<LimitReading> {
        let Tells { headers, no_limit, no_reset, lag, offset, .. } = self.tells;
        if !headers {
            return Vec::new();
        }
        let mut readings: Vec<_> =
            self.limiters.iter_mut().filter_map(|l| l.reading(now)).collect();
        for reading in &mut readings {
            let reset = reading.reset.map_or(0, |reset| reset.as_nanos() as i64);
            let reset = u64::try_from(reset + offset * SECOND as i64).unwrap_or(0);
            reading.reset = Some(told(reset)).filter(|_| !no_reset);
            reading.limit = reading.limit.filter(|_| !no_limit);
        }
        if lag == 0 {
            return readings;
        }
        self.old.push_back((now, readings));
        while self.old.get(1).is_some_and(|(at, _)| now.since(*at) >= lag) {
            self.old.pop_front();
        }
        self.old.front().map(|(_, readings)| readings.clone()).unwrap_or_default()
    }

    /// Another client has sent a request.
    pub(super) fn spend(&mut self, now: Time, cost: &Cost) {
        let fits = self.limiters.iter_mut().all(|l| l.wait(now, cost.of(l.metered)).is_none());
        if fits {
            self.limiters.iter_mut().for_each(|l| l.spend(now, cost.of(l.metered)));
        }
    }

    /// A request has ended that was accepted.
    pub(super) fn end(&mut self) {
        for limiter in self.limiters.iter_mut().filter(|l| l.kind == Kind::Concurrent) {
            limiter.state.used = limiter.state.used.saturating_sub(1);
        }
    }

    /// Its limits are so many times what they were.
    pub(super) fn scale(&mut self, now: Time, factor: f64) {
        for limiter in &mut self.limiters {
            limiter.turn(now);
            limiter.amount = (limiter.amount as f64 * factor) as u64;
            if let Kind::Bucket { burst, .. } = &mut limiter.kind {
                *burst = ((*burst as f64 * factor) as u64).max(1);
            }
        }
    }
}
