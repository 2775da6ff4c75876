//! What was spent in the last period, as a sliding window counts it.
//!
//! The period is cut into slots. A slot is forgotten when all of it is older than the period, so that the log counts
//! a little too much (half a slot on the average) and never too little.

use crate::engine::time::Time;

/// Each costs four bytes. With 32 of them the log is late by 3 % of a period at most.
const SLOTS: u64 = 32;

#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    slots: [u32; SLOTS as usize + 1],
    /// Nanoseconds that one slot lasts.
    width: u64,
    /// The number of the newest slot, counted from the beginning of time.
    newest: u64,
}

impl Log {
    /// An empty one. A period is at least 32 ns.
    pub(super) fn new(now: Time, period: u64) -> Self {
        let width = (period / SLOTS).max(1);
        Self { slots: [0; SLOTS as usize + 1], width, newest: now.nanos() / width }
    }

    /// Takes another period. What was spent counts as spent now.
    pub(super) fn set_period(&mut self, now: Time, period: u64) {
        let spent = self.spent(now);
        *self = Self::new(now, period);
        self.take(now, spent);
    }

    pub(super) fn take(&mut self, now: Time, units: u64) {
        let slot = self.turn(now);
        let slot = &mut self.slots[slot];
        *slot = slot.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
    }

    /// Of what was taken at a moment, so much was not used.
    pub(super) fn give_back(&mut self, taken: Time, units: u64) {
        let number = taken.nanos() / self.width;
        if number <= self.newest && number + SLOTS >= self.newest {
            let slot = &mut self.slots[place(number)];
            *slot = slot.saturating_sub(u32::try_from(units).unwrap_or(u32::MAX));
        }
    }

    /// What was spent in the period that ends now.
    pub(super) fn spent(&self, now: Time) -> u64 {
        self.kept(now).map(|number| u64::from(self.slots[place(number)])).sum()
    }

    /// The same without the slot that is forgotten next: no more than was spent in the period.
    pub(super) fn surely_spent(&self, now: Time) -> u64 {
        let next = self.newest.max(now.nanos() / self.width).saturating_sub(SLOTS);
        let kept = self.kept(now).filter(|number| *number > next);
        kept.map(|number| u64::from(self.slots[place(number)])).sum()
    }

    /// When no more than so much of what was spent is still counted.
    pub(super) fn falls_to(&self, now: Time, most: u64) -> Time {
        let mut spent = self.spent(now);
        for number in self.kept(now) {
            if spent <= most {
                break;
            }
            spent -= u64::from(self.slots[place(number)]);
            if spent <= most {
                return Time::from_nanos((number + 1 + SLOTS).saturating_mul(self.width));
            }
        }
        Time::ZERO
    }

    /// The slots that still count, the oldest first.
    fn kept(&self, now: Time) -> std::ops::RangeInclusive<u64> {
        let current = self.newest.max(now.nanos() / self.width);
        current.saturating_sub(SLOTS)..=self.newest
    }

    fn turn(&mut self, now: Time) -> usize {
        let current = now.nanos() / self.width;
        for number in self.newest + 1..=current.min(self.newest + SLOTS + 1) {
            self.slots[place(number)] = 0;
        }
        self.newest = self.newest.max(current);
        place(self.newest)
    }
}

fn place(number: u64) -> usize {
    (number % (SLOTS + 1)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn a_log_counts_all_of_a_period_and_little_more() {
        const PERIOD: u64 = 3_200;
        let mut rng = fastrand::Rng::with_seed(7);
        let mut log = Log::new(Time::ZERO, PERIOD);
        let (mut sent, mut now) = (VecDeque::new(), 0);
        for _ in 0..20_000 {
            now += rng.u64(0..300);
            let time = Time::from_nanos(now);
            let counted = |since: u64, sent: &VecDeque<(u64, u64)>| -> u64 {
                let kept = sent.iter().filter(|(at, _)| now - at < since);
                kept.map(|(_, units)| units).sum()
            };
            let spent = log.spent(time);
            assert!(spent >= counted(PERIOD, &sent));
            assert!(spent <= counted(PERIOD + PERIOD / 32 + 1, &sent));
            assert!(log.surely_spent(time) <= counted(PERIOD, &sent));
            let most = rng.u64(0..=spent);
            let later = log.falls_to(time, most);
            assert!(log.spent(later.max(time)) <= most);
            assert!(later <= time || log.spent(later.minus(1)) > most);
            if rng.bool() {
                let units = rng.u64(0..5);
                log.take(time, units);
                sent.push_back((now, units));
            }
            while sent.front().is_some_and(|(at, _)| now - at > 2 * PERIOD) {
                sent.pop_front();
            }
        }
    }
}
