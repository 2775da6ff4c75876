//! The line along which what is left of a token bucket falls as the time until it is full grows.
//!
//! A bucket that refills at `rate` has `left = capacity - rate * reset`. So two answers that lie far enough apart tell
//! both, whatever amount the header calls the limit. The answers of a window lie on no such line: what is left of it
//! falls while its reset falls, too.

use crate::engine::time::SECOND;

use super::{answer::Answer, bucket::seconds};

/// So far apart must two resets be: in whole seconds, to tell a rate within a third, and with fractions.
const APART: u64 = 3 * SECOND;
const NEAR: u64 = 3 * SECOND / 10;
/// A line needs so many answers.
const POINTS: u8 = 3;
/// Seconds by which a reset may be off the line, beside a fourth of it.
const OFF: f64 = 1.5;

#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// The most that was there, before the first request of the line took its cost.
    most: u64,
    /// The points with the most and the least left.
    ends: Option<(Point, Point)>,
    /// How many points agree.
    points: u8,
}

/// Ordered by what is left. Headers tell that in whole units. Of two points with the same number, less is left at the one
/// with the longer reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    left: u64,
    /// Nanoseconds.
    reset: u64,
}

impl Line {
    /// Begins with an answer.
    pub(super) fn new(answer: &Answer) -> Self {
        let point = answer.reset.map(|reset| Point { left: answer.left, reset });
        Self { most: answer.before(), ends: point.map(|point| (point, point)), points: 1 }
    }

    /// Adds what an answer tells. One far off the line begins another.
    pub(super) fn add(&mut self, answer: &Answer) {
        let Some(reset) = answer.reset else { return };
        let point = Point { left: answer.left, reset };
        let (high, low) = self.ends.unwrap_or((point, point));
        let is_lower = point.left < low.left || point.left == low.left && point.reset > low.reset;
        let new = (high.max(point), if is_lower { point } else { low });
        let is_off = match slope(high, low) {
            Some(rate) => {
                let expected = seconds(high.reset) + (high.left as f64 - point.left as f64) / rate;
                (expected - seconds(point.reset)).abs() > OFF + expected.abs() / 4.0
            }
            // What is left falls while its reset falls.
            None => new.1.left < new.0.left && new.1.reset + APART / 2 < new.0.reset,
        };
        if is_off {
            *self = Self::new(answer);
            return;
        }
        self.most = self.most.max(answer.before());
        self.ends = Some(new);
        self.points = self.points.saturating_add(1);
    }

    /// Units per second, if the answers tell it.
    pub(super) fn slope(&self) -> Option<f64> {
        let (high, low) = self.ends.filter(|_| self.points >= POINTS)?;
        slope(high, low)
    }

    /// What the bucket holds, at a rate.
    pub(super) fn capacity(&self, rate: f64) -> f64 {
        let at_rest = |(high, _): (Point, Point)| high.left as f64 + rate * seconds(high.reset);
        self.ends.map_or(0.0, at_rest).max(self.most as f64)
    }
}

fn slope(high: Point, low: Point) -> Option<f64> {
    let is_whole = low.reset.is_multiple_of(SECOND) && high.reset.is_multiple_of(SECOND);
    let apart = if is_whole { APART } else { NEAR };
    let is_apart = low.reset >= high.reset.saturating_add(apart) && high.left >= low.left + 2;
    is_apart.then(|| (high.left - low.left) as f64 / seconds(low.reset - high.reset))
}

#[cfg(test)]
mod tests {
    use super::{super::answer::Request, *};
    use crate::engine::time::Time;

    /// Answers that tell what is left, and seconds until all of it is back.
    fn line(points: &[(u64, f64)]) -> Line {
        let answer = |&(left, reset): &(u64, f64)| Answer {
            request: Request { sent: Time::ZERO, number: 1, cost: 1, then: 1, total: 1, beside: 0 },
            came: Time::ZERO,
            left,
            limit: None,
            label: None,
            reset: Some((reset * SECOND as f64) as u64),
        };
        let mut line = Line::new(&answer(&points[0]));
        points[1..].iter().for_each(|point| line.add(&answer(point)));
        line
    }

    #[test]
    fn a_bucket_has_a_rate_and_a_capacity() {
        let full = line(&[(59, 1.0), (40, 20.0), (41, 19.4), (10, 50.0)]);
        assert_eq!(full.slope(), Some(1.0));
        assert_eq!(full.capacity(1.0), 60.0);
        let fast = line(&[(999, 0.012), (800, 2.4), (500, 6.0)]);
        let rate = fast.slope().unwrap_or(0.0);
        assert!((rate - 83.3).abs() < 0.1, "{rate}");
    }

    #[test]
    fn a_window_has_none() {
        let fixed = line(&[(59, 58.0), (40, 50.0), (20, 31.0), (0, 12.0)]);
        assert_eq!(fixed.slope(), None);
        let sliding = line(&[(59, 60.0), (40, 59.9), (0, 60.0)]);
        assert_eq!(sliding.slope(), None);
    }

    #[test]
    fn whole_seconds_that_are_close_tell_no_rate() {
        assert_eq!(line(&[(59, 1.0), (58, 2.0), (57, 3.0)]).slope(), None);
    }
}
