//! What was sent so recently that the figures in a response cannot include it.

use crate::engine::time::Time;

/// The units taken lately, in two slices of half a round trip each.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Recent {
    current: Slice,
    previous: Slice,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    began: Time,
    latest: Time,
    units: u64,
}

impl Recent {
    pub(in crate::engine) fn take(&mut self, now: Time, round_trip: u64, units: u64) {
        self.advance(now, round_trip);
        self.current.latest = now;
        self.current.units = self.current.units.saturating_add(units);
    }

    /// The units that a response arriving now cannot include: all of the last half of a round trip,
    /// and none older than a whole one, because a unit counted twice is lost. The response includes
    /// its own request, sent at `sent`.
    pub(in crate::engine) fn unseen(
        &mut self,
        now: Time,
        round_trip: u64,
        sent: Time,
        own: u64,
    ) -> u64 {
        self.advance(now, round_trip);
        let (all, since) = match now.since(self.previous.latest) <= round_trip / 2 {
            true => (self.current.units.saturating_add(self.previous.units), self.previous.began),
            false => (self.current.units, self.current.began),
        };
        if sent >= since { all.saturating_sub(own) } else { all }
    }

    fn advance(&mut self, now: Time, round_trip: u64) {
        if now.since(self.current.began) > round_trip / 2 {
            self.previous = self.current;
            self.current = Slice { began: now, latest: now, units: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: u64 = 100;

    #[test]
    fn unseen_units_cover_half_a_round_trip_and_none_older_than_a_whole_one() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut recent, mut taken, mut now) = (Recent::default(), Vec::new(), 1_000);
        for _ in 0..10_000 {
            now += rng.u64(0..=40);
            if rng.bool() {
                recent.take(Time::from_nanos(now), ROUND_TRIP, 1);
                taken.push(now);
            }
            let within = |time: u64| taken.iter().filter(|at| now - **at <= time).count() as u64;
            let unseen = recent.unseen(Time::from_nanos(now), ROUND_TRIP, Time::ZERO, 1);
            assert!(within(ROUND_TRIP / 2) <= unseen && unseen <= within(ROUND_TRIP));
        }
    }
}
