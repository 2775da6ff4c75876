//! How many requests may be under way at once.
//!
//! It begins as slow start: a few, and one more for each answer, until something refuses. A request that was refused
//! while others were under way may have met a limit on concurrency that no header tells. As long as that explains what
//! is seen, no more are sent at once than were under way then. One more is tried after a second, and after twice as long
//! each time that it was refused. So a wrong suspicion ends at once, and a true limit costs few refusals.

use crate::engine::{
    room::Room,
    time::{SECOND, Time},
};

/// So many at once, and nothing refuses: there is no limit to be found.
const ENOUGH: u32 = 1_024;
/// A true limit is tried about once in four minutes.
const MOST_DOUBLINGS: u8 = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Concurrency {
    open: u32,
    stage: Stage,
    /// When it was last refused.
    missed: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    SlowStart {
        most: u32,
    },
    Unlimited,
    Limited {
        most: u32,
        /// How often it was right.
        times: u8,
        tried: Time,
    },
}

impl Concurrency {
    pub(super) fn new(start: u32) -> Self {
        Self { open: 0, stage: Stage::SlowStart { most: start.max(1) }, missed: Time::ZERO }
    }

    /// Headers tell limits: there is no need to begin slowly.
    pub(super) fn know(&mut self) {
        if matches!(self.stage, Stage::SlowStart { .. }) {
            self.stage = Stage::Unlimited;
        }
    }

    /// When one more may be sent.
    pub(super) fn room(&self) -> Room {
        match self.stage {
            Stage::Unlimited => Room::At(Time::ZERO),
            Stage::SlowStart { most } | Stage::Limited { most, .. } if self.open < most => {
                Room::At(Time::ZERO)
            }
            Stage::Limited { most, times, tried } if self.open == most => {
                Room::At(tried.plus(SECOND << times))
            }
            Stage::SlowStart { .. } | Stage::Limited { .. } => Room::OnChange,
        }
    }

    /// How many others are under way.
    pub(super) fn take(&mut self, now: Time) -> u32 {
        if let Stage::Limited { most, tried, .. } = &mut self.stage
            && self.open >= *most
        {
            *tried = now;
        }
        self.open = self.open.saturating_add(1);
        self.open - 1
    }

    pub(super) fn release(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn accepted(&mut self, others: u32) {
        match &mut self.stage {
            Stage::SlowStart { most } if *most < ENOUGH => *most += 1,
            Stage::SlowStart { .. } => self.stage = Stage::Unlimited,
            Stage::Limited { most, times, .. } if others >= *most => {
                (*most, *times) = (others + 1, 0);
                if *most >= ENOUGH {
                    self.stage = Stage::Unlimited;
                }
            }
            Stage::Limited { .. } | Stage::Unlimited => {}
        }
    }

    /// A request was refused beside others. Whether it is known that this is why.
    pub(super) fn refused(&mut self, now: Time, sent: Time, others: u32) -> bool {
        // What was under way when another was refused is the same news.
        if sent < self.missed {
            return matches!(self.stage, Stage::Limited { times: 2.., .. });
        }
        self.missed = now;
        match &mut self.stage {
            Stage::Limited { most, times, .. } if others >= *most => {
                *times = (*times + 1).min(MOST_DOUBLINGS);
                // The first time might have been the rate.
                *times > 1
            }
            // With fewer it was refused, too: this is not why.
            Stage::Limited { times, .. } => {
                *times = 0;
                false
            }
            _ if others > 0 => {
                self.stage = Stage::Limited { most: others, times: 0, tried: now };
                false
            }
            _ => false,
        }
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    pub(super) fn set_open(&mut self, open: u32) {
        self.open = open;
    }

    /// How many more may be sent; none if nothing limits that.
    #[cfg(feature = "balance")]
    pub(super) fn left(&self) -> Option<u64> {
        match self.stage {
            Stage::Unlimited => None,
            Stage::SlowStart { most } | Stage::Limited { most, .. } => {
                Some(most.saturating_sub(self.open).into())
            }
        }
    }

    /// The limit that is believed in, once it was right twice.
    pub(super) fn limit(&self) -> Option<u32> {
        match self.stage {
            Stage::Limited { most, times: 2.., .. } => Some(most),
            _ => None,
        }
    }
}
