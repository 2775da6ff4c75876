//! Accounts and their keys, as the engine sees them.

use std::sync::Arc;

use crate::{KeyId, limit::Metered};

use super::{
    demand::Cost,
    index::{AccountIx, KeyIx, Meters},
    lane::Seat,
    meter::{Meter, Source},
    refusal::Refusal,
    room::Room,
    round_trip::RoundTrip,
    standing::Standing,
    time::Time,
};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) meters: Vec<Meter>,
    pub(crate) keys: Vec<KeyIx>,
    pub(crate) standing: Standing,
    pub(crate) failures: Failures,
    pub(crate) refusal: Option<Arc<Refusal>>,
    pub(crate) way: RoundTrip,
    pub(crate) served: u64,
    pub(crate) in_flight: u64,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) account: AccountIx,
    pub(crate) weight: u32,
    pub(crate) meters: Vec<Meter>,
    pub(crate) alive: bool,
    pub(crate) refusal: Option<Arc<Refusal>>,
    pub(crate) served: u64,
    pub(crate) in_flight: u64,
}

impl Account {
    /// When a demand fits into all meters that count it, and may be sent.
    pub(crate) fn room(&self, seat: &Seat, cost: &Cost) -> Room {
        let learnt = seat.learnt.iter().flat_map(|learnt| &learnt.meters);
        let meters = self.counting(seat.meters).chain(learnt);
        let standing = self.standing.room().max(seat.standing.room());
        meters.map(|meter| meter.room(cost)).fold(standing, Room::max)
    }

    pub(crate) fn counting(&self, meters: Meters) -> impl Iterator<Item = &Meter> + Clone {
        self.meters.iter().enumerate().filter(move |(i, _)| meters >> i & 1 == 1).map(|(_, m)| m)
    }

    pub(crate) fn counting_mut(&mut self, meters: Meters) -> impl Iterator<Item = &mut Meter> {
        self.meters
            .iter_mut()
            .enumerate()
            .filter(move |(i, _)| meters >> i & 1 == 1)
            .map(|(_, m)| m)
    }

    /// The spent share of its allowance in a lane, in 65,536ths: of the limit that is nearest to its
    /// end. How many may go at once until something is known is no allowance.
    pub(crate) fn used_share(&self, seat: &Seat, now: Time) -> u64 {
        let learnt = seat.learnt.iter().flat_map(|learnt| &learnt.meters);
        let learnt = learnt.filter(|meter| meter.source != Source::Start);
        let all = self.counting(seat.meters).chain(learnt);
        all.map(|meter| meter.used_share(now)).max().unwrap_or(0)
    }
}

impl Key {
    /// When a demand fits into the key's own limits.
    pub(crate) fn room(&self, cost: &Cost) -> Room {
        let rooms = self.meters.iter().map(|meter| meter.room(cost));
        rooms.fold(Room::At(Time::ZERO), Room::max)
    }

    /// How many units of a thing can be taken from now until then, if nobody else takes any.
    pub(crate) fn free_by(&self, metered: Metered, now: Time, then: Time) -> u64 {
        let meters = self.meters.iter().filter(|meter| meter.limit.metered() == metered);
        meters.filter_map(|meter| meter.free_by(now, then)).min().unwrap_or(u64::MAX)
    }
}

/// The recent share of failures nobody is to blame for yet: a moving average over about eight
/// answers, in 65,536ths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    share: u32,
    streak: u32,
}

impl Failures {
    pub(crate) fn succeeded(&mut self) {
        self.share -= self.share / 8;
        self.streak = 0;
    }

    /// Whether it fails so much that it should rest.
    pub(crate) fn failed(&mut self) -> bool {
        self.share += ((1 << 16) - self.share) / 8;
        self.streak += 1;
        self.streak >= 3 && self.share > 1 << 15
    }
}
