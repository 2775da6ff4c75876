//! What one answer tells of one limit, and of which request.

use crate::{
    engine::time::{SECOND, Time, nanos},
    provider::LimitReading,
};

/// No limit has a larger amount.
const MOST: u64 = 1 << 50;
/// No window lasts longer: 31 days.
const LONGEST: u64 = 31 * 86_400 * SECOND;

/// A request among others, counted in the units of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) sent: Time,
    /// How many requests had been sent, itself included.
    pub(super) number: u64,
    pub(super) cost: u64,
    /// All that had been sent up to this request, itself included, and all that has been until now.
    pub(super) then: u64,
    pub(super) total: u64,
    /// What others cost that were under way when it was sent.
    pub(super) beside: u64,
}

/// The figures of an answer, as far as they make sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) request: Request,
    pub(super) came: Time,
    pub(super) left: u64,
    pub(super) limit: Option<u64>,
    /// The period that the dialect knows, in nanoseconds.
    pub(super) label: Option<u64>,
    /// Nanoseconds until all of it is back.
    pub(super) reset: Option<u64>,
}

impl Answer {
    /// Nothing if it does not tell what is left.
    pub(super) fn new(now: Time, reading: &LimitReading, request: Request) -> Option<Self> {
        let lasts = |time: std::time::Duration| {
            Some(nanos(time)).filter(|time| (1..=LONGEST).contains(time))
        };
        Some(Self {
            request,
            came: now,
            left: reading.remaining.filter(|left| *left <= MOST)?,
            limit: reading.limit.filter(|limit| (1..=MOST).contains(limit)),
            label: reading.period.and_then(lasts),
            reset: reading.reset.and_then(lasts),
        })
    }

    /// What was there before the request took its cost: no more than the limit, for a refused request takes none.
    pub(super) fn before(&self) -> u64 {
        let before = self.left.saturating_add(self.request.cost);
        self.limit.map_or(before, |limit| before.min(limit.max(self.left)))
    }

    /// When all of it is back at the latest: the reset counts from when the provider saw the request, and that was
    /// before the answer came.
    pub(super) fn full(&self) -> Option<Time> {
        self.reset.map(|reset| self.came.plus(reset))
    }

    /// The same at the earliest.
    pub(super) fn earliest(&self) -> Option<Time> {
        self.reset.map(|reset| self.request.sent.plus(reset))
    }
}

impl Request {
    /// What was sent after it. The provider may have counted some of that before it.
    pub(super) fn after(&self) -> u64 {
        self.total.saturating_sub(self.then)
    }
}
