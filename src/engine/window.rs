//! A limit in fixed windows: the whole allowance is there at the beginning of each.

use std::time::Duration;

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::limit::{Limit, Window as Edges};

use super::{
    room::Room,
    time::{Time, nanos},
};

/// The edge of a window is the provider's: what is sent this close to it may be counted on either
/// side, and nothing of the next allowance is spent before it.
const SKEW: u64 = 250_000_000;

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
            late_from: ends.minus(SKEW),
            ends,
            calendar,
        }
    }

    pub(crate) fn room(&self, units: u64) -> Room {
        if units > self.amount {
            Room::Never
        } else if self.used.saturating_add(units) <= self.amount {
            Room::At(Time::ZERO)
        } else if self.late.saturating_add(units) <= self.amount {
            Room::At(self.turns())
        } else {
            Room::At(self.calendar.edge_after(self.ends).plus(SKEW))
        }
    }

    pub(crate) fn take(&mut self, now: Time, units: u64) {
        self.turn(now);
        self.used = self.used.saturating_add(units);
        if now.plus(SKEW) >= self.ends {
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

    /// The provider says what is left, and when its window ends. Whether that is sooner than it was
    /// thought to.
    pub(crate) fn lower(&mut self, now: Time, remaining: u64, reset: Option<Duration>) -> bool {
        self.turn(now);
        self.used = self.used.max(self.amount.saturating_sub(remaining));
        let was = self.ends;
        if let Some(reset) = reset.map(nanos).filter(|reset| *reset > 0)
            && self.calendar.is_movable()
        {
            let ends = now.plus(reset);
            if ends.since(self.ends).max(self.ends.since(ends)) > SKEW {
                self.ends = self.calendar.move_edge(ends);
                // Until now it was another edge that told what is late.
                self.late_from = self.ends.minus(SKEW).max(now.plus(1));
            }
        }
        self.ends < was
    }

    pub(crate) fn used_share(&self, now: Time) -> u64 {
        (u128::from(self.used_by(now)) << 16).checked_div(self.amount.into()).unwrap_or(0) as u64
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
        self.ends.plus(SKEW)
    }

    fn turn(&mut self, now: Time) {
        if now < self.turns() {
            return;
        }
        // What was late is counted in the next window, and not in any after it.
        let next_turns = self.calendar.edge_after(self.ends).plus(SKEW);
        (self.used, self.began) =
            if now < next_turns { (self.late, self.late_from) } else { (0, now) };
        self.late = 0;
        // The first edge that has not surely passed; windows too short for that are taken together.
        let is_short = self.calendar.period < 2 * SKEW;
        let passed = if is_short { now.plus(SKEW) } else { now.minus(SKEW) };
        self.ends = self.calendar.edge_after(passed.max(self.ends));
        self.late_from = self.ends.minus(SKEW);
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
        Self { period, wall, phase: phase as u64, zone }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, limit: &Limit) -> Window {
        Window::new(limit, text.parse().unwrap())
    }

    fn secs(seconds: f64) -> Time {
        Time::from_nanos((seconds * 1e9) as u64)
    }

    fn opens(window: &Window) -> f64 {
        match window.room(1) {
            Room::At(open) => open.nanos() as f64 / 1e9,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_window_ends_at_the_full_minute() {
        let mut window = at("2026-01-01T10:00:40Z", &Limit::requests(2).per_minute().fixed());
        window.take(secs(0.0), 2);
        assert_eq!(opens(&window), 20.25, "20 s, and the skew");
        assert_eq!(window.room(3), Room::Never);
        window.take(secs(20.25), 1);
        assert_eq!(opens(&window), 0.0);
        window.take(secs(21.0), 1);
        assert_eq!(opens(&window), 80.25);
    }

    #[test]
    fn what_is_sent_at_the_edge_counts_on_both_sides() {
        let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
        window.take(secs(10.0), 1);
        window.take(secs(59.9), 2);
        assert_eq!(opens(&window), 60.25);
        window.take(secs(60.3), 1);
        assert_eq!(opens(&window), 120.25, "two of the last window may be counted in this one");
    }

    #[test]
    fn days_are_as_long_as_they_are_there() {
        let limit = Limit::requests(1).per_day().in_zone("America/Los_Angeles");
        // Clocks go forward on 8 March 2026 and back on 1 November 2026.
        for (noon, hours) in [
            ("2026-03-07T20:00:00Z", 12.0),
            ("2026-03-08T19:00:00Z", 12.0),
            ("2026-03-08T08:30:00Z", 22.5),
            ("2026-11-01T07:30:00Z", 24.5),
        ] {
            let mut window = at(noon, &limit);
            window.take(secs(1.0), 1);
            assert_eq!(opens(&window), hours * 3600.0 + 0.25, "{noon}");
        }
    }

    #[test]
    fn nothing_comes_back_across_an_edge() {
        let mut window = at("2026-01-01T10:00:00Z", &Limit::tokens(10).per_minute().fixed());
        window.take(secs(1.0), 10);
        window.take(secs(61.0), 10);
        assert!(!window.settle(secs(62.0), secs(1.0), 10, 0), "reserved in the last window");
        assert_eq!(opens(&window), 120.25);
        assert!(window.settle(secs(63.0), secs(61.0), 10, 4));
        assert_eq!(opens(&window), 0.0);
        window.settle(secs(64.0), secs(1.0), 10, 16);
        assert_eq!(window.room(1), Room::At(secs(120.25)), "used beyond: charged to this one");
    }

    #[test]
    fn what_was_not_used_comes_back_on_both_sides_of_an_edge() {
        let limit = Limit::requests(3).per_minute().fixed();
        let mut window = at("2026-01-01T10:00:00Z", &limit);
        window.take(secs(59.9), 2);
        assert!(window.settle(secs(59.95), secs(59.9), 1, 0));
        window.take(secs(60.3), 1);
        assert!(window.settle(secs(60.4), secs(59.9), 1, 0), "it may be counted in this one");
        window.take(secs(60.5), 2);
        assert_eq!(opens(&window), 120.25);
        assert!(window.settle(secs(60.6), secs(60.5), 1, 0));
        assert_eq!(opens(&window), 0.0);
    }

    #[test]
    fn what_was_sent_just_after_an_edge_does_not_come_back_windows_later() {
        let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
        window.take(secs(60.1), 3);
        window.take(secs(200.0), 3);
        assert!(!window.settle(secs(201.0), secs(60.1), 3, 0));
        assert_eq!(opens(&window), 240.25);
    }

    #[test]
    fn a_window_first_looked_at_near_its_end_ends_there() {
        let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
        window.take(secs(59.9), 2);
        window.take(secs(119.9), 1);
        window.take(secs(120.3), 1);
        assert_eq!(opens(&window), 0.0, "two of two windows before are counted in this one");
    }

    #[test]
    fn what_was_late_counts_through_the_longest_day() {
        let limit = Limit::requests(2).per_day().in_zone("America/Los_Angeles");
        let mut window = at("2026-11-01T06:00:00Z", &limit);
        window.take(secs(3_599.9), 1);
        window.take(secs(3_600.0 + 24.5 * 3_600.0), 1);
        assert_eq!(opens(&window), 3_600.0 + 25.0 * 3_600.0 + 0.25);
    }

    #[test]
    fn the_provider_knows_when_its_window_ends() {
        let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(5).per_hour().fixed());
        window.lower(secs(10.0), 0, Some(Duration::from_secs(100)));
        assert_eq!(opens(&window), 110.25);
        window.take(secs(111.0), 5);
        assert_eq!(opens(&window), 110.25 + 3_600.0);
    }
}
