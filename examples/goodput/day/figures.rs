//! The figures of a day, and how they are printed.

use std::time::Duration;

use super::{
    ACCOUNTS, AMOUNT, Day, KINDS,
    drive::Run,
    plan::{Cause, Plan},
};
use crate::{drive::End, figures::percentile};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// The accepted share of what the limits allow.
    accepted: f64,
    refused: u64,
    errors: usize,
    deferred: usize,
    gave_up: usize,
    /// The share of callers with an answer in time.
    answered: f64,
    /// Callers without an answer: those that no client could have served, and the others.
    unavoidable: usize,
    pub(crate) avoidable: usize,
    calls: u64,
    /// Calls beyond the first one of each request, in percent of all calls.
    pub(crate) extra: f64,
    /// Keys that are unused at the end for requests that the provider would accept.
    pub(crate) out: usize,
    /// From the start of a caller to the departure of the call that was answered.
    p50: Duration,
    p99: Duration,
}

impl Figures {
    pub(super) fn of(day: &Day, excuses: &[Option<Cause>], run: &Run) -> Self {
        let count = |is: fn(&End) -> bool| run.ends.iter().filter(|(end, _)| is(end)).count();
        let unanswered =
            excuses.iter().zip(&run.ends).filter(|(_, (end, _))| waited(end).is_none());
        let (excused, avoidable): (Vec<_>, Vec<_>) =
            unanswered.partition(|(excuse, _)| excuse.is_some());
        let mut waits: Vec<_> = run.ends.iter().filter_map(|(end, _)| waited(end)).collect();
        waits.sort_unstable();
        let calls: u64 = run.ends.iter().map(|(_, calls)| u64::from(*calls)).sum();
        let extra = run.ends.iter().map(|(_, calls)| u64::from(calls.saturating_sub(1)));
        let limit = Day::limit();
        let periods = day.time.as_secs_f64() / limit.period().as_secs_f64();
        let allowed = ACCOUNTS as f64 * (AMOUNT as f64 * periods + limit.burst_amount() as f64);
        let of_keys = run.at_last.chunks(KINDS);
        Self {
            accepted: run.seen.accepted as f64 / allowed,
            refused: run.seen.rate_limited,
            errors: count(|end| matches!(end, End::Failed)),
            deferred: count(|end| matches!(end, End::Deferred)),
            gave_up: count(|end| matches!(end, End::GaveUp)),
            answered: waits.len() as f64 / run.ends.len().max(1) as f64,
            unavoidable: excused.len(),
            avoidable: avoidable.len(),
            calls,
            extra: 100.0 * extra.sum::<u64>() as f64 / calls.max(1) as f64,
            out: of_keys.filter(|accepted| accepted.contains(&0)).count(),
            p50: percentile(&waits, 50),
            p99: percentile(&waits, 99),
        }
    }
}

fn waited(end: &End) -> Option<Duration> {
    match end {
        End::Answered { waited } => Some(*waited),
        End::Deferred | End::Failed | End::GaveUp => None,
    }
}

pub(super) fn head(day: &Day, plan: &Plan, excuses: &[Option<Cause>]) {
    let of = |cause| excuses.iter().filter(|excuse| **excuse == Some(cause)).count();
    println!();
    println!("{day}; {} callers in {} s", excuses.len(), day.time.as_secs());
    println!("  {}", plan.summary());
    println!(
        "  no client can help {} requests that are at fault, {} in an outage, {} for a model that is \
         overloaded too long",
        of(Cause::AtFault),
        of(Cause::Outage),
        of(Cause::Overload)
    );
    println!(
        "  no help, avoidable: callers without an answer, of these and of all others; extra: calls \
         beyond one for each request; out: keys not in use at the end"
    );
    println!(
        "  {:<26}|accepted|    429 | errors |deferred| gave up| in time| no help|avoidable|   calls | \
         extra % | out |     p50 |     p99",
        "client"
    );
}

pub(super) fn row(name: &str, figures: &Figures) {
    let Figures { accepted, refused, errors, deferred, gave_up, answered, .. } = figures;
    let Figures { unavoidable, avoidable, calls, extra, out, p50, p99, .. } = figures;
    println!(
        "  {name:<26}| {accepted:>6.4} | {refused:>6} | {errors:>6} | {deferred:>6} | {gave_up:>6} | \
         {answered:>6.4} | {unavoidable:>6} | {avoidable:>7} | {calls:>7} | {extra:>7.2} | {out:>3} | \
         {:>7.2} | {:>7.2}",
        p50.as_secs_f64(),
        p99.as_secs_f64(),
    );
}
