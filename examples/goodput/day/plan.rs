//! The faults of the day, their times, and the callers that no client could have served.

use std::{ops::Range, time::Duration};

use tokio::time::{Instant, sleep_until};
use tower_key_rotation::sandbox::{Fault, Sandbox};

use super::{ACCOUNTS, Day, MODELS, OPERATIONS, PATIENCE};
use crate::{
    uplink::{LONGEST_TRAVEL, NO_SUCH_ORGANIZATION, ORGANIZATION, secret},
    workload::{Job, Operation, wait},
    world::LONGEST_ANSWER,
};

/// In seconds.
const KEY_TROUBLE_AT_LEAST: f64 = 30.0;
const OVERLOAD: Range<f64> = 20.0..300.0;
const OUTAGE: Range<f64> = 1.0..10.0;
/// The minimum time between two faults of one kind; a random time is added. By then, callers that waited for
/// the end of the first fault have been served.
const APART: f64 = 120.0;

/// The end of an overload is not announced. A client that tries every five seconds gets an answer up to this
/// much later.
const NOTICED: Duration = Duration::from_secs(5).saturating_add(LONGEST_ANSWER);

#[derive(Clone)]
pub(crate) struct Plan {
    /// The faults in the order of their start.
    troubles: Vec<Trouble>,
}

/// A fault of some duration.
#[derive(Clone, Copy)]
struct Trouble {
    what: What,
    begins: Duration,
    ends: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// The key of an account is unknown.
    Revoked(usize),
    /// The key of an account lacks the scope for an operation.
    Restricted(usize, Operation),
    Overloaded(&'static str),
    /// No key is known: an auth outage.
    Outage,
}

/// The mean times between faults, in seconds.
pub(super) struct Pace {
    pub(super) keys: f64,
    pub(super) longest_key_trouble: f64,
    pub(super) provider: f64,
}

/// Why no client could have served a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The request is at fault.
    AtFault,
    /// No key is known when the caller starts.
    Outage,
    /// The model is overloaded for longer than the caller waits.
    Overload,
}

impl Plan {
    pub(crate) fn of(day: &Day, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(1));
        let (until, pace) = (day.quiet_from().as_secs_f64(), &day.pace);
        let mut troubles = Vec::new();
        // At most one key of an even account is revoked at a time, and one key of an odd account lacks a
        // scope. The other keys have room for all requests.
        let key_trouble = |rng: &mut fastrand::Rng| {
            let longest = pace.longest_key_trouble / KEY_TROUBLE_AT_LEAST;
            (2 * rng.usize(0..ACCOUNTS / 2), KEY_TROUBLE_AT_LEAST * longest.powf(rng.f64()))
        };
        troubles.extend(lane(pace.keys, until, &mut rng, |rng| {
            let (account, time) = key_trouble(rng);
            (What::Revoked(account), time)
        }));
        troubles.extend(lane(pace.keys, until, &mut rng, |rng| {
            let (account, time) = key_trouble(rng);
            (What::Restricted(account + 1, OPERATIONS[rng.usize(0..OPERATIONS.len())]), time)
        }));
        // Overloads and outages do not overlap, so that a caller that waits for the end of an overload does
        // not meet an outage.
        let mut is_outage = false;
        troubles.extend(lane(pace.provider, until, &mut rng, |rng| {
            is_outage = !is_outage;
            if is_outage {
                (What::Outage, between(OUTAGE, rng))
            } else {
                (What::Overloaded(MODELS[rng.usize(0..MODELS.len())]), between(OVERLOAD, rng))
            }
        }));
        troubles.sort_by_key(|trouble| trouble.begins);
        Self { troubles }
    }

    /// Starts the faults now.
    pub(crate) async fn play(self, sandbox: Sandbox) {
        let start = Instant::now();
        sandbox.fail(Fault::reject_header(ORGANIZATION, NO_SUCH_ORGANIZATION));
        let mut faults: Vec<_> = self.troubles.iter().flat_map(Trouble::faults).collect();
        faults.sort_by_key(|(at, _)| *at);
        for (at, fault) in faults {
            sleep_until(start + at).await;
            sandbox.fail(fault);
        }
    }

    /// Why no client could have served this request in time, if that is so.
    pub(crate) fn excuse(&self, job: &Job) -> Option<Cause> {
        if job.what.at_fault {
            return Some(Cause::AtFault);
        }
        let end = |what: What| {
            let among = self.troubles.iter().filter(|trouble| trouble.what == what);
            // The request travels for some milliseconds.
            let met =
                among.filter(|met| met.begins <= job.at + LONGEST_TRAVEL && job.at < met.ends);
            met.map(|met| met.ends).max()
        };
        if end(What::Outage).is_some() {
            return Some(Cause::Outage);
        }
        let ends = end(What::Overloaded(job.what.model))?;
        (ends.saturating_sub(job.at) > PATIENCE - LONGEST_ANSWER - NOTICED)
            .then_some(Cause::Overload)
    }

    /// The number of faults of each kind, in words.
    pub(crate) fn summary(&self) -> String {
        let count = |is: fn(&What) -> bool| {
            self.troubles.iter().filter(|trouble| is(&trouble.what)).count()
        };
        format!(
            "{} times a key is revoked, {} times one lacks a scope, {} overloads of a model, {} outages",
            count(|what| matches!(what, What::Revoked(_))),
            count(|what| matches!(what, What::Restricted(..))),
            count(|what| matches!(what, What::Overloaded(_))),
            count(|what| matches!(what, What::Outage)),
        )
    }
}

impl Trouble {
    /// The calls that start and end the fault.
    fn faults(&self) -> Vec<(Duration, Fault)> {
        let time = self.ends - self.begins;
        let restore = |account| (self.ends, Fault::restore(secret(account)));
        match self.what {
            What::Revoked(account) => {
                vec![(self.begins, Fault::revoke(secret(account))), restore(account)]
            }
            What::Restricted(account, operation) => {
                let part = match operation {
                    Operation::Chat => "/chat/completions",
                    Operation::Responses => "/responses",
                };
                vec![(self.begins, Fault::forbid_path(secret(account), part)), restore(account)]
            }
            What::Overloaded(model) => vec![(self.begins, Fault::overload_model(model, time))],
            What::Outage => vec![(self.begins, Fault::auth_outage(time))],
        }
    }
}

/// Faults one after the other, until there is no time for the next one.
fn lane(
    mean: f64,
    until: f64,
    rng: &mut fastrand::Rng,
    mut next: impl FnMut(&mut fastrand::Rng) -> (What, f64),
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let mut begins = mean * rng.f64();
    loop {
        let (what, time) = next(rng);
        let ends = begins + time;
        if ends > until {
            return troubles;
        }
        troubles.push(Trouble { what, begins: millis(begins), ends: millis(ends) });
        begins = ends + APART + wait(mean, rng);
    }
}

fn between(range: Range<f64>, rng: &mut fastrand::Rng) -> f64 {
    range.start + (range.end - range.start) * rng.f64()
}

/// Timers have a resolution of a millisecond.
fn millis(seconds: f64) -> Duration {
    Duration::from_millis((seconds * 1_000.0) as u64)
}
