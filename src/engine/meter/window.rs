//! A limit in fixed windows: the whole allowance is available at the start of each window.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::{
    Limit,
    engine::{
        meter::{Spent, round_trip::UNMEASURED},
        room::Room,
        time::{Time, nanos},
    },
    limit::Window as Edges,
};

#[derive(Clone, Debug)]
pub(crate) struct Window {
    amount: u64,
    used: u64,
    /// The part of `used` that was sent so close to the edge that the provider may count it in the
    /// next window.
    late: u64,
    /// What was taken since this moment is still counted.
    began: Time,
    /// What was taken since this moment is part of `late`.
    late_from: Time,
    ends: Time,
    /// The provider's clock sets the edge of a window. A request sent this close to it may count on
    /// either side, so it counts on both, and the next allowance is not spent before this has
    /// passed. In nanoseconds.
    skew: u64,
    /// The value of `skew` from the next edge on.
    next_skew: u64,
    calendar: Calendar,
}

impl Window {
    pub(crate) fn new(limit: &Limit, wall: Timestamp) -> Self {
        let calendar = Calendar::new(limit, wall);
        let ends = calendar.edge_after(Time::ZERO);
        Self {
            amount: limit.amount(),
            used: 0,
            late: 0,
            began: Time::ZERO,
            late_from: ends.minus(UNMEASURED),
            ends,
            skew: UNMEASURED,
            next_skew: UNMEASURED,
            calendar,
        }
    }

    /// Counts against another amount from now on.
    pub(crate) fn set_amount(&mut self, amount: u64) {
        self.amount = amount;
    }

    /// Sets the margin from the next edge on, so that one window uses one margin throughout.
    pub(crate) fn set_margin(&mut self, margin: u64) {
        self.next_skew = margin;
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.amount {
            Room::Never
        } else if self.used.saturating_add(units) <= self.amount {
            Room::At(Time::ZERO)
        } else if self.late.saturating_add(units) <= self.amount {
            Room::At(self.next_opens())
        } else {
            Room::At(self.calendar.edge_after(self.ends).plus(self.next_skew))
        }
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        self.advance(now);
        self.used = self.used.saturating_add(units);
        if now.plus(self.skew) >= self.ends {
            self.late = self.late.saturating_add(units);
        }
    }

