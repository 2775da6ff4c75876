//! A fixed window: all that was spent comes back at once, when the window ends.

use crate::engine::time::{SECOND, Time};

use super::answer::{Answer, Request};

/// Many providers tell resets in whole seconds.
const ROUNDED: u64 = SECOND;
/// The edge of a window is the provider's. So long after it the next allowance is used.
const SKEW: u64 = SECOND / 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    /// What was left of the window when so much had been sent: at least, and at most. An answer may count requests that
    /// were sent after its own.
    left: u64,
    most: u64,
    total: u64,
    /// When it ends, or is tried again: at the latest, and at the earliest.
    ends: Time,
    earliest: Time,
    /// A window has probably ended since the last answer. Requests from this number on are under way to find out, one at
    /// a time.
    tried: Option<u64>,
}

impl Fixed {
    /// The window that an answer tells of. Where it does not tell the end, that is `otherwise`.
    pub(super) fn new(answer: &Answer, otherwise: Time) -> Self {
        let ends = answer.full().unwrap_or(otherwise);
        let earliest = answer.earliest().unwrap_or(ends);
        let Answer { left, request, .. } = *answer;
        let most = left.saturating_add(request.after());
        Self { left, most, total: request.then, ends, earliest, tried: None }
    }

    /// Whether another window may have begun before the provider saw a request.
    pub(super) fn has_turned(&self, request: &Request) -> bool {
        match self.tried {
            Some(number) => request.number >= number,
            None => request.sent.plus(ROUNDED) >= self.earliest,
        }
    }

    /// The most that the answer to a request should say is left of the same window.
    pub(super) fn predicted(&self, request: &Request) -> u64 {
        self.most.saturating_sub(request.then.saturating_sub(self.total))
    }

    /// Takes in an answer from the same window: others may have spent some of it, too.
    pub(super) fn count(&mut self, answer: &Answer) {
        let Answer { left, request, .. } = *answer;
        let sent = request.then.saturating_sub(self.total);
        self.left = self.left.saturating_sub(sent).min(left);
        self.most = self.predicted(&request).min(left.saturating_add(request.after()));
        self.total = request.then;
        self.ends = answer.full().into_iter().fold(self.ends, Time::min);
        self.earliest = answer.earliest().into_iter().fold(self.earliest, Time::max).min(self.ends);
    }

    pub(super) fn left(&self, now: Time, total: u64, amount: u64) -> u64 {
        let is_over = self.ends.plus(SKEW) <= now && self.tried.is_none();
        if is_over { amount } else { self.left.saturating_sub(total.saturating_sub(self.total)) }
    }

    /// How much can be spent from now until then, if others spend nothing. `period` is how long each later window lasts.
    pub(super) fn free_by(
        &self,
        now: Time,
        then: Time,
        total: u64,
        amount: u64,
        period: u64,
    ) -> u64 {
        let period = period.max(SECOND);
        let ends = self.ends.plus(SKEW);
        let next = if ends <= now { now.plus(period) } else { ends };
        let windows = if then < next { 0 } else { 1 + then.since(next) / period };
        self.left(now, total, amount).saturating_add(amount.saturating_mul(windows))
    }

    pub(super) fn room(&self, units: u64, total: u64) -> Time {
        let left = self.left.saturating_sub(total.saturating_sub(self.total));
        if units <= left { Time::ZERO } else { self.ends.plus(SKEW) }
    }

    /// Sends a request. If the window has ended it goes ahead of all others, as clocks differ; if no answer comes
    /// within `patience`, another one does.
    pub(super) fn take(&mut self, now: Time, number: u64, units: u64, total: u64, patience: u64) {
        if self.ends.plus(SKEW) <= now {
            let ends = now.plus(patience);
            let tried = self.tried.or(Some(number));
            *self = Self { left: units, most: units, total, ends, earliest: ends, tried };
        }
    }
}
