//! A limit in fixed windows: a list of what was taken, and in which windows each may count.

use jiff::Timestamp;

use crate::Limit;

use super::{View, When};

/// The margin at an edge until something is measured.
pub(in super::super) const SKEW: u64 = 250_000_000;
const HOUR: i128 = 3_600_000_000_000;
const DAY: i128 = 24 * HOUR;

#[derive(Debug)]
pub(super) struct Windows {
    amount: u64,
    edges: Edges,
    /// The number and the end of the window whose allowance is being spent.
    current: u64,
    end: u64,
    moved: u64,
    /// What is sent this close to an edge may count on either side; the second is for the next
    /// edge.
    skew: u64,
    next_skew: u64,
    /// Whether the provider has reported where an edge is.
    is_told: bool,
    taken: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    by: Option<usize>,
    at: u64,
    /// Counts in the window of this number, and in the next one if it was late: for sure, or
    /// perhaps, if the provider has since reported another edge.
    window: u64,
    late: Option<View>,
    least: u64,
    most: u64,
}

/// Where windows end.
#[derive(Debug)]
enum Edges {
    /// At one moment, and at each period before and after it.
    Every { period: u64, one: u64 },
    /// At midnight in Los Angeles.
    Midnight { wall: i128 },
}

impl Edges {
    /// The first edge after a moment.
    fn after(&self, then: u64) -> u64 {
        match *self {
            Self::Every { period, one } if then < one => one - (one - then - 1) / period * period,
            Self::Every { period, one } => one + ((then - one) / period + 1) * period,
            Self::Midnight { wall } => {
                let now = wall + i128::from(then);
                let midnights = (now / DAY - 1..).map(|day| day * DAY + west(day) * HOUR);
                let mut later = midnights.skip_while(|midnight| *midnight <= now);
                later.next().map_or(u64::MAX, |midnight| (midnight - wall) as u64)
            }
        }
    }
}

/// How many hours Los Angeles is behind at the first midnight of a day there: clocks go forward in
/// the night after the eighth of March 2026 began, and back in that after the first of November.
fn west(day: i128) -> i128 {
    const EIGHTH_OF_MARCH: i128 = 20_520;
    const FIRST_OF_NOVEMBER: i128 = 20_758;
    if (EIGHTH_OF_MARCH + 1..=FIRST_OF_NOVEMBER).contains(&day) { 7 } else { 8 }
}

impl Windows {
    pub(super) fn new(limit: &Limit, zoned: bool, wall: Timestamp) -> Self {
        let (period, wall) = (limit.period().as_nanos() as u64, wall.as_nanosecond());
        let one = period - (wall % i128::from(period)) as u64;
        let edges = if zoned { Edges::Midnight { wall } } else { Edges::Every { period, one } };
        let end = edges.after(0);
        Self {
            amount: limit.amount(),
            edges,
            current: 0,
            end,
            moved: 0,
            skew: SKEW,
            next_skew: SKEW,
            is_told: false,
            taken: Vec::new(),
        }
    }

    /// The amount has changed.
    pub(super) fn declare(&mut self, limit: &Limit) {
        self.amount = limit.amount();
    }

    pub(super) fn set_margin(&mut self, margin: u64) {
        self.next_skew = margin;
    }

    /// The next edge, without the margin.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The window at a moment: its number, its end and its margin. The next allowance is not spent
    /// before its edge has passed with certainty.
    fn window_at(&self, then: u64) -> (u64, u64, u64) {
        let (mut current, mut end, mut skew) = (self.current, self.end, self.skew);
        while then >= end + skew {
            (current, end, skew) = (current + 1, self.edges.after(end), self.next_skew);
        }
        (current, end, skew)
    }

    fn pass(&mut self, now: u64) {
        (self.current, self.end, self.skew) = self.window_at(now);
        self.taken.retain(|taken| taken.window + 1 >= self.current);
    }

    fn sum(&self, window: u64, view: View) -> u64 {
        let counted = self.taken.iter().filter(|taken| taken.counts_in(window, view));
        counted.map(|taken| if view == View::Sure { taken.most } else { taken.least }).sum()
    }

    pub(super) fn when(&self, now: u64, units: u64, view: View) -> When {
        if units > self.amount {
            return When::Never;
        }
        let mut then = now;
        loop {
            let (window, end, skew) = self.window_at(then);
            let late = then + skew >= end;
            let fits = |window| self.sum(window, view) + units <= self.amount;
            if fits(window) && (!late || fits(window + 1)) {
                return When::At(then);
            }
            then = end + skew;
        }
    }

    pub(super) fn take(&mut self, now: u64, by: Option<usize>, units: u64) {
        self.pass(now);
        let late = Some(View::Sure).filter(|_| now + self.skew >= self.end);
        let window = self.current;
        self.taken.push(Taken { by, at: now, window, late, least: units, most: units });
    }

    /// Less was used than taken: it counts less wherever it still counts.
    pub(super) fn give_back(&mut self, now: u64, by: usize, units: u64) {
        self.pass(now);
        let moved = self.moved;
        for taken in self.taken.iter_mut().filter(|taken| taken.by == Some(by)) {
            taken.least -= units;
            // Where an edge moved since, the engine may count it in another window.
            if taken.at > moved {
                taken.most -= units;
            }
        }
    }

    /// The provider reports what is left and when its window ends: this window, or the next one if
    /// that has begun. A report of the last window is ignored.
    pub(super) fn lower(&mut self, now: u64, (least, most): (u64, u64), reset: u64) {
        self.pass(now);
        let mut end = now.saturating_add(reset);
        if let Edges::Every { period, one } = &mut self.edges
            && reset > 0
            && reset <= *period + *period / 2
        {
            let is_known = std::mem::replace(&mut self.is_told, true);
            if is_known && end + *period / 2 < self.end {
                return;
            }
            if is_known && end > self.end + *period / 2 {
                end = end.saturating_sub(*period);
            }
            if end.abs_diff(self.end) > self.skew {
                let window = self.current;
                (*one, self.end, self.moved) = (end, end, now);
                let of_this = self.taken.iter_mut().filter(|taken| taken.window == window);
                of_this.filter_map(|t| t.late.as_mut()).for_each(|late| *late = View::Maybe);
                self.pass(now);
            }
        }
        let more = |remaining: u64, view| {
            self.amount.saturating_sub(remaining).saturating_sub(self.sum(self.current, view))
        };
        let (least, most) = (more(most, View::Sure), more(least, View::Maybe));
        let window = self.current;
        self.taken.push(Taken { by: None, at: now, window, late: None, least, most });
    }
}

impl Taken {
    fn counts_in(&self, window: u64, view: View) -> bool {
        let late = self.late.is_some_and(|late| late == View::Sure || view == View::Sure);
        self.window == window || late && self.window + 1 == window
    }
}
