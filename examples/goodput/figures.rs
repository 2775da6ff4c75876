//! The figures of a run.

use std::time::Duration;

use crate::{
    drive::{End, Run},
    scenario::Scenario,
    workload::Job,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// The accepted share of what the limits allow while callers start.
    pub(crate) goodput: f64,
    /// The same share, only of answers that callers still waited for.
    pub(crate) useful: f64,
    pub(crate) refused: u64,
    pub(crate) errors: usize,
    pub(crate) deferred: usize,
    pub(crate) gave_up: usize,
    /// The share of callers with an answer in time.
    pub(crate) answered: f64,
    pub(crate) jain: f64,
    /// From the start of a caller to the departure of the call that was answered.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Figures {
    pub(crate) fn of(scenario: &Scenario, jobs: &[Job], run: &Run) -> Self {
        let allowed: Vec<_> = (0..scenario.accounts.len()).map(|i| scenario.allowed(i)).collect();
        let sum: f64 = allowed.iter().sum();
        let count = |is: fn(&End) -> bool| run.ends.iter().filter(|end| is(end)).count();
        let answers = || {
            jobs.iter().zip(&run.ends).filter_map(|(job, end)| match end {
                End::Answered { waited } => Some((job, *waited)),
                _ => None,
            })
        };
        let counted = scenario.warm_up()..scenario.time;
        let useful = answers().filter(|(job, waited)| counted.contains(&(job.at + *waited)));
        let mut waits: Vec<_> = answers().map(|(_, waited)| waited).collect();
        waits.sort_unstable();
        let shares = run.accepted.iter().zip(&allowed).map(|(got, may)| *got as f64 / may);
        Self {
            goodput: run.accepted.iter().sum::<u64>() as f64 / sum,
            useful: useful.map(|(job, _)| job.amount).sum::<u64>() as f64 / sum,
            refused: run.refused,
            errors: count(|end| matches!(end, End::Failed)),
            deferred: count(|end| matches!(end, End::Deferred)),
            gave_up: count(|end| matches!(end, End::GaveUp)),
            answered: waits.len() as f64 / jobs.len().max(1) as f64,
            jain: jain(&shares.collect::<Vec<_>>()),
            p50: percentile(&waits, 50),
            p99: percentile(&waits, 99),
        }
    }

    /// How much longer than the ideal the longest waits are. Timers have a resolution of a millisecond.
    pub(crate) fn beyond(&self, ideal: &Self) -> f64 {
        let exact = 0.001;
        (self.p99.as_secs_f64() + exact) / (ideal.p99.as_secs_f64() + exact)
    }
}

/// Jain's fairness index: 1 if all shares are equal.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 }
}

/// The percentile by the nearest-rank method.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
