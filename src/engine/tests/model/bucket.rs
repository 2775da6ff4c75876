//! A rolling limit as a leaky bucket: what is taken is poured in, and runs out over time.
//!
//! Everything is in whole parts: a hundred times the limit's amount runs out each nanosecond. No
//! sum is kept: the level is found by replaying all that was ever poured in.

use crate::Limit;

use super::{Check, View, When, ensure};

const UNMEASURED: u64 = 250_000_000;
/// After this many pours the engine remembers less, and gives back less.
const REMEMBERED: usize = 30;

#[derive(Debug)]
pub(super) struct Bucket {
    limit: Limit,
    unit: i128,
    leak: i128,
    size: i128,
    /// What must have run out below empty before a demand above the size goes in.
    rest: i128,
    /// What ran out and the level, at the least and the most that the engine's rounding may make of
    /// it. Nothing until something was taken.
    least: i128,
    most: i128,
    log: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A request was admitted with this amount, or has used this much more.
    Pour { by: Option<usize>, admitted: bool, parts: i128, least: i128, most: i128 },
    /// The provider reports that at least this much is inside.
    Told { least: i128, most: i128 },
}

impl Bucket {
    pub(super) fn new(limit: &Limit) -> Self {
        let mut bucket = Self {
            limit: limit.clone(),
            unit: 0,
            leak: i128::from(limit.amount()) * 100,
            size: 0,
            rest: 0,
            least: 0,
            most: 0,
            log: Vec::new(),
        };
        bucket.set_margin(UNMEASURED);
        bucket
    }

    pub(super) fn set_margin(&mut self, margin: u64) {
        let period = self.limit.period().as_nanos() as i128;
        let margin = i128::from(margin) * self.leak;
        self.unit = period * 100;
        if self.limit.burst_amount() == 1 {
            self.unit += (period * 100 / 24).min(margin / 2);
        }
        let burst = i128::from(self.limit.burst_amount()) * self.unit;
        self.size = burst - margin.min(burst / 4);
        self.rest = if self.limit.burst_amount() > 1 { margin.min(burst / 4) } else { 0 };
    }

    /// The limit has changed: as many units are inside as before, and it is not known from which
    /// requests.
    pub(super) fn declare(&mut self, now: u64, limit: &Limit, margin: u64) {
        let (ran_out, unit) = (self.ran_out(now), self.unit);
        // A nanosecond of the old limit may be many of the new one.
        let rough = self.rough(self.limit.largest_demand());
        let least = (self.least - ran_out - rough).max(0);
        let most = (self.most - ran_out + rough).max(0);
        self.limit = limit.clone();
        self.leak = i128::from(limit.amount()) * 100;
        self.set_margin(margin);
        let rough = self.rough(limit.largest_demand());
        // Parts have another size now.
        let least = self.ran_out(now) + times(least, self.unit, unit) - rough;
        let most = self.ran_out(now) + times(most, self.unit, unit) + rough;
        self.log = vec![Entry { at: now, what: What::Told { least, most } }];
        self.pour_again();
    }

    /// The rounding error of this many units.
    fn rough(&self, units: u64) -> i128 {
        self.leak * (2 + i128::from(units >> 30))
    }

    fn parts(&self, units: u64) -> i128 {
        i128::from(units) * self.unit
    }

    pub(super) fn when(&self, now: u64, units: u64, view: View) -> When {
        if units > self.limit.largest_demand() {
            return When::Never;
        }
        let rough = self.rough(units) + self.rough(self.limit.largest_demand());
        let (level, rough) = match view {
            View::Sure => (self.most, rough),
            View::Maybe => (self.least, -rough),
        };
        // A demand above the size goes in alone, once the bucket is empty, and a little later.
        let rest = if self.log.is_empty() { 0 } else { self.rest };
        let needed = self.parts(units).min(self.size + rest) + rough;
        let opens = (level + needed - self.size + self.leak - 1).div_euclid(self.leak);
        When::At(now.max(opens.max(0) as u64))
    }

    fn ran_out(&self, now: u64) -> i128 {
        self.leak * i128::from(now)
    }

    fn pour_again(&mut self) {
        (self.least, self.most) = (0, 0);
        for entry in &self.log {
            let ran_out = self.ran_out(entry.at);
            match entry.what {
                What::Pour { least, most, .. } => {
                    self.least = self.least.max(ran_out) + least;
                    self.most = self.most.max(ran_out) + most;
                }
                What::Told { least, most } => {
                    self.least = self.least.max(least);
                    self.most = self.most.max(most);
                }
            }
        }
    }

    pub(super) fn take(&mut self, now: u64, by: Option<usize>, units: u64, admitted: bool) {
        let parts = self.parts(units);
        let what =
            What::Pour { by, admitted, parts, least: parts, most: parts + self.rough(units) };
        self.log.push(Entry { at: now, what });
        self.pour_again();
    }

    /// Less was used than taken.
    pub(super) fn give_back(&mut self, by: usize, units: u64) {
        let (less, rough) = (self.parts(units), self.rough(units));
        let by_it =
            |entry: &Entry| matches!(entry.what, What::Pour { by: Some(other), .. } if other == by);
        let Some(place) = self.log.iter().position(by_it) else { return };
        let mut times: Vec<_> = self.log.iter().map(|entry| entry.at).collect();
        times.dedup();
        let remembered = times.len() < REMEMBERED;
        if let What::Pour { parts, least, most, .. } = &mut self.log[place].what {
            *parts -= less;
            *least -= less + rough;
            if remembered {
                *most -= less - rough;
            }
        }
        self.pour_again();
    }

    /// The provider reports what is left; it rounds down, by at most one.
    pub(super) fn lower(&mut self, now: u64, (least, most): (u64, u64)) {
        let level = |remaining: u64| {
            let left = remaining.saturating_add(1).min(self.limit.largest_demand());
            self.ran_out(now) + self.size - self.parts(left).min(self.size)
        };
        let rough = self.rough(self.limit.largest_demand());
        let what = What::Told { least: level(most) - rough, most: level(least) + rough };
        self.log.push(Entry { at: now, what });
        self.pour_again();
    }

    /// The rule itself, from all that was ever taken: between any two moments no more than the size
    /// and what ran out meanwhile. A request that was admitted before a correction did not know
    /// about it.
    pub(super) fn audit(&self) -> Check {
        let rough = self.rough(self.limit.largest_demand()) * (2 + self.log.len() as i128);
        let burst = i128::from(self.limit.burst_amount()) * self.unit;
        let sparse = self.log.len().div_ceil(40).max(1);
        for (last, end) in self.log.iter().enumerate().rev().step_by(sparse) {
            let What::Pour { admitted: true, parts, .. } = end.what else { continue };
            if parts > self.size {
                continue;
            }
            let mut sum = 0;
            for start in self.log[..=last].iter().rev() {
                let What::Pour { admitted, parts, .. } = start.what else { continue };
                // What was used beyond a reservation may not have been known yet.
                sum += if admitted { parts } else { 0 };
                let ran_out = self.leak * i128::from(end.at - start.at);
                ensure!(
                    sum <= burst + ran_out + rough || parts > self.size,
                    "over a rolling limit: {} units between {} and {}",
                    sum / self.unit,
                    start.at,
                    end.at
                );
            }
        }
        Ok(())
    }
}

/// Converts parts of one size into parts of another.
fn times(parts: i128, unit: i128, of: i128) -> i128 {
    // Both are whole hundreds of nanoseconds, and the quotient is what matters.
    let whole = parts / of * unit;
    whole + parts % of * unit / of
}
