//! What was sent so recently that an answer cannot have counted it.

use super::time::Time;

/// Units that were taken in the last round trip, and in the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    began: Time,
    latest: Time,
    this: u64,
    last: u64,
}

impl Recent {
    pub(super) fn take(&mut self, now: Time, round_trip: u64, units: u64) {
        self.turn(now, round_trip);
        self.this = self.this.saturating_add(units);
        self.latest = now;
    }

    /// The units that an answer that arrives now cannot know of, and up to a round trip's more. Its
    /// own, sent at `sent`, it knows of.
    pub(super) fn unseen(&mut self, now: Time, round_trip: u64, sent: Time, own: u64) -> u64 {
        self.turn(now, round_trip);
        let all = self.this.saturating_add(self.last);
        if sent >= self.began.minus(round_trip) { all.saturating_sub(own) } else { all }
    }

    fn turn(&mut self, now: Time, round_trip: u64) {
        if now.since(self.began) > round_trip {
            self.last = if now.since(self.latest) > round_trip { 0 } else { self.this };
            (self.this, self.began) = (0, now);
        }
    }
}
