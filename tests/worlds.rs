//! Two simulated hours of trouble with a provider that knows the truth, and an hour of peace after them.
//!
//! A world is drawn from a seed: accounts with keys, limits that the pool knows or does not, a plan of
//! troubles with their times (`worlds/plan.rs`), and traffic by chance (`worlds/traffic.rs`), a part of
//! which is at fault itself. The provider (`worlds/world.rs`) goes by the plan and keeps a book of every
//! call. Nothing is asserted on the inside of the pool: what its users were answered, what the provider
//! saw and what the snapshot says is held against the plan (`worlds/promises.rs`).
//!
//! `WORLDS=500` tries so many seeds, `WORLD=17` that one alone.
#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "worlds/dialect.rs"]
mod dialect;
#[path = "worlds/plan.rs"]
mod plan;
#[path = "worlds/promises.rs"]
mod promises;
#[path = "worlds/traffic.rs"]
mod traffic;
#[path = "worlds/world.rs"]
mod world;

use plan::{FEW, Fault, MANY, Plan};
use promises::Broken;
use traffic::Run;

/// So many seeds unless told otherwise.
const WORLDS: u64 = 40;

#[test]
fn every_promise_is_kept_in_every_world() {
    in_every_world(Plan::of_troubles, promises::of_troubles);
}

#[test]
fn requests_at_fault_change_nothing() {
    let plan = |seed| Plan::of_faults(seed, FEW, &Fault::PLAIN);
    in_every_world(plan, promises::of_faults);
}

#[test]
#[ignore = "once no second opinion is left, what two requests at fault say of a key is believed"]
fn many_requests_at_fault_change_nothing() {
    let plan = |seed| Plan::of_faults(seed, MANY, &Fault::PLAIN);
    in_every_world(plan, promises::of_faults);
}

#[test]
#[ignore = "a request that is always told to be too many holds up others"]
fn requests_that_are_always_too_many_change_nothing() {
    let plan = |seed| Plan::of_faults(seed, FEW, &[Fault::Limited]);
    in_every_world(plan, promises::of_faults);
}

fn in_every_world(plan: impl Fn(u64) -> Plan, promises: impl Fn(&Run) -> Vec<Broken>) {
    let broken: Vec<_> = seeds().into_iter().flat_map(|seed| promises(&live(plan(seed)))).collect();
    let told: Vec<_> = broken.iter().take(100).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{} promises were broken:\n{}", broken.len(), told.join("\n"));
}

/// One world from its beginning to its end, by the same chances for the same seed.
fn live(plan: Plan) -> Run {
    fastrand::seed(plan.seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let run = runtime.block_on(traffic::live(plan));
    if std::env::var_os("WORLD").is_some() {
        println!("{run}");
    }
    run
}

fn seeds() -> Vec<u64> {
    let told = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    match (told("WORLD"), told("WORLDS")) {
        (Some(only), _) => vec![only],
        (None, Some(worlds)) => (0..worlds).collect(),
        (None, None) => (0..WORLDS).collect(),
    }
}
