//! A token bucket as one number: the generic cell rate algorithm (GCRA).
//!
//! `paid` is the theoretical arrival time (TAT): the moment up to which the allowance is spent. One
//! unit refills in the emission interval. A demand moves `paid` forward by its units times that
//! interval. It fits as long as `paid` is then at most the burst tolerance (`tolerance`) ahead of
//! the clock. Debt is a `paid` far in the future; a full bucket is one in the past.

use crate::{
    Limit,
    engine::{
        meter::{Spent, claims::Claims, round_trip::UNMEASURED},
        room::Room,
        time::{Time, nanos},
    },
};

/// Binary places of the fraction of an emission interval.
const SCALE: u32 = 32;

#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    /// The emission interval: the nanoseconds in which one unit refills. `interval_part` is its fraction, in
    /// units of 2^-32 nanoseconds.
    interval: u64,
    interval_part: u32,
    /// The burst tolerance: how far `paid` may run ahead of the clock, in nanoseconds.
    tolerance: u64,
    /// How long a demand above the burst waits after the bucket is full, for the same reason as the
    /// margin.
    jitter_wait: u64,
    largest: u64,
    claims: Claims,
}

impl Rolling {
    /// `largest` is the largest demand that it ever admits.
    pub(crate) fn new(limit: &Limit, largest: u64) -> Self {
        let mut rolling = Self {
            interval: 0,
            interval_part: 0,
            tolerance: 0,
            jitter_wait: 0,
            largest,
            claims: Claims::default(),
        };
        rolling.set(limit, UNMEASURED);
        rolling
    }

    /// Counts against this limit from now on. The units taken so far stay taken.
    ///
    /// Departure is not arrival: requests that leave exactly spaced arrive with jitter, and the
    /// first on a connection arrives late. So a margin of the burst is kept back, at most a quarter
    /// of it. This does not lower the rate. A burst of one has nothing to keep back. There the
    /// requests are spaced wider, by half of the margin and at most by a 24th; this is the only
    /// margin that lowers the rate.
    pub(crate) fn set(&mut self, limit: &Limit, margin: u64) {
        let period = u128::from(nanos(limit.period())) << SCALE;
        let burst = limit.burst_amount();
        let mut interval = period.div_ceil(limit.amount().max(1).into());
        if burst == 1 {
            interval += (interval / 24).min(u128::from(margin / 2) << SCALE);
        }
        self.interval = u64::try_from(interval >> SCALE).unwrap_or(u64::MAX);
        self.interval_part = interval as u32;
        self.jitter_wait = if burst > 1 { margin.min(self.span(burst) / 4) } else { 0 };
        self.tolerance = self.span(burst) - margin.min(self.span(burst) / 4);
    }

    /// Applies a new declaration of the limit: as many units are taken of it as of the old one.
    /// Reservations made before are not given back.
    pub(crate) fn declare(&mut self, now: Time, limit: &Limit, largest: u64, margin: u64) {
        let (ahead, old) = (self.paid().since(now), self.exact_interval().max(1));
        self.largest = largest;
        self.set(limit, margin);
        // Exact to a nanosecond for periods of months.
        let span = (ahead as f64 * (self.exact_interval() as f64 / old as f64)).ceil() as u64;
        self.claims = Claims::default();
        self.claims.claim(now, now.plus(span));
    }

    pub(crate) fn set_largest(&mut self, largest: u64) {
        self.largest = largest;
    }

    /// The time in which so many units refill, in nanoseconds.
    pub(crate) fn span(&self, units: u64) -> u64 {
        if units == 1 {
            // Most demands are one unit.
            return self.interval.saturating_add(u64::from(self.interval_part > 0));
        }
        let span = u128::from(units).saturating_mul(self.exact_interval()).div_ceil(1 << SCALE);
        u64::try_from(span).unwrap_or(u64::MAX)
    }

    fn exact_interval(&self) -> u128 {
        u128::from(self.interval) << SCALE | u128::from(self.interval_part)
    }

    /// The theoretical arrival time.
    fn paid(&self) -> Time {
        self.claims.paid()
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.largest {
            return Room::Never;
        }
        // A demand above the burst is admitted alone, once the bucket is full. It needs the whole
        // burst, so no margin can be kept back; it waits for the jitter to pass.
        let max_ahead =
            if self.claims.is_empty() { self.tolerance } else { self.tolerance + self.jitter_wait };
        Room::At(self.paid().plus(self.span(units).min(max_ahead)).minus(self.tolerance))
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        self.claims.take(now, self.span(units));
    }

    /// Returns whether room was given back. If the bucket would have been full in between without
    /// this reservation, that part has already refilled and is not given back.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) -> bool {
        let was = self.paid();
        if used > reserved {
            self.take(now, used - reserved);
        } else if used < reserved {
            self.claims.give_back(taken, self.span(reserved) - self.span(used));
        }
        self.paid() < was
    }

    /// Lowers what is left to what the provider reports; never raises it. One unit of grace,
    /// because providers round down. The claim is stored even if it changes nothing now, because a
    /// reservation may be given back later.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64) {
        let grace = self.span(remaining.saturating_add(1));
        self.claims.claim(now, now.plus(self.tolerance).minus(grace.min(self.tolerance)));
    }

    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        (self.paid() > now).then_some(Spent::Paid(self.paid()))
    }

    /// Restores a saved theoretical arrival time.
    pub(crate) fn spend(&mut self, now: Time, paid: Time) {
        self.claims.claim(now, paid.max(self.paid()));
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        let ahead = self.paid().since(now) >> 10;
        ahead.saturating_mul(1 << 16) / (self.tolerance.max(self.span(1)) >> 10).max(1)
    }

    /// How many units can be taken one by one from `now` until `then` if no other request takes
    /// any.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> u64 {
        let interval = self.span(1).max(1);
        let first = self.paid().max(now).plus(interval.min(self.tolerance));
        let last = then.plus(self.tolerance);
        if last < first { 0 } else { last.since(first) / interval + 1 }
    }

    /// How many units a full bucket gives one by one.
    pub(crate) fn most_at_once(&self) -> u64 {
        self.free_by(self.paid(), self.paid())
    }
}
