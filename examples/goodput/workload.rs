//! The callers, their times and their demands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::scenario::{Arrivals, Metered, Scenario};

/// Tokens of a request: a bounded Pareto distribution. Most requests are small, and a few use most of the
/// tokens.
const LEAST: f64 = 200.0;
const MOST: f64 = 20_000.0;
const SHAPE: f64 = 1.2;

const ON: f64 = 20.0;
const OFF: f64 = 40.0;

/// One request of a caller.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The start of the caller, counted from the first caller.
    pub(crate) at: Duration,
    /// Its real use of the limits, and the estimate of its caller.
    pub(crate) amount: u64,
    pub(crate) estimate: u64,
    pub(crate) what: What,
    pub(crate) sent: Sent,
}

/// The content of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct What {
    pub(crate) operation: Operation,
    pub(crate) model: &'static str,
    /// Its number among the kinds of requests that the uplink counts separately.
    pub(crate) kind: usize,
    /// Whether it names an organisation that does not exist.
    pub(crate) at_fault: bool,
    /// The number of its caller, if callers are distinguished.
    pub(crate) caller: Option<u16>,
}

impl What {
    /// For scenarios with equal requests.
    pub(crate) const CHAT: Self =
        Self { operation: Operation::Chat, model: "m", kind: 0, at_fault: false, caller: None };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    Responses,
}

/// The calls for a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// The time of the latest call, in nanoseconds of the clock of the uplink.
    latest: AtomicU64,
    number: AtomicU32,
}

impl Sent {
    pub(crate) fn set(&self, at: Duration) {
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.0.latest.store(nanos, Ordering::Relaxed);
        self.0.number.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.latest.load(Ordering::Relaxed))
    }

    pub(crate) fn calls(&self) -> u32 {
        self.0.number.load(Ordering::Relaxed)
    }
}

/// The callers of a scenario, in the order of their start.
pub(crate) fn jobs(scenario: &Scenario, seed: u64) -> Vec<Job> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mean = match scenario.metered {
        Metered::Requests => 1.0,
        Metered::Tokens(..) => mean_tokens(),
    };
    let rate = scenario.load * scenario.rate() / mean;
    let times = match scenario.arrivals {
        Arrivals::Poisson => poisson(rate, scenario.time.as_secs_f64(), &mut rng),
        Arrivals::Bursty => bursty(rate, scenario.time.as_secs_f64(), &mut rng),
    };
    times.into_iter().map(|at| job(at, scenario.metered, &mut rng)).collect()
}

fn job(at: f64, metered: Metered, rng: &mut fastrand::Rng) -> Job {
    let (amount, estimate) = match metered {
        Metered::Requests => (1, 1),
        Metered::Tokens(least, most) => {
            let amount = tokens(rng);
            // Half the amount is as likely as twice the amount.
            let factor = least * (most / least).powf(rng.f64());
            (amount.round() as u64, (amount * factor).round().min(MOST) as u64)
        }
    };
    // Timers have a resolution of a millisecond.
    let at = Duration::from_millis((at * 1_000.0) as u64);
    Job { at, amount, estimate, what: What::CHAT, sent: Sent::default() }
}

pub(crate) fn poisson(rate: f64, end: f64, rng: &mut fastrand::Rng) -> Vec<f64> {
    let mut at = 0.0;
    let next = std::iter::from_fn(|| {
        at += wait(1.0 / rate, rng);
        (at < end).then_some(at)
    });
    next.collect()
}

fn bursty(rate: f64, end: f64, rng: &mut fastrand::Rng) -> Vec<f64> {
    let busy = rate * (ON + OFF) / ON;
    let (mut begins, mut all) = (0.0, Vec::new());
    while begins < end {
        let ends = (begins + wait(ON, rng)).min(end);
        all.extend(poisson(busy, ends - begins, rng).into_iter().map(|at| begins + at));
        begins = ends + wait(OFF, rng);
    }
    all
}

/// An exponentially distributed time.
pub(crate) fn wait(mean: f64, rng: &mut fastrand::Rng) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

fn tokens(rng: &mut fastrand::Rng) -> f64 {
    let rest = 1.0 - (LEAST / MOST).powf(SHAPE);
    LEAST * (1.0 - rng.f64() * rest).powf(-1.0 / SHAPE)
}

fn mean_tokens() -> f64 {
    let rest = 1.0 - (LEAST / MOST).powf(SHAPE);
    let between = LEAST.powf(1.0 - SHAPE) - MOST.powf(1.0 - SHAPE);
    LEAST.powf(SHAPE) / rest * SHAPE / (SHAPE - 1.0) * between
}
