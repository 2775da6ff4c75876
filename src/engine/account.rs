//! Accounts and their keys, as the engine sees them.

use std::sync::Arc;

use crate::{KeyId, limit::Metered};

use super::{
    demand::Cost,
    index::{AccountIx, KeyIx, Meters},
    meter::Meter,
    room::Room,
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
    pub(crate) served: u64,
    pub(crate) in_flight: u64,
}

impl Account {
    /// When a demand fits into all meters that count it.
    pub(crate) fn room(&self, meters: Meters, cost: &Cost) -> Room {
        self.counting(meters).map(|meter| meter.room(cost)).fold(self.standing.room(), Room::max)
    }

    pub(crate) fn counting(&self, meters: Meters) -> impl Iterator<Item = &Meter> {
        self.meters.iter().enumerate().filter(move |(i, _)| meters >> i & 1 == 1).map(|(_, m)| m)
    }

    pub(crate) fn counting_mut(&mut self, meters: Meters) -> impl Iterator<Item = &mut Meter> {
        self.meters
            .iter_mut()
            .enumerate()
            .filter(move |(i, _)| meters >> i & 1 == 1)
            .map(|(_, m)| m)
    }

    /// How loaded it is for a lane; the lower is chosen. First by the share of its allowance that is
    /// spent, then by what it is doing, each by weight.
    pub(crate) fn load(&self, meters: Meters, now: Time) -> Load {
        let share = self.counting(meters).map(|meter| meter.used_share(now)).max().unwrap_or(0);
        let weight = u64::from(self.weight.max(1));
        // In whole rounds: what is under way within one is no reason to prefer another.
        Load((share.min(1 << 40) << 16) / weight, self.in_flight / weight)
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

/// A totally ordered load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load(u64, u64);

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
