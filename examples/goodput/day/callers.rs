//! The callers of the day, and their requests.

use std::time::Duration;

use super::{ACCOUNTS, AMOUNT, Day, KINDS, LOAD, MODELS, OPERATIONS};
use crate::workload::{Job, Sent, What, poisson};

const CALLERS: u16 = 1_000;
/// The share of faulty requests, and how many of these are repeated unchanged: how often, and at which
/// interval.
const AT_FAULT: f64 = 0.02;
const REPEATED: f64 = 0.2;
const TIMES: u32 = 5;
const LATER: Duration = Duration::from_secs(1);

/// The callers in the order of their start.
pub(super) fn jobs(day: &Day, seed: u64) -> Vec<Job> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rate = LOAD * ACCOUNTS as f64 * AMOUNT as f64 / Day::limit().period().as_secs_f64();
    let mut jobs = Vec::new();
    for at in poisson(rate, day.time.as_secs_f64(), &mut rng) {
        // Timers have a resolution of a millisecond.
        let at = Duration::from_millis((at * 1_000.0) as u64);
        let kind = rng.usize(0..KINDS);
        let at_fault = rng.f64() < AT_FAULT;
        let times = if at_fault && rng.f64() < REPEATED { TIMES } else { 0 };
        let what = What {
            operation: OPERATIONS[kind % OPERATIONS.len()],
            model: MODELS[kind / OPERATIONS.len()],
            kind,
            at_fault,
            caller: Some(rng.u16(0..CALLERS)),
        };
        jobs.extend((0..=times).map(|time| Job {
            at: at + LATER * time,
            amount: 1,
            estimate: 1,
            what,
            sent: Sent::default(),
        }));
    }
    jobs.sort_by_key(|job| job.at);
    jobs
}
