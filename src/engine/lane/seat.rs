//! What a lane knows about one account.

use crate::engine::{
    ids::Meters, lane::size::Largest, learn::Learner, standing::Standing, time::Time,
};

/// An account that was passed over keeps its turns for at most this many rounds.
pub(in crate::engine::lane) const MAX_ROUNDS_KEPT: i32 = 32;

/// An account counts as accepting if it accepted a request within this many ticks: about two
/// seconds.
const JUST_NOW: u32 = 30;
/// A tick is `2^26` nanoseconds, 67 ms: nine years of them fit.
const TICK_BITS: u32 = 26;

#[derive(Debug)]
pub(crate) struct Seat {
    pub(in crate::engine::lane) place: Place,
    pub(crate) meters: Meters,
    pub(crate) standing: Standing,
    /// When a request was last accepted, and when that request was sent, in ticks plus one; 0 is
    /// never.
    accepted: u32,
    accepted_sent: u32,
    /// The largest request that the account takes, where it refused one for its size.
    pub(crate) largest: Option<Box<Largest>>,
    /// What is known of the account's limits for this model beyond what was declared.
    pub(crate) learnt: Option<Box<Learner>>,
    pub(crate) weight: u32,
    /// How many requests it may still take as the first in turn. Negative if it was taken out of
    /// turn.
    pub(in crate::engine::lane) turns: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::lane) enum Place {
    Ready,
    Asleep(Time),
    Blocked,
}

fn ticks(now: Time) -> u32 {
    u32::try_from(now.nanos() >> TICK_BITS).unwrap_or(u32::MAX - 1)
}

impl Seat {
    /// Notes that a request was accepted.
    pub(crate) fn accepted(&mut self, now: Time, sent: Time) {
        self.accepted = ticks(now) + 1;
        self.accepted_sent = self.accepted_sent.max(ticks(sent) + 1);
    }

    /// Whether a request that was sent after `then` was accepted.
    pub(crate) fn has_accepted_since(&self, then: Time) -> bool {
        self.accepted_sent > ticks(then) + 1
    }

    /// Whether a request was accepted within the last two seconds.
    pub(crate) fn is_accepting(&self, now: Time) -> bool {
        self.accepted > 0 && ticks(now).saturating_sub(self.accepted - 1) <= JUST_NOW
    }

    pub(in crate::engine::lane) fn new(meters: Meters, weight: u32) -> Self {
        Self {
            place: Place::Ready,
            meters,
            standing: Standing::default(),
            accepted: 0,
            accepted_sent: 0,
            largest: None,
            learnt: None,
            weight,
            turns: 0,
        }
    }
}

/// The turns of an account in each round: its weight.
pub(in crate::engine::lane) fn turns_of(weight: u32) -> i32 {
    i32::try_from(weight).unwrap_or(i32::MAX).min(i32::MAX / (2 * MAX_ROUNDS_KEPT))
}
