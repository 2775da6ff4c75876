//! All lanes: found by model name, and bounded, because model names come from callers.

use std::{collections::HashMap, sync::Arc};

use wildmatch::WildMatch;

use crate::engine::{
    ids::{AccountIx, LaneIx, Meters},
    lane::Lane,
    roster::account::Account,
    time::Time,
};

/// Longer names than any model has, in bytes: they come from callers, and are kept.
const LONGEST_NAME: usize = 256;
/// So long a lane must not have been used: a minute.
const LONG: u64 = 60_000_000_000;

#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_model: HashMap<Arc<str>, LaneIx>,
    /// The lane of requests without a model, once there are any.
    default: Option<LaneIx>,
    /// The lane of models that none can be spared for, once there are any: every limit counts it.
    overflow: Option<LaneIx>,
    most: usize,
    /// Whose turn it is first in new lanes.
    first: AccountIx,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let first = AccountIx::new(0);
        Self {
            lanes: Vec::new(),
            by_model: HashMap::new(),
            default: None,
            overflow: None,
            first,
            most: most(0),
        }
    }

    /// It is an account's turn first, here and in new lanes.
    pub(crate) fn begin_with(&mut self, first: AccountIx) {
        self.first = first;
        self.lanes.iter_mut().for_each(|lane| lane.begin_with(first));
    }

    /// The lane of a model, made if need be.
    pub(crate) fn resolve(
        &mut self,
        now: Time,
        model: Option<&str>,
        accounts: &[Account],
    ) -> LaneIx {
        let Some(model) = model else { return self.default(accounts) };
        let lane = match self.by_model.get(model) {
            Some(&lane) => lane,
            None => self.open(now, model, accounts),
        };
        self[lane].last_used = now;
        lane
    }

    fn open(&mut self, now: Time, model: &str, accounts: &[Account]) -> LaneIx {
        if model.len() > LONGEST_NAME {
            return self.overflow(accounts);
        }
        let is_full = self.lanes.len() >= self.most;
        let taken = is_full.then(|| self.longest_idle(now));
        if taken == Some(None) {
            return self.overflow(accounts);
        }
        // Nothing is made for a model before there is a place for it.
        let name: Arc<str> = Arc::from(model);
        let seats =
            accounts.iter().map(|account| (meters_counting(account, Some(model)), account.weight));
        let lane = Lane::new(Some(Arc::clone(&name)), seats, self.first);
        let place = match taken.flatten() {
            Some(place) => {
                let old = std::mem::replace(&mut self[place], lane);
                old.model.and_then(|model| self.by_model.remove(&model));
                place
            }
            None => {
                self.lanes.push(lane);
                LaneIx::new(self.lanes.len() - 1)
            }
        };
        self.by_model.insert(name, place);
        place
    }

    fn default(&mut self, accounts: &[Account]) -> LaneIx {
        let next = LaneIx::new(self.lanes.len());
        let default = *self.default.get_or_insert(next);
        if default == next {
            let seats =
                accounts.iter().map(|account| (meters_counting(account, None), account.weight));
            self.lanes.push(Lane::new(None, seats, self.first));
        }
        default
    }

    fn overflow(&mut self, accounts: &[Account]) -> LaneIx {
        let next = LaneIx::new(self.lanes.len());
        let overflow = *self.overflow.get_or_insert(next);
        if overflow == next {
            let seats = accounts.iter().map(|account| (all_meters(account), account.weight));
            self.lanes.push(Lane::new(Some("(other)".into()), seats, self.first));
        }
        overflow
    }

    /// The lane that may be given to another model: not one that somebody is just about to join, nor
    /// one whose cooldowns still tell something.
    fn longest_idle(&self, now: Time) -> Option<LaneIx> {
        self.all()
            .filter(|&lane| Some(lane) != self.default && Some(lane) != self.overflow)
            .filter(|&lane| self[lane].is_idle())
            .filter(|&lane| now.since(self[lane].last_used) >= LONG)
            .min_by_key(|&lane| self[lane].last_used)
    }

    /// An account has come.
    pub(crate) fn seat_new(&mut self, ix: AccountIx, account: &Account) {
        self.most = self.most.min(most(ix.index() + 1));
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
        match Some(place) == self.overflow {
            true => all_meters(account),
            false => meters_counting(account, self[place].model.as_deref()),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = LaneIx> + use<> {
        (0..self.lanes.len()).map(LaneIx::new)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.iter_mut()
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
