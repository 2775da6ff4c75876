//! Why a rolling meter stands where it stands, so that what was reserved and not used can be given
//! back exactly.
//!
//! Each demand that is taken claims that everything from it on is paid for after its own moment:
//! `paid` is at least its moment plus all that was taken since. The latest of these claims is where
//! the meter stands. When a demand turns out smaller, the claims up to its own fall by the
//! difference, and those after it do not: what was refilled while the meter was at rest without it
//! is not refilled twice.

use std::collections::VecDeque;

use super::time::Time;

/// More are merged, the later into the earlier, which gives back less.
const MOST: usize = 32;

#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// All that was ever taken, in nanoseconds of refill.
    taken: i128,
    /// By time, and each higher than all after it.
    claims: VecDeque<Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    at: Time,
    /// What it claims, less all that was ever taken.
    height: i128,
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// The moment up to which everything is paid for.
    pub(super) fn paid(&self) -> Time {
        let paid = self.claims.front().map_or(0, |first| first.height + self.taken);
        Time::from_nanos(u64::try_from(paid.max(0)).unwrap_or(u64::MAX))
    }

    pub(super) fn take(&mut self, now: Time, span: u64) {
        self.claim(now, now);
        self.taken += i128::from(span);
    }

    /// Somebody else says that everything is paid for after this moment.
    pub(super) fn claim(&mut self, now: Time, paid: Time) {
        let height = i128::from(paid.nanos()) - self.taken;
        while self.claims.back().is_some_and(|last| last.height <= height) {
            self.claims.pop_back();
        }
        // Of claims of the same moment the first is the highest.
        if self.claims.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.claims.len() >= MOST
            && let Some(merged) = self.claims.remove(1)
            && let Some(next) = self.claims.get_mut(1)
        {
            next.height = merged.height;
        }
        self.claims.push_back(Claim { at: now, height });
    }

    /// Of what was taken at a moment, so much was not used.
    pub(super) fn give_back(&mut self, taken_at: Time, span: u64) {
        let span = i128::from(span);
        self.taken -= span;
        let mut highest = i128::MIN;
        let mut kept = self.claims.len();
        for place in (0..self.claims.len()).rev() {
            let mut claim = self.claims[place];
            if claim.at > taken_at {
                claim.height += span;
            }
            if claim.height > highest {
                highest = claim.height;
                kept -= 1;
                self.claims[kept] = claim;
            }
        }
        self.claims.drain(..kept);
    }
}
