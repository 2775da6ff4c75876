//! The models that the provider served recently.

use crate::engine::{
    ids::LaneIx,
    time::{SECOND, Time},
};

/// How long a success speaks against an overload of the whole provider.
const RECENT: u64 = 5 * SECOND;

/// The last success of one model, and the last of another.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    last: Option<(LaneIx, Time)>,
    other: Option<(LaneIx, Time)>,
}

impl Serving {
    pub(crate) fn note(&mut self, now: Time, lane: LaneIx) {
        if self.last.is_some_and(|(last, _)| last != lane) {
            self.other = self.last;
        }
        self.last = Some((lane, now));
    }

    /// Whether a model was served recently that is not overloaded.
    pub(crate) fn is_another(&self, now: Time, is_overloaded: impl Fn(LaneIx) -> bool) -> bool {
        let recent = [self.last, self.other].into_iter().flatten();
        recent.filter(|(_, then)| now.since(*then) <= RECENT).any(|(lane, _)| !is_overloaded(lane))
    }
}
