//! Accounts and their keys, as the engine sees them.

use std::{mem, sync::Arc};

use crate::{
    KeyId, Limit,
    engine::{
        ask::Cost,
        evidence::refusal::Refusal,
        grant::Grant,
        ids::{AccountIx, KeyIx, MAX_LIMITS, Meters},
        lane::seat::Seat,
        learn::Allowances,
        meter::{Meter, quota::Quota, round_trip::RoundTrip},
        room::Room,
        roster::accepted::Accepted,
        standing::Standing,
        time::Time,
    },
    limit::Metered,
};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) weight: u32,
    /// Their indices never change, because seats and requests under way refer to them.
    pub(crate) meters: Vec<Meter>,
    /// The slots of limits that were removed.
    pub(crate) unused: Meters,
    /// Limits of the whole account that headers tell beyond those that were declared.
    pub(crate) told: Option<Box<Allowances>>,
    /// The keys that new requests may be sent with.
    pub(crate) keys: Vec<KeyIx>,
    pub(crate) standing: Standing,
    pub(crate) failures: Failures,
    pub(crate) round_trip: RoundTrip,
    pub(crate) served: u64,
    pub(crate) in_flight: u64,
    /// No longer declared; forgotten once its last request has ended.
    pub(crate) is_leaving: bool,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) ix: KeyIx,
    pub(crate) id: KeyId,
    pub(crate) account: AccountIx,
    /// What one request adds to `load`: less for a key with more weight.
    pub(crate) turn: u64,
    pub(crate) meters: Box<[Meter]>,
    pub(crate) life: Life,
    /// Whether the provider rejects it, as far as is known.
    pub(crate) is_rejected: bool,
    pub(crate) standing: Standing,
    pub(crate) accepted: Accepted,
    /// How often its secret was replaced.
    pub(crate) secret: u32,
    pub(crate) refusal: Option<Box<Refusal>>,
    pub(crate) served: u64,
    /// What it served, by its weight: the key of the account with the lowest load is taken.
    pub(crate) load: u64,
    pub(crate) in_flight: u32,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Good,
    /// A person has switched it off.
    Disabled,
    /// Its expiry date has passed.
    Expired,
    /// No longer declared: its requests end, and no new ones are sent.
    Leaving,
    /// No reference to it is left, so its slot is free.
    Gone,
}

/// An account to declare.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub(crate) name: Arc<str>,
    pub(crate) weight: u32,
    pub(crate) meters: Vec<Meter>,
}

/// A key to declare.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) id: KeyId,
    pub(crate) weight: u32,
    pub(crate) meters: Vec<Meter>,
    pub(crate) expires: Option<Time>,
}

impl Account {
    pub(in crate::engine) fn new(new: NewAccount) -> Self {
        Self {
            name: new.name,
            weight: new.weight,
            meters: new.meters,
            unused: 0,
            told: None,
            keys: Vec::new(),
            standing: Standing::default(),
            failures: Failures::default(),
            round_trip: RoundTrip::default(),
            served: 0,
            in_flight: 0,
            is_leaving: false,
        }
    }

    /// Replaces the declared limits.
    pub(in crate::engine) fn declare(&mut self, now: Time, new: Vec<Meter>, epoch: u32) {
        let is_unused = |place: usize| self.unused >> place & 1 == 1;
        let kept = successors(&self.meters, is_unused, &new);
        self.unused = (0..self.meters.len()).fold(0, |unused, place| unused | 1 << place);
        let mut others = Vec::new();
        for (meter, place) in new.into_iter().zip(kept) {
            match place {
                Some(place) => {
                    self.unused &= !(1 << place);
                    self.meters[place].declare(now, &meter.limit, &self.round_trip);
                }
                None => others.push(meter),
            }
        }
        for meter in others {
            self.add(meter.beginning_with(epoch));
        }
    }

    /// Adds a limit if there is a free slot.
    fn add(&mut self, mut meter: Meter) {
        meter.set_margin(&self.round_trip);
        if self.unused == 0 && self.meters.len() < MAX_LIMITS {
            self.meters.push(meter);
            return;
        }
        if self.unused != 0 {
            let place = self.unused.trailing_zeros() as usize;
            self.unused &= !(1 << place);
            self.meters[place] = meter;
        }
    }

    /// Headers no longer tell the amount that a declared limit was corrected to: what was declared holds again.
    pub(crate) fn restore_declared(&mut self, told: u64, metered: Metered) {
        for meter in self.meters.iter_mut().filter(|meter| meter.limit.metered() == metered) {
            let (amount, burst) = (meter.declared.amount(), meter.declared.burst);
            if meter.limit.amount() == told && amount != told {
                meter.set_amount(amount, burst, &self.round_trip);
            }
        }
    }

    /// All that counts the requests of a model: meters, and what was learned.
    pub(crate) fn quota<'a>(&'a self, seat: &'a Seat) -> Quota<'a> {
        Quota::new(&self.meters, seat.meters, self.told.as_deref(), seat.learnt.as_deref())
    }

    /// When a demand fits into the quota and the account may be used.
    pub(crate) fn room(&self, now: Time, seat: &Seat, cost: &Cost) -> Room {
        let standing = self.standing.room().max(seat.standing.room());
        self.room_for_size(now, seat, cost).max(standing)
    }

