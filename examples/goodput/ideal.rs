//! The best possible result of one queue, first come, first served: with perfect knowledge of limits, demands
//! and outages, and without travel times. It is computed, not simulated.

use std::time::Duration;

use crate::{
    drive::{End, Run},
    scenario::{Scenario, Window},
    workload::Job,
    world::LONGEST_ANSWER,
};

pub(crate) fn run(scenario: &Scenario, jobs: &[Job]) -> Run {
    let mut accounts: Vec<_> =
        (0..scenario.accounts.len()).map(|i| Allowance::new(scenario, i)).collect();
    let mut run = Run { accepted: vec![0; accounts.len()], ..Run::default() };
    let mut head = 0.0;
    for job in jobs {
        let (at, amount) = (job.at.as_secs_f64(), job.amount as f64);
        let now = f64::max(at, head);
        let by_room = |account: &Allowance| (account.room(now, amount), account.spoils(now));
        let best = (0..accounts.len()).min_by(|&one, &other| {
            let (one, other) = (by_room(&accounts[one]), by_room(&accounts[other]));
            one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        let Some(best) = best else { continue };
        let sent = by_room(&accounts[best]).0;
        let patience = scenario.patience.map(|patience| patience - LONGEST_ANSWER);
        if !sent.is_finite() || patience.is_some_and(|most| sent - at > most.as_secs_f64()) {
            run.ends.push(End::Deferred);
            continue;
        }
        head = sent;
        accounts[best].take(sent, amount);
        if (scenario.warm_up().as_secs_f64()..scenario.time.as_secs_f64()).contains(&sent) {
            run.accepted[best] += job.amount;
        }
        run.ends.push(End::Answered { waited: Duration::from_secs_f64((sent - at).max(0.0)) });
    }
    run
}

/// The state of the limit of one account. Times are in seconds since the first caller.
struct Allowance {
    amount: f64,
    period: f64,
    level: Level,
    outage: Option<(f64, f64)>,
}

enum Level {
    /// A token bucket: the time when it is full again, and its capacity.
    Bucket { full: f64, burst: f64 },
    /// A fixed window: its use and its end.
    Fixed { used: f64, ends: f64 },
}

impl Allowance {
    fn new(scenario: &Scenario, account: usize) -> Self {
        let limit = scenario.limit(account);
        let period = limit.period().as_secs_f64();
        let level = match scenario.window {
            Window::Bucket | Window::BucketOfOne => {
                Level::Bucket { full: f64::NEG_INFINITY, burst: limit.burst_amount() as f64 }
            }
            Window::Minutes(_) | Window::Days(_) => {
                Level::Fixed { used: 0.0, ends: period - scenario.before().as_secs_f64() }
            }
        };
        let outage = scenario.outage(account).map(|(begins, ends)| {
            let ends = if ends == Duration::MAX { f64::INFINITY } else { ends.as_secs_f64() };
            (begins.as_secs_f64(), ends)
        });
        Self { amount: limit.amount() as f64, period, level, outage }
    }

    /// The earliest time at which an amount fits.
    fn room(&self, now: f64, amount: f64) -> f64 {
        let room = match self.level {
            Level::Bucket { full, burst } => {
                let unit = self.period / self.amount;
                now.max(full - (burst - amount.min(burst)) * unit)
            }
            Level::Fixed { used, ends } if now < ends && used + amount > self.amount => ends,
            Level::Fixed { .. } => now,
        };
        match self.outage {
            Some((begins, ends)) if room >= begins && room < ends => ends,
            _ => room,
        }
    }

    /// The time from which unused capacity is lost. The account with the earliest time is used first.
    fn spoils(&self, now: f64) -> f64 {
        match self.level {
            Level::Bucket { full, .. } => full,
            Level::Fixed { used, ends } => {
                if now < ends {
                    used / self.amount
                } else {
                    0.0
                }
            }
        }
    }

    fn take(&mut self, now: f64, amount: f64) {
        match &mut self.level {
            Level::Bucket { full, .. } => {
                *full = full.max(now) + amount * self.period / self.amount;
            }
            Level::Fixed { used, ends } => {
                if now >= *ends {
                    *ends += ((now - *ends) / self.period).floor() * self.period + self.period;
                    *used = 0.0;
                }
                *used += amount;
            }
        }
    }
}
