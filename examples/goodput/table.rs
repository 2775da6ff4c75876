//! The printed table.

use crate::{args::Args, figures::Figures, scenario::Scenario, workload::Job};

pub(crate) fn begin(args: &Args) {
    let length = if args.short { "short" } else { "whole" };
    println!("goodput: {length} run, seed {}, virtual time", args.seed);
    println!();
    println!(
        "pool      this crate; if callers give up, max_wait leaves time for the longest answer"
    );
    println!("          (or callers state a deadline, in the row that says so)");
    println!("accepted  the accepted share of what the limits allow while callers start");
    println!("useful    the same share, only of answers that callers still waited for");
    println!("429       refusals by the provider");
    println!("errors    seen by callers; deferred: refused by the pool, with a time to wait");
    println!("in time   the share of callers with an answer while they still waited");
    println!(
        "p50, p99  from the start of a caller to the departure of its call, in s; and of the ideal"
    );
}

pub(crate) fn head(scenario: &Scenario, jobs: &[Job]) {
    println!();
    println!("{scenario}; {} callers in {} s", jobs.len(), scenario.time.as_secs());
    println!(
        "  {:<26}|accepted| useful |    429 | errors |deferred| gave up| in time|  jain  |     p50 \
         |     p99 | ideal p50 | ideal p99 | p99 ratio",
        "client"
    );
}

pub(crate) fn row(name: &str, figures: &Figures, ideal: &Figures) {
    let Figures { goodput, useful, refused, errors, deferred, gave_up, answered, jain, p50, p99 } =
        figures;
    println!(
        "  {name:<26}| {goodput:>6.4} | {useful:>6.4} | {refused:>6} | {errors:>6} | {deferred:>6} | \
         {gave_up:>6} | {answered:>6.4} | {jain:>6.4} | {:>7.2} | {:>7.2} | {:>9.2} | {:>9.2} | \
         {:>9.3}",
        p50.as_secs_f64(),
        p99.as_secs_f64(),
        ideal.p50.as_secs_f64(),
        ideal.p99.as_secs_f64(),
        figures.beyond(ideal),
    );
}
