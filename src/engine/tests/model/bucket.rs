//! A rolling limit as a leaking bucket: what is taken is poured in, time lets it run out.
//!
//! Everything is in whole parts: a hundred times the limit's amount run out each nanosecond.

use crate::Limit;

use super::{Check, View, When, ensure};

const MARGIN: i128 = 250_000_000;
const REST: i128 = 100_000_000;
const PADDING: i128 = 50_000_000;

#[derive(Debug)]
pub(super) struct Bucket {
    unit: i128,
    leak: i128,
    size: i128,
    /// What must have run out beyond empty before more than it holds goes in.
    rest: i128,
    largest: u64,
    /// What ran out and what is inside, at the least and the most that the engine's rounding may
    /// make of it. Nothing yet if nothing was ever taken.
    least: i128,
    most: i128,
    is_new: bool,
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
            unit += (period * 100 / 24).min(PADDING * leak);
        }
        let burst = i128::from(limit.burst_amount()) * unit;
        Self {
            unit,
            leak,
            size: burst - (MARGIN * leak).min(burst / 4),
            rest: if limit.burst_amount() > 1 { (REST * leak).min(burst / 4) } else { 0 },
            largest: limit.largest_demand(),
            least: 0,
            most: 0,
            is_new: true,
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

    pub(super) fn when(&self, now: u64, units: u64, view: View) -> When {
        if units > self.largest {
            return When::Never;
        }
        let rough = self.rough(units) + self.rough(self.largest);
        let (level, rough) = match view {
            View::Sure => (self.most, rough),
            View::Maybe => (self.least, -rough),
        };
        // More than it holds goes in alone, once it is empty, and a little later.
        let rest = if self.is_new { 0 } else { self.rest };
        let needed = self.parts(units).min(self.size + rest) + rough;
        let opens = (level + needed - self.size + self.leak - 1).div_euclid(self.leak);
        When::At(now.max(opens.max(0) as u64))
    }

    fn ran_out(&self, now: u64) -> i128 {
        self.leak * i128::from(now)
    }

    pub(super) fn take(&mut self, now: u64, units: u64, admitted: bool) {
        let ran_out = self.ran_out(now);
        if self.most <= ran_out {
            self.began = now;
        }
        if self.least <= ran_out {
            self.perhaps_began = now;
        }
        self.is_new = false;
        self.least = self.least.max(ran_out) + self.parts(units);
        self.most = self.most.max(ran_out) + self.parts(units) + self.rough(units);
        self.log.push(Entry { at: now, parts: self.parts(units), admitted });
    }

    /// Less was used than was taken. What was taken before the bucket was last empty has run out
    /// already.
    pub(super) fn give_back(&mut self, now: u64, taken: u64, units: u64) {
        let (parts, rough) = (self.parts(units), self.rough(units));
        if taken >= self.began {
            self.least -= parts + rough;
            self.log.push(Entry { at: now, parts: -parts, admitted: false });
        }
        if taken >= self.perhaps_began {
            self.most -= parts - rough;
        }
    }

    /// The provider says that only so much is left; it rounds down, by one at most.
    pub(super) fn lower(&mut self, now: u64, remaining: u64) {
        let left = self.parts(remaining.saturating_add(1).min(self.largest));
        let (ran_out, rough) = (self.ran_out(now), self.rough(self.largest));
        let level = ran_out + self.size - left.min(self.size);
        if level - rough > self.least {
            if self.least <= ran_out {
                self.perhaps_began = now;
            }
            self.least = level - rough;
        }
        if level + rough > self.most {
            if self.most <= ran_out {
                self.began = now;
            }
            self.most = level + rough;
        }
        self.is_new = false;
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
