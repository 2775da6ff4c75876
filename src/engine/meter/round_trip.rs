//! How long the way to the provider and back takes, and how much that varies.
//!
//! A request leaves at a moment that is known and arrives at one that is not. What is known is when
//! its answer began, and how far that strays from one request to the next. Many providers tell how
//! long they worked on it; what is left is the way. Of others that time is a part of what strays,
//! which errs on the side of caution.

use std::time::Duration;

use crate::engine::time::{Time, nanos};

/// The margin as long as too little was measured, and the most of it where it is not known what part
/// of a round trip is the way: 250 ms.
pub(crate) const UNMEASURED: u64 = 250_000_000;
const LEAST: u64 = 50_000_000;
const MOST: u64 = 500_000_000;
/// Longer than anything lasts.
const UNKNOWN: u64 = u64::MAX / 4;
/// So many answers are a measurement.
const ENOUGH: u8 = 16;

/// A moving average over about eight answers and how far they stray from it, in nanoseconds.
///
/// A few answers that happen to be alike are no reason to believe that all are: what counts is how far
/// the last eight strayed, or the last thirty-two, whichever is more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundTrip {
    least: u64,
    mean: u64,
    stray: u32,
    steady: u32,
    seen: u8,
    /// Half a second at most.
    margin: u32,
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self { least: UNKNOWN, mean: 0, stray: 0, steady: 0, seen: 0, margin: UNMEASURED as u32 }
    }
}

impl RoundTrip {
    /// An answer has begun, on which the provider says to have worked for so long. Whether the margin
    /// is another now.
    pub(crate) fn note(&mut self, sent: Time, now: Time, processed: Option<Duration>) -> bool {
        let took = now.since(sent);
        let processed = processed.map(nanos).filter(|processed| *processed <= took);
        let way = took - processed.unwrap_or(0);
        if self.seen == 0 {
            (self.least, self.mean) = (took, way);
            self.stray = u32::try_from(way / 8).unwrap_or(u32::MAX);
            self.steady = self.stray;
        }
        // The least is let go of slowly: ways become longer, too.
        self.least = took.min(self.least + self.least / 256);
        let strays = u32::try_from(way.abs_diff(self.mean)).unwrap_or(u32::MAX);
        self.stray = self.stray - self.stray / 8 + strays / 8;
        self.steady = self.steady - self.steady / 32 + strays / 32;
        self.mean = self.mean - self.mean / 8 + way / 8;
        self.seen = self.seen.saturating_add(1);
        // What varies evenly over a range strays by a quarter of it on the average; twice the range
        // leaves room for what varies less evenly.
        let most = if processed.is_some() { MOST } else { UNMEASURED };
        let stray = u64::from(self.stray.max(self.steady));
        let needed = (8 * stray).clamp(LEAST, most);
        // Little changes are not worth looking at every meter.
        let margin = self.margin();
        let fits = (margin / 2..=margin).contains(&needed);
        if self.seen < ENOUGH || fits {
            return false;
        }
        self.margin = (needed + needed / 2).min(most) as u32;
        true
    }

    /// How far apart two requests may arrive from how far apart they left.
    pub(crate) fn margin(&self) -> u64 {
        u64::from(self.margin)
    }

    /// Whatever left less than this ago cannot have been answered; nobody knows for how long
    /// as long as nothing has been.
    pub(crate) fn least(&self) -> u64 {
        self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_margin_is_never_less_than_what_the_way_varies_by() {
        const MILLI: u64 = 1_000_000;
        for (seed, range) in [(1, 30), (2, 40), (3, 60), (4, 100)] {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut way = RoundTrip::default();
            for answer in 0..20_000 {
                let took = rng.u64(20 * MILLI..=(20 + range) * MILLI);
                way.note(Time::ZERO, Time::from_nanos(took), Some(Duration::ZERO));
                let half = way.margin() / 2;
                assert!(half >= range * MILLI, "{half} for {range} ms, after {answer} answers");
            }
            assert!(way.margin() <= 5 * range * MILLI, "{} for {range} ms", way.margin());
        }
    }
}