    /// Returns whether room was given back. What was reserved in an earlier window is not given
    /// back in this one. What was used beyond the reservation is charged to this one.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) -> bool {
        self.advance(now);
        if used > reserved {
            self.take(now, used - reserved);
        } else if used < reserved && taken >= self.began {
            let unused = reserved - used;
            self.used = self.used.saturating_sub(unused);
            if taken >= self.late_from {
                self.late = self.late.saturating_sub(unused);
            }
            self.late = self.late.min(self.used);
            return true;
        }
        false
    }

    /// Takes in what the provider reports as left and when its window ends. Returns whether the
    /// edge moved.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64, reset: Option<Duration>) -> bool {
        self.advance(now);
        let was = self.ends;
        let half = self.calendar.period / 2;
        // No window ends later than that: the figure is about another limit, or wrong.
        let max_reset = self.calendar.period.saturating_add(half);
        if let Some(reset) = reset.map(nanos).filter(|reset| (1..=max_reset).contains(reset))
            && self.calendar.is_movable()
        {
            let mut ends = now.plus(reset);
            let is_known = std::mem::replace(&mut self.calendar.is_reported, true);
            if is_known && ends.plus(half) < self.ends {
                // The answer was long under way: its window has ended.
                return false;
            }
            if is_known && ends > self.ends.plus(half) {
                // At the provider the next window has already begun.
                ends = ends.minus(self.calendar.period);
            }
            if ends.since(self.ends).max(self.ends.since(ends)) > self.skew {
                self.ends = self.calendar.move_edge(ends);
                // So far `late` was counted from another edge.
                self.late_from = self.ends.minus(self.skew).max(now.plus(1));
                self.advance(now);
            }
        }
        self.used = self.used.max(self.amount.saturating_sub(remaining));
        self.ends != was
    }

    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        let is_over = now >= self.next_opens() || self.used == 0;
        (!is_over).then_some(Spent::Used { amount: self.used, ends: self.ends })
    }

    /// Restores a saved count of a window that ends at `ends`.
    pub(crate) fn spend(&mut self, now: Time, amount: u64, ends: Time) {
        self.advance(now);
        let latest = now.plus(self.calendar.period).plus(self.skew);
        if ends <= now || ends > latest {
            return;
        }
        if self.calendar.is_movable() && !self.calendar.is_reported && ends != self.ends {
            // The edge was reported before the restart.
            self.ends = self.calendar.move_edge(ends);
            self.late_from = self.ends.minus(self.skew).max(now.plus(1));
        }
        self.used = self.used.max(amount);
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        (u128::from(self.used_by(now)) << 16).checked_div(self.amount.into()).unwrap_or(0) as u64
    }

    /// The average time in which so many units come back, in nanoseconds.
    pub(crate) fn span(&self, units: u64) -> u64 {
        let span = u128::from(units) * u128::from(self.calendar.period);
        u64::try_from(span / u128::from(self.amount.max(1))).unwrap_or(u64::MAX)
    }

    /// How many units can be taken from `now` until `then` if no other request takes any.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> u64 {
        let left = self.amount.saturating_sub(self.used_by(now));
        let windows = match then.since(self.next_opens()) {
            0 if then < self.next_opens() => 0,
            beyond => 1 + beyond / self.calendar.period,
        };
        left.saturating_add(self.amount.saturating_mul(windows))
    }

    fn used_by(&self, now: Time) -> u64 {
        if now >= self.next_opens() { self.late } else { self.used }
    }

    /// When the allowance of the next window may be spent.
    fn next_opens(&self) -> Time {
        self.ends.plus(self.skew)
    }

    fn advance(&mut self, now: Time) {
        if now < self.next_opens() {
            return;
        }
        // What was late counts in the next window, and in none after it.
        self.skew = self.next_skew;
        let following_opens = self.calendar.edge_after(self.ends).plus(self.skew);
        (self.used, self.began) =
            if now < following_opens { (self.late, self.late_from) } else { (0, now) };
        self.late = 0;
        // The first edge that has not passed with certainty. Windows shorter than the margin are
        // merged.
        let is_short = self.calendar.period < 2 * self.skew;
        let passed = if is_short { now.plus(self.skew) } else { now.minus(self.skew) };
        self.ends = self.calendar.edge_after(passed.max(self.ends));
        self.late_from = self.ends.minus(self.skew);
    }
}

/// When windows end.
#[derive(Clone, Debug)]
struct Calendar {
    /// In nanoseconds; for a day in a time zone, the usual length.
    period: u64,
    /// The wall-clock time at the engine's start.
    wall: Timestamp,
    /// The first edge at or after the engine's start.
    phase: u64,
    zone: Option<TimeZone>,
    /// Whether the provider has reported where an edge is.
    is_reported: bool,
}

impl Calendar {
    fn new(limit: &Limit, wall: Timestamp) -> Self {
        let period = nanos(limit.period()).max(1);
        let zone = match &limit.window {
            // The pool checked the zone when it was built.
            Edges::Fixed { zone: Some(zone) } => TimeZone::get(zone).ok(),
            _ => None,
        };
        let since_1970 = wall.as_nanosecond().max(0) as u128;
        let phase = u128::from(period) - since_1970 % u128::from(period);
        Self { period, wall, phase: phase as u64, zone, is_reported: false }
    }

    fn edge_after(&self, now: Time) -> Time {
        self.midnight_after(now).unwrap_or_else(|| {
            let since = now.nanos().saturating_sub(self.phase);
            let edges = if now.nanos() < self.phase { 0 } else { since / self.period + 1 };
            Time::from_nanos(self.phase.saturating_add(edges.saturating_mul(self.period)))
        })
    }

    fn midnight_after(&self, now: Time) -> Option<Time> {
        let zone = self.zone.as_ref()?;
        let elapsed = i64::try_from(now.nanos()).ok()?;
        let today = self.wall.checked_add(elapsed.nanoseconds()).ok()?.to_zoned(zone.clone());
        let midnight = today.date().tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp();
        let later = midnight.as_nanosecond() - self.wall.as_nanosecond();
        u64::try_from(later).ok().map(Time::from_nanos)
    }

    /// Whether the provider may start its windows at another moment than the full minute or hour.
    fn is_movable(&self) -> bool {
        self.zone.is_none()
    }

    /// Moves the edges to where the provider reports one.
    fn move_edge(&mut self, edge: Time) -> Time {
        self.phase = edge.nanos() % self.period;
        edge
    }
}
