//! All lanes, found by model name. Their number is bounded, because callers choose the names.

use std::sync::Arc;

use wildmatch::WildMatch;

use crate::engine::{
    ids::{AccountIx, LaneIx, Meters},
    lane::Lane,
    named::{Named, OTHERS},
    roster::account::Account,
    time::Time,
};

/// A lane may be forgotten after this time without use: one minute.
const FORGET_AFTER: u64 = 60_000_000_000;

#[derive(Debug)]
pub(crate) struct Lanes {
    /// All limits count the lane that unknown models share.
    lanes: Named<Lane>,
    /// The lane of requests without a model, once there is one.
    default: Option<LaneIx>,
    /// The account that is first in turn in new lanes.
    first: AccountIx,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self { lanes: Named::new(max_lanes(0)), default: None, first: AccountIx::new(0) }
    }

    /// Makes an account the first in turn, in these lanes and in new ones.
    pub(crate) fn begin_with(&mut self, first: AccountIx) {
        self.first = first;
        self.iter_mut().for_each(|lane| lane.begin_with(first));
    }

    /// The lane of a model; it is made if needed.
    pub(crate) fn resolve(
        &mut self,
        now: Time,
        model: Option<&str>,
        accounts: &[Account],
    ) -> LaneIx {
        let Some(model) = model else { return self.default(accounts) };
        let first = self.first;
        // A recently used lane stays: a request may be about to join it, or its rests still matter.
        let is_forgettable =
            |lane: &Lane| lane.is_idle() && now.since(lane.last_used) >= FORGET_AFTER;
        let worth = |lane: &Lane| is_forgettable(lane).then_some(lane.last_used);
        let place = self.lanes.resolve(model, worth, |name| {
            let meters = |account: &Account| match &**name == OTHERS {
                true => all_meters(account),
                false => meters_counting(account, Some(model)),
            };
            let seats = accounts.iter().map(|account| (meters(account), account.weight));
            Lane::new(Some(Arc::clone(name)), seats, first)
        });
        self.lanes[place].last_used = now;
        LaneIx::new(place)
    }

    fn default(&mut self, accounts: &[Account]) -> LaneIx {
        *self.default.get_or_insert_with(|| {
            let seats =
                accounts.iter().map(|account| (meters_counting(account, None), account.weight));
            LaneIx::new(self.lanes.keep(None, Lane::new(None, seats, self.first)))
        })
    }

    /// Adds an account to every lane.
    pub(crate) fn seat_new(&mut self, ix: AccountIx, account: &Account) {
        self.lanes.allow_at_most(max_lanes(ix.index() + 1));
        for place in self.all() {
            let meters = self.meters_of(place, account);
            self[place].seat_new(ix, meters, account.weight);
        }
    }

    /// Applies changed limits of an account.
    pub(crate) fn recount(&mut self, ix: AccountIx, account: &Account) {
        for place in self.all() {
            let meters = self.meters_of(place, account);
            let seat = self[place].seat_mut(ix);
            seat.meters = meters;
            if meters != 0 {
                seat.learnt.iter_mut().for_each(|learnt| learnt.know());
            }
        }
    }

    fn meters_of(&self, place: LaneIx, account: &Account) -> Meters {
        match Some(place.index()) == self.lanes.others_place() {
            true => all_meters(account),
            false => meters_counting(account, self[place].model.as_deref()),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = LaneIx> + use<> {
        (0..self.lanes.len()).map(LaneIx::new)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.things()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.things_mut()
    }
}

impl std::ops::Index<LaneIx> for Lanes {
    type Output = Lane;

    fn index(&self, lane: LaneIx) -> &Lane {
        &self.lanes[lane.index()]
    }
}

impl std::ops::IndexMut<LaneIx> for Lanes {
    fn index_mut(&mut self, lane: LaneIx) -> &mut Lane {
        &mut self.lanes[lane.index()]
    }
}

/// The most lanes: a lane costs about 100 bytes for each account, and all together stay below half
/// a GiB.
fn max_lanes(accounts: usize) -> usize {
    ((1 << 22) / accounts.max(1)).clamp(16, 1_023)
}

/// A limit without a pattern counts every request; one with a pattern counts the models that match.
fn meters_counting(account: &Account, model: Option<&str>) -> Meters {
    let counts = |pattern: Option<&str>| match (pattern, model) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(pattern), Some(model)) => WildMatch::new(pattern).matches(model),
    };
    (0..)
        .zip(&account.meters)
        .filter(|(_, meter)| counts(meter.limit.model_pattern()))
        .fold(0, |meters: Meters, (bit, _)| meters | 1 << bit)
        & !account.unused
}

fn all_meters(account: &Account) -> Meters {
    (0..account.meters.len()).fold(0, |meters: Meters, bit| meters | 1 << bit) & !account.unused
}
