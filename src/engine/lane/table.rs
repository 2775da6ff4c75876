//! All lanes: found by model name, and bounded, because model names come from callers.

use std::sync::Arc;

use wildmatch::WildMatch;

use crate::engine::{
    ids::{AccountIx, LaneIx, Meters},
    lane::Lane,
    named::{Named, OTHERS},
    roster::account::Account,
    time::Time,
};

/// So long a lane must not have been used: a minute.
const LONG: u64 = 60_000_000_000;

#[derive(Debug)]
pub(crate) struct Lanes {
    /// That of the others is counted by every limit.
    lanes: Named<Lane>,
    /// The lane of requests without a model, once there are any.
    default: Option<LaneIx>,
    /// Whose turn it is first in new lanes.
    first: AccountIx,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self { lanes: Named::new(most(0)), default: None, first: AccountIx::new(0) }
    }

    /// It is an account's turn first, here and in new lanes.
    pub(crate) fn begin_with(&mut self, first: AccountIx) {
        self.first = first;
        self.iter_mut().for_each(|lane| lane.begin_with(first));
    }

    /// The lane of a model, made if need be.
    pub(crate) fn resolve(
        &mut self,
        now: Time,
        model: Option<&str>,
        accounts: &[Account],
    ) -> LaneIx {
        let Some(model) = model else { return self.default(accounts) };
        let first = self.first;
        // A lane that somebody is just about to join stays, and so does one whose cooldowns still tell
        // something.
        let is_forgettable = |lane: &Lane| lane.is_idle() && now.since(lane.last_used) >= LONG;
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

    /// An account has come.
    pub(crate) fn seat_new(&mut self, ix: AccountIx, account: &Account) {
        self.lanes.allow_at_most(most(ix.index() + 1));
        for place in self.all() {
            let meters = self.meters_of(place, account);
            self[place].seat_new(ix, meters, account.weight);
        }
    }

    /// The limits of an account are other ones.
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

/// A lane costs about 100 bytes an account; all of them together stay below half a GiB.
fn most(accounts: usize) -> usize {
    ((1 << 22) / accounts.max(1)).clamp(16, 1_023)
}

/// Limits without a pattern count every request; those with one only the models that match.
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
