//! A latch: announces a condition once, and again only after it was over.

use crate::engine::time::Time;

/// Whether a condition holds. It is raised once, however often the condition is seen, until it is
/// lowered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latch {
    /// When the condition was last seen, in ticks plus one; 0 if it does not hold.
    seen: u32,
}

/// A tick is `2^26` nanoseconds, 67 ms: nine years of them fit.
const TICK_BITS: u32 = 26;

fn ticks(time: Time) -> u32 {
    u32::try_from(time.nanos() >> TICK_BITS).unwrap_or(u32::MAX - 1)
}

impl Latch {
    /// The condition is seen. Returns whether this is news.
    pub(crate) fn raise(&mut self, now: Time) -> bool {
        let is_news = !self.is_raised();
        self.seen = ticks(now) + 1;
        is_news
    }

    /// The condition is over.
    pub(crate) fn lower(&mut self) {
        self.seen = 0;
    }

    /// Lowers the latch if the condition was not seen for `calm` nanoseconds. Returns whether it
    /// did.
    pub(crate) fn lower_after(&mut self, now: Time, calm: u64) -> bool {
        let since = ticks(now).saturating_sub(self.seen.saturating_sub(1));
        let is_over = self.is_raised() && u64::from(since) << TICK_BITS >= calm;
        if is_over {
            self.lower();
        }
        is_over
    }

    pub(crate) fn is_raised(self) -> bool {
        self.seen > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::SECOND;

    #[test]
    fn a_latch_is_news_once_until_it_has_been_calm() {
        let at = |seconds: u64| Time::from_nanos(seconds * SECOND);
        let mut latch = Latch::default();
        assert!(!latch.lower_after(at(0), 0), "it never began");
        assert!(latch.raise(at(0)), "also at the beginning of time");
        assert!(!latch.raise(at(5)));
        assert!(!latch.lower_after(at(14), 10 * SECOND), "it was seen at 5");
        assert!(latch.lower_after(at(16), 10 * SECOND));
        assert!(!latch.is_raised());
        assert!(latch.raise(at(16)));
    }
}
