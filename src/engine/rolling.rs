//! A rolling limit as one number: the generic cell rate algorithm.
//!
//! `paid` is the moment up to which the allowance has been spent. It moves forward by the time that
//! a demand's units take to refill, and a demand fits as long as it does not run further ahead of
//! the clock than the burst allows. Debt is simply a `paid` far in the future.

use crate::limit::Limit;

use super::{
    room::Room,
    time::{Time, nanos},
};

const SCALE: u32 = 32;
/// What is kept back of the burst, at most a quarter of it, because departure is not arrival: requests
/// that leave exactly spaced arrive with jitter, the first of a connection late. It costs nothing of
/// the rate.
const MARGIN: u64 = 250_000_000;
/// What a demand that needs the whole burst waits beyond rest instead.
const MOST_REST: u64 = 100_000_000;
/// A burst of one has nothing to keep back: its requests are spaced wider by this, at most by a 24th.
/// It is the only margin that costs of the rate; without it nearly every other request is refused.
const MOST_PADDING: u64 = 50_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    /// Nanoseconds that one unit takes to refill, times 2^32.
    unit: u128,
    /// The same, rounded up: most demands are of one unit.
    one: u64,
    /// How far `paid` may run ahead of the clock.
    reach: u64,
    /// What a demand above the burst waits beyond rest, for the same reason that there is a margin.
    rest: u64,
    largest: u64,
    paid: Time,
    /// When the meter was last at rest, fully refilled: nothing taken before then is left to
    /// correct.
    busy_since: Time,
}

impl Rolling {
    pub(crate) fn new(limit: &Limit) -> Self {
        let unit =
            (u128::from(nanos(limit.period())) << SCALE).div_ceil(limit.amount().max(1).into());
        let mut rolling = Self {
            unit,
            one: 0,
            reach: 0,
            rest: 0,
            largest: limit.largest_demand(),
            paid: Time::ZERO,
            busy_since: Time::ZERO,
        };
        if limit.burst_amount() == 1 {
            rolling.unit += (rolling.unit / 24).min(u128::from(MOST_PADDING) << SCALE);
        }
        rolling.one = rolling.span_of(1);
        let burst = rolling.span(limit.burst_amount());
        rolling.reach = burst - MARGIN.min(burst / 4);
        if limit.burst_amount() > 1 {
            rolling.rest = MOST_REST.min(burst / 4);
        }
        rolling
    }

    /// The time that so many units take to refill.
    fn span(&self, units: u64) -> u64 {
        if units == 1 { self.one } else { self.span_of(units) }
    }

    fn span_of(&self, units: u64) -> u64 {
        let span = u128::from(units).saturating_mul(self.unit).div_ceil(1 << SCALE);
        u64::try_from(span).unwrap_or(u64::MAX)
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.largest {
            return Room::Never;
        }
        // A demand above the burst is admitted alone, once the meter is at rest. It needs all of the
        // burst, so nothing can be kept back of it: jitter is waited for instead.
        let is_new = self.paid == Time::ZERO;
        let most = if is_new { self.reach } else { self.reach + self.rest };
        Room::At(self.paid.plus(self.span(units).min(most)).minus(self.reach))
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        if self.paid <= now {
            self.busy_since = now;
            self.paid = now;
        }
        self.paid = self.paid.plus(self.span(units));
    }

    /// Whether room was given back.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) -> bool {
        if used > reserved {
            self.take(now, used - reserved);
        } else if used < reserved && taken >= self.busy_since {
            self.paid = self.paid.minus(self.span(reserved) - self.span(used));
            return true;
        }
        false
    }

    /// Never raises. One unit of grace: providers round down.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64) {
        let grace = self.span(remaining.saturating_add(1));
        let paid = now.plus(self.reach).minus(grace.min(self.reach));
        if paid > self.paid {
            if self.paid <= now {
                self.busy_since = now;
            }
            self.paid = paid;
        }
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        let ahead = self.paid.since(now) >> 10;
        ahead.saturating_mul(1 << 16) / (self.reach.max(self.span(1)) >> 10).max(1)
    }

    /// How many units can be taken one by one from now until then, if nobody else takes any.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> u64 {
        let unit = self.span(1).max(1);
        let first = self.paid.max(now).plus(unit.min(self.reach));
        let last = then.plus(self.reach);
        if last < first { 0 } else { last.since(first) / unit + 1 }
    }

    /// How many units can be taken one by one at rest.
    pub(crate) fn most_at_once(&self) -> u64 {
        self.free_by(self.paid, self.paid)
    }
}
