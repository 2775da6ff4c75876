//! A token bucket: so many units refill each second, and so many can be saved up.
//!
//! It is kept as what is spent of it at one moment. What a theoretical arrival time says in the generic cell rate
//! algorithm, `at + used / rate` says here; this form lets the rate change without losing the count.

use crate::engine::time::{SECOND, Time};

/// A wait beyond this is as good as for ever, in seconds: about 30 years.
const LONGEST: f64 = 1e9;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Units per second. Always above zero.
    rate: f64,
    /// The most that can be saved up. Always above zero.
    capacity: f64,
    /// Units that were spent and had not refilled at `at`; above `capacity` when in debt.
    used: f64,
    at: Time,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(now: Time, rate: f64, capacity: f64) -> Self {
        Self { rate: positive(rate), capacity: positive(capacity), used: 0.0, at: now }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn capacity(&self) -> f64 {
        self.capacity
    }

    pub(super) fn used(&self, now: Time) -> f64 {
        (self.used - self.rate * seconds(now.since(self.at))).max(0.0)
    }

    /// From when on so many units fit. More than the bucket holds fit once it is full.
    pub(super) fn room(&self, units: f64) -> Time {
        let excess = self.used - (self.capacity - units).max(0.0);
        if excess <= 0.0 { Time::ZERO } else { self.at.plus(nanos(excess / self.rate)) }
    }

    /// How many units can be taken from now until then, if no others are taken.
    pub(super) fn free_by(&self, now: Time, then: Time) -> u64 {
        let refilled = self.rate * seconds(then.since(now));
        (self.capacity - self.used(now) + refilled).max(0.0) as u64
    }

    /// Nanoseconds in which so many units refill.
    pub(super) fn span(&self, units: f64) -> u64 {
        nanos(units / self.rate)
    }

    pub(super) fn take(&mut self, now: Time, units: f64) {
        self.turn(now);
        self.used += units;
    }

    pub(super) fn give_back(&mut self, now: Time, units: f64) {
        self.turn(now);
        self.used = (self.used - units).max(0.0);
    }

    /// Sets how much is spent.
    pub(super) fn set_used(&mut self, now: Time, units: f64) {
        (self.used, self.at) = (units.max(0.0), self.at.max(now));
    }

    pub(super) fn set_rate(&mut self, now: Time, rate: f64) {
        self.turn(now);
        self.rate = positive(rate);
    }

    /// Makes the bucket larger or smaller. What is spent stays spent.
    pub(super) fn set_capacity(&mut self, capacity: f64) {
        self.capacity = positive(capacity);
    }

    fn turn(&mut self, now: Time) {
        (self.used, self.at) = (self.used(now), self.at.max(now));
    }
}

pub(super) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND as f64
}

pub(super) fn nanos(seconds: f64) -> u64 {
    // A conversion from a float saturates, and rounding up keeps a wait from ending too early.
    (seconds.clamp(0.0, LONGEST) * SECOND as f64).ceil() as u64
}

fn positive(amount: f64) -> f64 {
    amount.clamp(1e-6, 1e15)
}