    /// Like [`room`](Self::room), for a request that lets others probe first, for `later`
    /// nanoseconds.
    pub(crate) fn room_after_others(
        &self,
        now: Time,
        seat: &Seat,
        cost: &Cost,
        later: u64,
    ) -> Room {
        let standing = self.standing.room_after_others(later);
        let standing = standing.max(seat.standing.room_after_others(later));
        let room = self.room_for_size(now, seat, cost);
        let is_tried = seat.learnt.as_ref().is_some_and(|learnt| learnt.is_half_open());
        let room = match room {
            Room::At(open) if is_tried => Room::At(open.plus(later)),
            room => room,
        };
        room.max(standing)
    }

    /// Like [`room`](Self::room), for a request that has no other place to go to.
    pub(crate) fn room_in_need(&self, now: Time, seat: &Seat, cost: &Cost) -> Room {
        let standing = self.standing.room_in_need().max(seat.standing.room_in_need());
        self.quota(seat).room(now, cost).max(standing)
    }

    fn room_for_size(&self, now: Time, seat: &Seat, cost: &Cost) -> Room {
        let room = self.quota(seat).room(now, cost);
        seat.largest.as_ref().map_or(room, |largest| largest.room(cost).max(room))
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

    /// The meters that count a request under way. A newer meter in the slot of a removed one does
    /// not count it.
    pub(crate) fn counting_grant(&mut self, grant: &Grant) -> impl Iterator<Item = &mut Meter> {
        let (meters, epoch) = (grant.meters & !self.unused, grant.epoch);
        self.counting_mut(meters).filter(move |meter| meter.since <= epoch)
    }
}

impl Key {
    pub(in crate::engine) fn new(
        ix: KeyIx,
        account: AccountIx,
        new: NewKey,
        round_trip: &RoundTrip,
    ) -> Self {
        let mut meters = new.meters.into_boxed_slice();
        meters.iter_mut().for_each(|meter| meter.set_margin(round_trip));
        Self {
            ix,
            id: new.id,
            account,
            turn: turn_of(new.weight),
            meters,
            life: Life::Good,
            is_rejected: false,
            standing: Standing::default(),
            accepted: Accepted::default(),
            secret: 0,
            refusal: None,
            served: 0,
            load: 0,
            in_flight: 0,
        }
    }

    /// Replaces the key's own limits.
    pub(in crate::engine) fn declare(
        &mut self,
        now: Time,
        new: Vec<Meter>,
        epoch: u32,
        round_trip: &RoundTrip,
    ) {
        let kept = successors(&self.meters, |_| false, &new);
        let mut old: Vec<_> = mem::take(&mut self.meters).into_iter().map(Some).collect();
        let successor = |(new, place): (Meter, Option<usize>)| {
            let mut meter = match place.and_then(|place| old[place].take()) {
                Some(mut meter) => {
                    meter.declare(now, &new.limit, round_trip);
                    meter
                }
                None => new.beginning_with(epoch),
            };
            meter.set_margin(round_trip);
            meter
        };
        self.meters = new.into_iter().zip(kept).map(successor).collect();
    }

    /// Whether it may be used, as far as is known.
    pub(crate) fn is_live(&self) -> bool {
        self.life == Life::Good && !self.is_rejected
    }

    /// The key's own limits.
    pub(crate) fn quota(&self) -> Quota<'_> {
        Quota::of(&self.meters)
    }

    /// When a demand fits into the key's own limits.
    pub(crate) fn room(&self, cost: &Cost) -> Room {
        self.meters.iter().map(|meter| meter.room(cost)).fold(Room::At(Time::ZERO), Room::max)
    }
}

/// What one request adds to a key's load.
pub(in crate::engine) fn turn_of(weight: u32) -> u64 {
    (1 << 20) / u64::from(weight.max(1))
}

/// For each new limit the index of the meter that continues for it: that of the same limit,
/// otherwise that of a limit that differs only in its amount.
fn successors(
    old: &[Meter],
    is_unused: impl Fn(usize) -> bool,
    new: &[Meter],
) -> Vec<Option<usize>> {
    let mut free: Vec<_> = (0..old.len()).map(|place| !is_unused(place)).collect();
    let mut find = |is_same: fn(&Meter, &Limit) -> bool, new: &Meter| {
        let mut places = free.iter().zip(old);
        let place = places.position(|(free, old)| *free && is_same(old, &new.limit))?;
        free[place] = false;
        Some(place)
    };
    let same: Vec<_> = new.iter().map(|new| find(Meter::is_declared_as, new)).collect();
    new.iter().zip(same).map(|(new, same)| same.or_else(|| find(Meter::is_of, new))).collect()
}

/// The recent share of failures with no proven cause: a moving average over about eight answers, in
/// 65,536ths.
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

    /// The share of failures, in 65,536ths.
    #[cfg(feature = "balance")]
    pub(crate) fn share(&self) -> u64 {
        u64::from(self.share)
    }

    /// Notes a failure; returns whether the account fails so much that it should rest.
    pub(crate) fn failed(&mut self) -> bool {
        self.share += ((1 << 16) - self.share) / 8;
        self.streak += 1;
        self.streak >= 3 && self.share > 1 << 15
    }
}
