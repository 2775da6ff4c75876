//! A limit in fixed windows: the whole allowance is there at the beginning of each.

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
    /// Of that, what was sent so late that it may be counted in the next window.
    late: u64,
    /// From when on what was taken is still counted.
    began: Time,
    /// What was taken from then on is sure to be among the late.
    late_from: Time,
    ends: Time,
    /// The edge of a window is the provider's: what is sent this close to it may be counted on either
    /// side, and nothing of the next allowance is spent before it.
    skew: u64,
    /// The same from the next edge on.
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

    /// From the next edge on, so that this one is looked at in one way only.
    pub(crate) fn set_margin(&mut self, margin: u64) {
        self.next_skew = margin;
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.amount {
            Room::Never
        } else if self.used.saturating_add(units) <= self.amount {
            Room::At(Time::ZERO)
        } else if self.late.saturating_add(units) <= self.amount {
            Room::At(self.turns())
        } else {
            Room::At(self.calendar.edge_after(self.ends).plus(self.next_skew))
        }
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        self.turn(now);
        self.used = self.used.saturating_add(units);
        if now.plus(self.skew) >= self.ends {
            self.late = self.late.saturating_add(units);
        }
    }

    /// Whether room was given back. What was reserved in an earlier window is not given back in this
    /// one; what was used beyond it is charged to this one.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) -> bool {
        self.turn(now);
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

    /// The provider says what is left, and when its window ends. Whether that is at another time than
    /// it was thought to.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64, reset: Option<Duration>) -> bool {
        self.turn(now);
        let was = self.ends;
        let half = self.calendar.period / 2;
        // No window ends later than that: it is about something else, or absurd.
        let most = self.calendar.period.saturating_add(half);
        if let Some(reset) = reset.map(nanos).filter(|reset| (1..=most).contains(reset))
            && self.calendar.is_movable()
        {
            let mut ends = now.plus(reset);
            let is_known = std::mem::replace(&mut self.calendar.is_told, true);
            if is_known && ends.plus(half) < self.ends {
                // An answer that was long under way: its window has ended.
                return false;
            }
            if is_known && ends > self.ends.plus(half) {
                // The next window has begun there already.
                ends = ends.minus(self.calendar.period);
            }
            if ends.since(self.ends).max(self.ends.since(ends)) > self.skew {
                self.ends = self.calendar.move_edge(ends);
                // Until now it was another edge that told what is late.
                self.late_from = self.ends.minus(self.skew).max(now.plus(1));
                self.turn(now);
            }
        }
        self.used = self.used.max(self.amount.saturating_sub(remaining));
        self.ends != was
    }

    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        let is_over = now >= self.turns() || self.used == 0;
        (!is_over).then_some(Spent::Used { amount: self.used, ends: self.ends })
    }

    /// So much was spent before in a window that ends then.
    pub(crate) fn spend(&mut self, now: Time, amount: u64, ends: Time) {
        self.turn(now);
        let latest = now.plus(self.calendar.period).plus(self.skew);
        if ends <= now || ends > latest {
            return;
        }
        if self.calendar.is_movable() && !self.calendar.is_told && ends != self.ends {
            // Its edge had been told.
            self.ends = self.calendar.move_edge(ends);
            self.late_from = self.ends.minus(self.skew).max(now.plus(1));
        }
        self.used = self.used.max(amount);
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        (u128::from(self.used_by(now)) << 16).checked_div(self.amount.into()).unwrap_or(0) as u64
    }

    /// The time in which so many units come back on the average, in nanoseconds.
    pub(crate) fn span(&self, units: u64) -> u64 {
        let span = u128::from(units) * u128::from(self.calendar.period);
        u64::try_from(span / u128::from(self.amount.max(1))).unwrap_or(u64::MAX)
    }

    /// How many units can be taken from now until then, if nobody else takes any.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> u64 {
        let left = self.amount.saturating_sub(self.used_by(now));
        let windows = match then.since(self.turns()) {
            0 if then < self.turns() => 0,
            beyond => 1 + beyond / self.calendar.period,
        };
        left.saturating_add(self.amount.saturating_mul(windows))
    }

    fn used_by(&self, now: Time) -> u64 {
        if now >= self.turns() { self.late } else { self.used }
    }

    /// When the next window's allowance may be spent.
    fn turns(&self) -> Time {
        self.ends.plus(self.skew)
    }

    fn turn(&mut self, now: Time) {
        if now < self.turns() {
            return;
        }
        // What was late is counted in the next window, and not in any after it.
        self.skew = self.next_skew;
        let next_turns = self.calendar.edge_after(self.ends).plus(self.skew);
        (self.used, self.began) =
            if now < next_turns { (self.late, self.late_from) } else { (0, now) };
        self.late = 0;
        // The first edge that has not surely passed; windows too short for that are taken together.
        let is_short = self.calendar.period < 2 * self.skew;
        let passed = if is_short { now.plus(self.skew) } else { now.minus(self.skew) };
        self.ends = self.calendar.edge_after(passed.max(self.ends));
        self.late_from = self.ends.minus(self.skew);
    }
}

/// When windows end.
#[derive(Clone, Debug)]
struct Calendar {
    /// Nanoseconds; of a day in a time zone, what it usually has.
    period: u64,
    /// The wall time at the engine's beginning.
    wall: Timestamp,
    /// Where an edge was at the engine's beginning, or after it.
    phase: u64,
    zone: Option<TimeZone>,
    /// Whether the provider has told where an edge is.
    is_told: bool,
}

impl Calendar {
    fn new(limit: &Limit, wall: Timestamp) -> Self {
        let period = nanos(limit.period()).max(1);
        let zone = match &limit.window {
            // Checked when the pool was declared.
            Edges::Fixed { zone: Some(zone) } => TimeZone::get(zone).ok(),
            _ => None,
        };
        let since_1970 = wall.as_nanosecond().max(0) as u128;
        let phase = u128::from(period) - since_1970 % u128::from(period);
        Self { period, wall, phase: phase as u64, zone, is_told: false }
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

    /// Whether a provider may count windows from another moment than the full minute or hour.
    fn is_movable(&self) -> bool {
        self.zone.is_none()
    }

    /// Puts an edge where the provider says it is.
    fn move_edge(&mut self, edge: Time) -> Time {
        self.phase = edge.nanos() % self.period;
        edge
    }
}
