//! The figures that headers report of a limit, as they are written.

use std::time::{Duration, SystemTime};

use crate::provider::duration;

/// Amounts from this one on mean "not limited": some gateways send `-1`, some 2^63.
const UNLIMITED: u64 = 1 << 62;

/// Which figure of a limit a header reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Limit,
    Remaining,
    Reset,
    /// The period, in seconds.
    Period,
}

/// A number of requests or tokens. Of a list (`100, 100;w=60`, as older drafts have it), the first.
pub(super) fn amount(text: &str) -> Option<u64> {
    let first = || text.split([',', ';']).next()?.trim().parse().ok();
    text.parse().ok().or_else(first).filter(|&amount| amount < UNLIMITED)
}

/// What the headers report of one limit.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<Duration>,
    pub(super) period: Option<Duration>,
}

impl Figures {
    /// Of a header that is sent twice, the more cautious value counts.
    pub(super) fn take(&mut self, figure: Figure, text: &str, sent: impl FnOnce() -> SystemTime) {
        match figure {
            Figure::Limit => self.limit = lower(self.limit, amount(text)),
            Figure::Remaining => self.remaining = lower(self.remaining, amount(text)),
            Figure::Reset => self.reset = self.reset.max(duration::reset(text, sent)),
            Figure::Period => {
                self.period = duration::wait(text).filter(|period| !period.is_zero());
            }
        }
    }

    /// Whether they say anything; a reset alone does not.
    pub(super) fn are_useful(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some()
    }

    /// Of two limits on the same, the one with less remaining.
    pub(super) fn tighter(self, other: Self) -> Self {
        match (self.remaining, other.remaining) {
            (Some(left), Some(others)) if others < left => other,
            (None, Some(_)) => other,
            (None, None) if !self.are_useful() => other,
            _ => self,
        }
    }
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
