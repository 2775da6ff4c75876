//! Why a rolling meter stands where it stands, so that what was reserved and not used can be given
//! back exactly.
//!
//! Each demand that is taken claims that everything from it on is paid for after its own moment:
//! `paid` is at least its moment plus all that was taken since. The latest of these claims is where
//! the meter stands. When a demand turns out smaller, the claims up to its own fall by the
//! difference, and those after it do not: what was refilled while the meter was at rest without it
//! is not refilled twice.

use crate::engine::time::Time;

/// More are merged, the later into the earlier, which gives back less.
const MOST: usize = 32;
/// So far it is counted, in nanoseconds of refill: 36 years.
const FAR: i64 = 1 << 60;

#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Claims {
    /// All that was ever taken, in nanoseconds of refill.
    taken: i64,
    /// The highest, if there is any. Most meters have no other most of the time.
    first: Option<Claim>,
    /// By time, and each higher than all after it.
    later: Vec<Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    at: Time,
    /// What it claims, less all that was ever taken.
    height: i64,
}

impl Claims {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The moment up to which everything is paid for.
    pub(in crate::engine) fn paid(&self) -> Time {
        let paid = self.first.map_or(0, |first| first.height.saturating_add(self.taken));
        Time::from_nanos(u64::try_from(paid).unwrap_or(0))
    }

    pub(in crate::engine) fn take(&mut self, now: Time, span: u64) {
        self.claim(now, now);
        self.taken = self.taken.saturating_add(far(span)).min(FAR);
    }

    /// Somebody else says that everything is paid for after this moment.
    pub(in crate::engine) fn claim(&mut self, now: Time, paid: Time) {
        let height = far(paid.nanos()) - self.taken;
        while self.later.pop_if(|last| last.height <= height).is_some() {}
        let new = Claim { at: now, height };
        match self.later.last().or(self.first.as_ref()) {
            // Of claims of the same moment the first is the highest.
            Some(last) if last.height > height && last.at >= now => {}
            Some(last) if last.height > height => {
                if self.later.len() >= MOST {
                    let merged = self.later.remove(0);
                    self.later[0].height = merged.height;
                }
                self.later.push(new);
            }
            _ => self.first = Some(new),
        }
    }

    /// Of what was taken at a moment, so much was not used.
    pub(in crate::engine) fn give_back(&mut self, taken_at: Time, span: u64) {
        let span = far(span);
        self.taken -= span;
        let after = |claim: &mut Claim| {
            if claim.at > taken_at {
                claim.height = claim.height.saturating_add(span);
            }
        };
        self.later.iter_mut().for_each(after);
        // Of those that changed, only the ones that are above all after them still matter.
        let mut highest = i64::MIN;
        for place in (0..self.later.len()).rev() {
            if self.later[place].height <= highest {
                self.later.remove(place);
            } else {
                highest = self.later[place].height;
            }
        }
        if let Some(first) = &mut self.first {
            after(first);
            if first.height <= highest {
                *first = self.later.remove(0);
            }
        }
    }
}

fn far(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(FAR).min(FAR)
}
