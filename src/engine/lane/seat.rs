//! What a lane knows of one account.

use crate::engine::{
    ids::Meters, lane::size::Largest, learn::Learner, standing::Standing, time::Time,
};

/// For so many rounds an account that was passed over keeps its turns.
pub(in crate::engine::lane) const MOST_ROUNDS: i32 = 32;

/// So long ago an account was accepted just now.
const JUST_NOW: u32 = 30;
/// A tick is `2^26` nanoseconds, 67 ms: nine years of them fit.
const TICK_BITS: u32 = 26;

#[derive(Debug)]
pub(crate) struct Seat {
    pub(in crate::engine::lane) place: Place,
    pub(crate) meters: Meters,
    pub(crate) standing: Standing,
    /// When a request was last accepted, and when that was sent, in ticks and one more: zero is never.
    accepted: u32,
    accepted_sent: u32,
    /// The largest request that is taken, where one was refused for its size.
    pub(crate) largest: Option<Box<Largest>>,
    /// What is known of the account's limits for this model beyond what was declared.
    pub(crate) learnt: Option<Box<Learner>>,
    pub(crate) weight: u32,
    /// How often it may be the first to be taken before others are; less than none if others were
    /// passed over for it.
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
    /// A request was accepted.
    pub(crate) fn accepted(&mut self, now: Time, sent: Time) {
        self.accepted = ticks(now) + 1;
        self.accepted_sent = self.accepted_sent.max(ticks(sent) + 1);
    }

    /// Whether a request was accepted that was sent after a moment.
    pub(crate) fn has_accepted_since(&self, then: Time) -> bool {
        self.accepted_sent > ticks(then) + 1
    }

    /// Whether a request was accepted just now.
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

/// How many turns an account has in a round: its weight.
pub(in crate::engine::lane) fn turns_of(weight: u32) -> i32 {
    i32::try_from(weight).unwrap_or(i32::MAX).min(i32::MAX / (2 * MOST_ROUNDS))
}
