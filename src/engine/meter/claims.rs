//! The requests under way that a token bucket has counted, so that an unused part of a reservation
//! can be given back exactly.
//!
//! Each request that is taken makes a claim: its allowance was spent no earlier than the moment of
//! the request, and all later requests are added after it. So the theoretical arrival time (`paid`)
//! is at least that moment plus all that was taken since, and the highest claim decides where it
//! stands. When a request turns out smaller than reserved, its own claim and all earlier ones fall
//! by the difference. Later claims stay: what the bucket refilled while it was full must not be
//! refilled twice.

use crate::engine::time::Time;

/// The most later claims that are kept. Beyond that the two oldest are merged, which gives back less
/// than exact, never more.
const MAX_CLAIMS: usize = 32;
/// How far a claim may reach, in nanoseconds of refill: 36 years.
const MAX_HEIGHT: i64 = 1 << 60;

#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Claims {
    /// The sum of all that was ever taken, in nanoseconds of refill.
    taken: i64,
    /// The highest claim. Most meters have no other most of the time, so it needs no allocation.
    first: Option<Claim>,
    /// The other claims by time; each is higher than all later ones.
    later: Vec<Claim>,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    at: Time,
    /// The theoretical arrival time that it claims, minus all that was ever taken.
    height: i64,
}

impl Claims {
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The theoretical arrival time: the moment up to which the allowance is spent.
    pub(in crate::engine) fn paid(&self) -> Time {
        let paid = self.first.map_or(0, |first| first.height.saturating_add(self.taken));
        Time::from_nanos(u64::try_from(paid).unwrap_or(0))
    }

    pub(in crate::engine) fn take(&mut self, now: Time, span: u64) {
        self.claim(now, now);
        self.taken = self.taken.saturating_add(bounded(span)).min(MAX_HEIGHT);
    }

    /// Raises the theoretical arrival time because of another source, such as a response header.
    pub(in crate::engine) fn claim(&mut self, now: Time, paid: Time) {
        let height = bounded(paid.nanos()) - self.taken;
        while self.later.pop_if(|last| last.height <= height).is_some() {}
        let new = Claim { at: now, height };
        match self.later.last().or(self.first.as_ref()) {
            // Of claims of the same moment the first is the highest.
            Some(last) if last.height > height && last.at >= now => {}
            Some(last) if last.height > height => {
                if self.later.len() >= MAX_CLAIMS {
                    let merged = self.later.remove(0);
                    self.later[0].height = merged.height;
                }
                self.later.push(new);
            }
            _ => self.first = Some(new),
        }
    }

    /// Gives back the part of a request, taken at `taken_at`, that was not used. `span` is its
    /// refill time.
    pub(in crate::engine) fn give_back(&mut self, taken_at: Time, span: u64) {
        let span = bounded(span);
        self.taken -= span;
        let after = |claim: &mut Claim| {
            if claim.at > taken_at {
                claim.height = claim.height.saturating_add(span);
            }
        };
        self.later.iter_mut().for_each(after);
        // A changed claim only matters while it is higher than all later ones.
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

fn bounded(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(MAX_HEIGHT).min(MAX_HEIGHT)
}
