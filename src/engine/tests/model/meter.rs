//! The count against one limit.

use jiff::Timestamp;

use crate::{
    Limit,
    limit::{Metered, Window},
};

use super::{super::super::Cost, Check, View, When, bucket::Bucket, windows::Windows};

#[derive(Debug)]
pub(in super::super) struct Meter {
    pub(in super::super) limit: Limit,
    /// What was sent before is not counted.
    pub(super) since: u64,
    gauge: Gauge,
    /// When how much was taken.
    taken: Vec<(u64, u64)>,
}

/// What the provider reported in answer to a request.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Told {
    pub(in super::super) metered: Metered,
    pub(in super::super) amount: u64,
    pub(in super::super) remaining: u64,
    pub(in super::super) reset: u64,
    pub(super) cost: Cost,
    pub(super) round_trip: u64,
}

impl Told {
    pub(in super::super) fn new(metered: Metered, amount: u64, remaining: u64, reset: u64) -> Self {
        let (cost, round_trip) = (Cost::default(), 0);
        Self { metered, amount, remaining, reset, cost, round_trip }
    }
}

#[derive(Debug)]
enum Gauge {
    Bucket(Bucket),
    Windows(Windows),
    Open(u64),
}

impl Meter {
    pub(super) fn new(limit: &Limit, wall: Timestamp) -> Self {
        let gauge = match (limit.metered, &limit.window) {
            (Metered::Concurrent, _) => Gauge::Open(0),
            (_, Window::Rolling) => Gauge::Bucket(Bucket::new(limit)),
            (_, Window::Fixed { zone }) => {
                Gauge::Windows(Windows::new(limit, zone.is_some(), wall))
            }
        };
        Self { limit: limit.clone(), since: 0, gauge, taken: Vec::new() }
    }

    /// Counts against another amount.
    pub(super) fn declare(&mut self, now: u64, limit: &Limit, margin: u64) {
        if self.limit == *limit {
            return;
        }
        self.limit = limit.clone();
        match &mut self.gauge {
            Gauge::Bucket(bucket) => bucket.declare(now, limit, margin),
            Gauge::Windows(windows) => windows.declare(limit),
            Gauge::Open(_) => {}
        }
    }

    pub(super) fn set_margin(&mut self, margin: u64) {
        match &mut self.gauge {
            Gauge::Bucket(bucket) => bucket.set_margin(margin),
            Gauge::Windows(windows) => windows.set_margin(margin),
            Gauge::Open(_) => {}
        }
    }

    fn units(&self, cost: &Cost) -> u64 {
        match self.limit.metered {
            Metered::Requests | Metered::Concurrent => 1,
            Metered::InputTokens => cost.input,
            Metered::OutputTokens => cost.output,
            Metered::Tokens => cost.input + cost.output,
            Metered::Spend => cost.spend,
        }
    }

    /// Whether requests of a model are counted; a pattern is a text, possibly with a `*` at its
    /// end.
    pub(super) fn counts(&self, model: Option<&str>) -> bool {
        match (self.limit.model_pattern(), model) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(model)) => match pattern.strip_suffix('*') {
                Some(beginning) => model.starts_with(beginning),
                None => model == pattern,
            },
        }
    }

    pub(super) fn when(&self, now: u64, cost: &Cost, view: View) -> When {
        match (&self.gauge, self.units(cost)) {
            (_, 0) => When::At(now),
            (Gauge::Bucket(bucket), units) => bucket.when(now, units, view),
            (Gauge::Windows(windows), units) => windows.when(now, units, view),
            (Gauge::Open(open), _) if *open < self.limit.amount() => When::At(now),
            (Gauge::Open(_), _) => When::OnChange,
        }
    }

    pub(super) fn take(&mut self, now: u64, by: usize, cost: &Cost) {
        self.taken.push((now, self.units(cost)));
        match (self.units(cost), &mut self.gauge) {
            (_, Gauge::Open(open)) => *open += 1,
            (0, _) => {}
            (units, Gauge::Bucket(bucket)) => bucket.take(now, Some(by), units, true),
            (units, Gauge::Windows(windows)) => windows.take(now, Some(by), units),
        }
    }

    /// The real amount of a reservation has become known.
    pub(super) fn settle(&mut self, now: u64, by: usize, reserved: &Cost, used: &Cost) {
        let (reserved, used) = (self.units(reserved), self.units(used));
        // Debt is bounded.
        self.correct(now, by, reserved, used.min(reserved.max(4 * self.limit.amount)));
    }

    /// Nothing was used.
    pub(super) fn refund(&mut self, now: u64, by: usize, reserved: &Cost) {
        self.correct(now, by, self.units(reserved), 0);
    }

    fn correct(&mut self, now: u64, by: usize, reserved: u64, used: u64) {
        let (more, less) = (used.saturating_sub(reserved), reserved.saturating_sub(used));
        match &mut self.gauge {
            Gauge::Bucket(bucket) if more > 0 => bucket.take(now, None, more, false),
            Gauge::Bucket(bucket) if less > 0 => bucket.give_back(by, less),
            Gauge::Windows(windows) if more > 0 => windows.take(now, None, more),
            Gauge::Windows(windows) if less > 0 => windows.give_back(now, by, less),
            _ => {}
        }
    }

    pub(super) fn release(&mut self) {
        if let Gauge::Open(open) = &mut self.gauge {
            *open -= 1;
        }
    }

    /// A report does not include what was sent within the last half of a round trip. Of what is
    /// older, the engine may assume that any part is missing.
    pub(super) fn lower(&mut self, now: u64, told: Told) {
        let own = self.units(&told.cost);
        let within = |time: u64| -> u64 {
            let from = now.saturating_sub(time);
            self.taken.iter().filter(|(at, _)| *at >= from).map(|(_, units)| units).sum()
        };
        let unseen = within(told.round_trip / 2).saturating_sub(own);
        let most = told.remaining.saturating_sub(unseen);
        let least = told.remaining.saturating_sub(within(u64::MAX));
        match &mut self.gauge {
            Gauge::Bucket(bucket) => bucket.lower(now, (least, most)),
            Gauge::Windows(windows) => windows.lower(now, (least, most), told.reset),
            Gauge::Open(_) => {}
        }
    }

    /// The end of its window, if it has one.
    pub(in super::super) fn edge(&self) -> Option<u64> {
        match &self.gauge {
            Gauge::Windows(windows) => Some(windows.end()),
            _ => None,
        }
    }

    pub(super) fn audit(&self) -> Check {
        match &self.gauge {
            Gauge::Bucket(bucket) => bucket.audit(),
            _ => Ok(()),
        }
    }
}

/// Whether two limits differ at most in their amounts.
pub(in super::super) fn is_like(one: &Limit, other: &Limit) -> bool {
    let kind = |limit: &Limit| {
        let Limit { metered, period, window, models, .. } = limit.clone();
        (metered, period, window, models)
    };
    kind(one) == kind(other)
}
