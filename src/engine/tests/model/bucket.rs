//! A rolling limit as a leaking bucket: what is taken is poured in, time lets it run out.
//!
//! Everything is in whole parts: a hundred times the limit's amount run out each nanosecond.

use crate::Limit;

use super::{Check, View, When, ensure};

const MARGIN: i128 = 100_000_000;
const PADDING: i128 = 50_000_000;

#[derive(Debug)]
pub(super) struct Bucket {
    unit: i128,
    leak: i128,
    size: i128,
    largest: u64,
    /// The least and the most that the engine's rounding may make of it.
    least: i128,
    most: i128,
    at: u64,
    /// When something was last poured into it while it was empty, for sure and perhaps.
    began: u64,
    perhaps_began: u64,
    log: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    parts: i128,
    admitted: bool,
}

impl Bucket {
    pub(super) fn new(limit: &Limit) -> Self {
        let leak = i128::from(limit.amount()) * 100;
        let period = limit.period().as_nanos() as i128;
        let mut unit = period * 100;
        if limit.burst_amount() == 1 {
            unit += period.min(PADDING * leak);
        }
        let burst = i128::from(limit.burst_amount()) * unit;
        Self {
            unit,
            leak,
            size: burst - unit.max(MARGIN * leak).min(burst / 4),
            largest: limit.largest_demand(),
            least: 0,
            most: 0,
            at: 0,
            began: 0,
            perhaps_began: 0,
            log: Vec::new(),
        }
    }

    /// What rounding may make of so many units.
    fn rough(&self, units: u64) -> i128 {
        self.leak * (2 + i128::from(units >> 30))
    }

    fn parts(&self, units: u64) -> i128 {
        i128::from(units) * self.unit
    }

    fn left(&self, parts: i128, now: u64) -> i128 {
        (parts - self.leak * i128::from(now - self.at)).max(0)
    }

    fn pass(&mut self, now: u64) {
        (self.least, self.most) = (self.left(self.least, now), self.left(self.most, now));
        self.at = now;
    }

    pub(super) fn when(&self, now: u64, units: u64, view: View) -> When {
        if units > self.largest {
            return When::Never;
        }
        let rough = self.rough(units) + self.rough(self.largest);
        let (inside, rough) = match view {
            View::Sure => (self.left(self.most, now), rough),
            View::Maybe => (self.left(self.least, now), -rough),
        };
        // More than it holds goes in alone, once it is empty.
        let excess = (inside + self.parts(units) + rough - self.size).min(inside).max(0);
        When::At(now + (excess + self.leak - 1).div_euclid(self.leak) as u64)
    }

    pub(super) fn take(&mut self, now: u64, units: u64, admitted: bool) {
        self.pour(now);
        self.least += self.parts(units);
        self.most += self.parts(units) + self.rough(units);
        self.log.push(Entry { at: now, parts: self.parts(units), admitted });
    }

    fn pour(&mut self, now: u64) {
        self.pass(now);
        if self.most == 0 {
            self.began = now;
        }
        if self.least == 0 {
            self.perhaps_began = now;
        }
    }

    /// Less was used than was taken. What was taken before the bucket was last empty has run out
    /// already.
    pub(super) fn give_back(&mut self, now: u64, taken: u64, units: u64) {
        self.pass(now);
        let (parts, rough) = (self.parts(units), self.rough(units));
        if taken >= self.began {
            self.least = (self.least - parts - rough).max(0);
            self.log.push(Entry { at: now, parts: -parts, admitted: false });
        }
        if taken >= self.perhaps_began {
            self.most = (self.most - parts + rough).max(0);
        }
    }

    /// The provider says that only so much is left; it rounds down, by one at most.
    pub(super) fn lower(&mut self, now: u64, remaining: u64) {
        let left = self.parts(remaining.saturating_add(1).min(self.largest));
        let inside = self.size - left.min(self.size);
        let rough = self.rough(self.largest);
        self.pour(now);
        self.least = self.least.max(inside - rough);
        self.most = self.most.max(inside + rough);
    }

    /// The rule itself, from all that was ever taken: between any two moments no more than the size
    /// and what ran out meanwhile.
    pub(super) fn audit(&self) -> Check {
        let rough = self.rough(self.largest) * (2 + self.log.len() as i128);
        let sparse = self.log.len().div_ceil(40).max(1);
        for (last, end) in self.log.iter().enumerate().rev().step_by(sparse) {
            if !end.admitted || end.parts > self.size {
                continue;
            }
            let mut sum = 0;
            for start in self.log[..=last].iter().rev() {
                sum += start.parts;
                let ran_out = self.leak * i128::from(end.at - start.at);
                ensure!(
                    sum <= self.size + ran_out + rough,
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
