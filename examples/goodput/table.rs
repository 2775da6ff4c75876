//! The table.

use crate::{args::Args, figures::Figures, scenario::Scenario, workload::Job};

pub(crate) fn begin(args: &Args) {
    let length = if args.short { "short" } else { "whole" };
    println!("goodput: {length} run, seed {}, virtual time", args.seed);
    println!();
    println!(
        "pool      this crate; where callers give up, max_wait leaves time for the longest answer"
    );
    println!("          (or callers tell their deadline, in the row that says so)");
    println!("accepted  what the provider accepted while callers came, of what its limits allow");
    println!("useful    the same, of which callers still waited for the answer");
    println!("429       refusals by the provider");
    println!(
        "errors    seen by callers; told: by the pool, at once or in time, to come back later"
    );
    println!("in time   answers that callers still waited for, of all callers");
    println!(
        "p50, p99  from a caller's coming to the call's leaving, in s; beside them the ideal's"
    );
}

pub(crate) fn head(scenario: &Scenario, jobs: &[Job]) {
    println!();
    println!("{scenario}; {} callers in {} s", jobs.len(), scenario.time.as_secs());
    println!(
        "  {:<26}|accepted| useful |    429 | errors |   told | gave up| in time|  jain  |     p50 \
         |     p99 | ideal p50 | ideal p99 | p99 ratio",
        "client"
    );
}

pub(crate) fn row(name: &str, figures: &Figures, ideal: &Figures) {
    let Figures { goodput, useful, refused, errors, told, gave_up, answered, jain, p50, p99 } =
        figures;
    println!(
        "  {name:<26}| {goodput:>6.4} | {useful:>6.4} | {refused:>6} | {errors:>6} | {told:>6} | \
         {gave_up:>6} | {answered:>6.4} | {jain:>6.4} | {:>7.2} | {:>7.2} | {:>9.2} | {:>9.2} | \
         {:>9.3}",
        p50.as_secs_f64(),
        p99.as_secs_f64(),
        ideal.p50.as_secs_f64(),
        ideal.p99.as_secs_f64(),
        figures.beyond(ideal),
    );
}
