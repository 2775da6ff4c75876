//! How long the network needs to the provider and back, and how much that varies.
//!
//! The pool knows when a request leaves and when its answer begins, but not when it arrives. Many
//! providers report how long they worked on a request; the rest is the round trip. If a provider
//! does not report it, its processing time counts as jitter, which errs on the safe side.

use std::time::Duration;

use crate::engine::time::{Time, nanos};

/// The margin until enough is measured, and its maximum while the processing time is unknown: 250
/// ms.
pub(crate) const UNMEASURED: u64 = 250_000_000;
const MIN_MARGIN: u64 = 50_000_000;
const MAX_MARGIN: u64 = 500_000_000;
/// Longer than any round trip.
const UNKNOWN: u64 = u64::MAX / 4;
/// The number of answers that make a measurement.
const MIN_ANSWERS: u8 = 16;

/// Moving averages (EWMA) of the round trip and of its deviation, in nanoseconds.
///
/// A few similar answers do not prove that all are similar. So the deviation over the last 8
/// answers and over the last 32 are both kept, and the larger one counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    shortest: u64,
    mean: u64,
    deviation: u32,
    slow_deviation: u32,
    answers: u8,
    /// In nanoseconds; at most half a second.
    margin: u32,
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self {
            shortest: UNKNOWN,
            mean: 0,
            deviation: 0,
            slow_deviation: 0,
            answers: 0,
            margin: UNMEASURED as u32,
        }
    }
}

impl RoundTrip {
    /// Notes an answer and the processing time that the provider reports. Returns whether the
    /// margin has changed.
    pub(crate) fn note(&mut self, sent: Time, now: Time, processed: Option<Duration>) -> bool {
        let elapsed = now.since(sent);
        let processed = processed.map(nanos).filter(|processed| *processed <= elapsed);
        let round_trip = elapsed - processed.unwrap_or(0);
        if self.answers == 0 {
            (self.shortest, self.mean) = (elapsed, round_trip);
            self.deviation = u32::try_from(round_trip / 8).unwrap_or(u32::MAX);
            self.slow_deviation = self.deviation;
        }
        // The minimum decays slowly, because routes can become longer.
        self.shortest = elapsed.min(self.shortest + self.shortest / 256);
        let off = u32::try_from(round_trip.abs_diff(self.mean)).unwrap_or(u32::MAX);
        self.deviation = self.deviation - self.deviation / 8 + off / 8;
        self.slow_deviation = self.slow_deviation - self.slow_deviation / 32 + off / 32;
        self.mean = self.mean - self.mean / 8 + round_trip / 8;
        self.answers = self.answers.saturating_add(1);
        // Values spread evenly over a range deviate by a quarter of it on average. Twice the range
        // leaves room for values spread less evenly.
        let max = if processed.is_some() { MAX_MARGIN } else { UNMEASURED };
        let deviation = u64::from(self.deviation.max(self.slow_deviation));
        let needed = (8 * deviation).clamp(MIN_MARGIN, max);
        // A small change is not worth an update of every meter.
        let margin = self.margin();
        let fits = (margin / 2..=margin).contains(&needed);
        if self.answers < MIN_ANSWERS || fits {
            return false;
        }
        self.margin = (needed + needed / 2).min(max) as u32;
        true
    }

    /// The margin in nanoseconds: how much the spacing of two requests may change on their way.
    pub(crate) fn margin(&self) -> u64 {
        u64::from(self.margin)
    }

    /// No request that left less than this ago can have been answered. Very large until the first
    /// answer.
    pub(crate) fn shortest(&self) -> u64 {
        self.shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_margin_covers_the_jitter_of_the_round_trip() {
        const MILLI: u64 = 1_000_000;
        for (seed, range) in [(1, 30), (2, 40), (3, 60), (4, 100)] {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut round_trip = RoundTrip::default();
            for answer in 0..20_000 {
                let elapsed = rng.u64(20 * MILLI..=(20 + range) * MILLI);
                round_trip.note(Time::ZERO, Time::from_nanos(elapsed), Some(Duration::ZERO));
                let half = round_trip.margin() / 2;
                assert!(half >= range * MILLI, "{half} for {range} ms, after {answer} answers");
            }
            assert!(
                round_trip.margin() <= 5 * range * MILLI,
                "{} for {range} ms",
                round_trip.margin()
            );
        }
    }
}
