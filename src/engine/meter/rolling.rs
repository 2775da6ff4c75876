//! A rolling limit as one number: the generic cell rate algorithm.
//!
//! `paid` is the moment up to which the allowance has been spent. It moves forward by the time that
//! a demand's units take to refill, and a demand fits as long as it does not run further ahead of
//! the clock than the burst allows. Debt is simply a `paid` far in the future.

use crate::{
    Limit,
    engine::{
        meter::{Spent, claims::Claims, round_trip::UNMEASURED},
        room::Room,
        time::{Time, nanos},
    },
};

const SCALE: u32 = 32;

#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    /// Nanoseconds that one unit takes to refill, and the 2^32ths beyond them.
    whole: u64,
    part: u32,
    /// How far `paid` may run ahead of the clock.
    reach: u64,
    /// What a demand above the burst waits beyond rest, for the same reason that there is a margin.
    rest: u64,
    largest: u64,
    claims: Claims,
}

impl Rolling {
    /// Of a demand that is larger than `largest` it never has room.
    pub(crate) fn new(limit: &Limit, largest: u64) -> Self {
        let mut rolling =
            Self { whole: 0, part: 0, reach: 0, rest: 0, largest, claims: Claims::default() };
        rolling.set(limit, UNMEASURED);
        rolling
    }

    /// Counts against this limit from now on; what was taken stays taken.
    ///
    /// Departure is not arrival: requests that leave exactly spaced arrive with jitter, the first of a
    /// connection late. So a margin of the burst is kept back, at most a quarter of it, which costs
    /// nothing of the rate. A burst of one has nothing to keep back: its requests are spaced wider, by
    /// half of the margin and at most by a 24th, the only margin that costs of the rate.
    pub(crate) fn set(&mut self, limit: &Limit, margin: u64) {
        let period = u128::from(nanos(limit.period())) << SCALE;
        let burst = limit.burst_amount();
        let mut unit = period.div_ceil(limit.amount().max(1).into());
        if burst == 1 {
            unit += (unit / 24).min(u128::from(margin / 2) << SCALE);
        }
        self.whole = u64::try_from(unit >> SCALE).unwrap_or(u64::MAX);
        self.part = unit as u32;
        self.rest = if burst > 1 { margin.min(self.span(burst) / 4) } else { 0 };
        self.reach = self.span(burst) - margin.min(self.span(burst) / 4);
    }

    /// The limit was declared anew: as many units are taken of it as of the old one. What was reserved
    /// before is not given back.
    pub(crate) fn declare(&mut self, now: Time, limit: &Limit, largest: u64, margin: u64) {
        let (ahead, old) = (self.paid().since(now), self.unit().max(1));
        self.largest = largest;
        self.set(limit, margin);
        // Exact to a nanosecond for months.
        let span = (ahead as f64 * (self.unit() as f64 / old as f64)).ceil() as u64;
        self.claims = Claims::default();
        self.claims.claim(now, now.plus(span));
    }

    pub(crate) fn set_largest(&mut self, largest: u64) {
        self.largest = largest;
    }

    /// The time that so many units take to refill.
    pub(crate) fn span(&self, units: u64) -> u64 {
        if units == 1 {
            // Most demands are.
            return self.whole.saturating_add(u64::from(self.part > 0));
        }
        let span = u128::from(units).saturating_mul(self.unit()).div_ceil(1 << SCALE);
        u64::try_from(span).unwrap_or(u64::MAX)
    }

    fn unit(&self) -> u128 {
        u128::from(self.whole) << SCALE | u128::from(self.part)
    }

    /// The moment up to which the allowance has been spent.
    fn paid(&self) -> Time {
        self.claims.paid()
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.largest {
            return Room::Never;
        }
        // A demand above the burst is admitted alone, once the meter is at rest. It needs all of the
        // burst, so nothing can be kept back of it: jitter is waited for instead.
        let most = if self.claims.is_empty() { self.reach } else { self.reach + self.rest };
        Room::At(self.paid().plus(self.span(units).min(most)).minus(self.reach))
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        self.claims.take(now, self.span(units));
    }

    /// Whether room was given back. What was reserved before a rest that there would have been without
    /// it is not: it has been refilled already.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) -> bool {
        let was = self.paid();
        if used > reserved {
            self.take(now, used - reserved);
        } else if used < reserved {
            self.claims.give_back(taken, self.span(reserved) - self.span(used));
        }
        self.paid() < was
    }

    /// Never raises. One unit of grace: providers round down. It is kept in mind also where it says
    /// nothing new, for what was reserved may yet come back.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64) {
        let grace = self.span(remaining.saturating_add(1));
        self.claims.claim(now, now.plus(self.reach).minus(grace.min(self.reach)));
    }

    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        (self.paid() > now).then_some(Spent::Paid(self.paid()))
    }

    /// All that comes until this moment was spent before.
    pub(crate) fn spend(&mut self, now: Time, paid: Time) {
        self.claims.claim(now, paid.max(self.paid()));
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        let ahead = self.paid().since(now) >> 10;
        ahead.saturating_mul(1 << 16) / (self.reach.max(self.span(1)) >> 10).max(1)
    }

    /// How many units can be taken one by one from now until then, if nobody else takes any.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> u64 {
        let unit = self.span(1).max(1);
        let first = self.paid().max(now).plus(unit.min(self.reach));
        let last = then.plus(self.reach);
        if last < first { 0 } else { last.since(first) / unit + 1 }
    }

    /// How many units can be taken one by one at rest.
    pub(crate) fn most_at_once(&self) -> u64 {
        self.free_by(self.paid(), self.paid())
    }
}
