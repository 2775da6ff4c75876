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
    gauge: Gauge,
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
        Self { limit: limit.clone(), gauge }
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

    /// Whether requests of a model are counted: patterns are a text, perhaps with a `*` at its end.
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
        match (self.units(cost), &mut self.gauge) {
            (_, Gauge::Open(open)) => *open += 1,
            (0, _) => {}
            (units, Gauge::Bucket(bucket)) => bucket.take(now, units, true),
            (units, Gauge::Windows(windows)) => windows.take(now, Some(by), units),
        }
    }

    /// What was reserved by whoever was admitted at `taken` turns out to have been so much.
    pub(super) fn settle(&mut self, now: u64, by: usize, taken: u64, reserved: &Cost, used: &Cost) {
        self.correct(now, by, taken, self.units(reserved), self.units(used));
    }

    /// It was nothing at all.
    pub(super) fn refund(&mut self, now: u64, by: usize, taken: u64, reserved: &Cost) {
        self.correct(now, by, taken, self.units(reserved), 0);
    }

    fn correct(&mut self, now: u64, by: usize, taken: u64, reserved: u64, used: u64) {
        let (more, less) = (used.saturating_sub(reserved), reserved.saturating_sub(used));
        match &mut self.gauge {
            Gauge::Bucket(bucket) if more > 0 => bucket.take(now, more, false),
            Gauge::Bucket(bucket) if less > 0 => bucket.give_back(now, taken, less),
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

    pub(super) fn lower(&mut self, now: u64, remaining: u64, reset: u64) {
        match &mut self.gauge {
            Gauge::Bucket(bucket) => bucket.lower(now, remaining),
            Gauge::Windows(windows) => windows.lower(now, remaining, reset),
            Gauge::Open(_) => {}
        }
    }

    /// The end of its window, if it has any.
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
