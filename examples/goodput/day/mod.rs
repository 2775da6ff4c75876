//! A day with faults: keys that are revoked and restored or lack a scope for a while, overloaded models, an
//! auth outage of some seconds, and faulty requests.
//!
//! | module | contents |
//! | --- | --- |
//! | [`plan`] | the faults and their times, and the callers that no client could have served |
//! | [`callers`] | the callers and their requests |
//! | [`drive`], [`figures`] | a run, its figures, and how they are printed |

mod callers;
mod drive;
mod figures;
mod plan;

use std::{fmt, time::Duration};

use tower_key_rotation::Limit;

pub(crate) use figures::Figures;

use crate::workload::Operation;
use plan::{Pace, Plan};

const ACCOUNTS: usize = 10;
/// Requests per minute, of each account.
const AMOUNT: u64 = 60;
/// The offered load, as a share of the sum of the limits.
const LOAD: f64 = 0.7;
/// The time after which callers give up.
const PATIENCE: Duration = Duration::from_secs(60);
const MODELS: [&str; 3] = ["large", "medium", "small"];
const OPERATIONS: [Operation; 2] = [Operation::Chat, Operation::Responses];
/// The requests for one model and one operation.
const KINDS: usize = MODELS.len() * OPERATIONS.len();

pub(crate) struct Day {
    /// The time during which callers start.
    time: Duration,
    /// There are no faults in this time at the end. In its last quarter all keys should be in use again.
    quiet: Duration,
    pace: Pace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pool,
    ByStatus,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Pool, Self::ByStatus];

    fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::ByStatus => "round robin by status",
        }
    }
}

pub(crate) struct Row {
    name: String,
    pub(crate) kind: Kind,
    pub(crate) figures: Figures,
}

/// Twenty-four hours, or a short day of thirty minutes.
pub(crate) fn all(short: bool) -> Vec<Day> {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    vec![if short {
        let pace = Pace { keys: 60.0, longest_key_trouble: 240.0, provider: 30.0 };
        Day { time: minutes(30), quiet: minutes(10), pace }
    } else {
        let pace = Pace { keys: 1_200.0, longest_key_trouble: 2_400.0, provider: 900.0 };
        Day { time: minutes(24 * 60), quiet: minutes(2 * 60), pace }
    }]
}

impl Day {
    pub(crate) fn name(&self) -> String {
        self.to_string()
    }

    /// Runs the day with each client, and prints the figures.
    pub(crate) fn rows(&self, seed: u64) -> Vec<Row> {
        let jobs = callers::jobs(self, seed);
        let plan = Plan::of(self, seed);
        let excuses: Vec<_> = jobs.iter().map(|job| plan.excuse(job)).collect();
        figures::head(self, &plan, &excuses);
        let run = |kind| {
            let run = drive::run(self, &plan, &jobs, kind, seed);
            let figures = Figures::of(self, &excuses, &run);
            figures::row(kind.name(), &figures);
            Row { name: self.name(), kind, figures }
        };
        Kind::ALL.map(run).into()
    }

    /// The end of the last fault.
    fn quiet_from(&self) -> Duration {
        self.time - self.quiet
    }

    fn limit() -> Limit {
        Limit::requests(AMOUNT).per_minute()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{ACCOUNTS} x {AMOUNT} requests/min, bucket, Poisson {LOAD}x, a day with faults, callers \
             give up after {} s",
            PATIENCE.as_secs()
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
