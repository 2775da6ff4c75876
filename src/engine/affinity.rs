//! Which account has the beginning of a prompt in its cache.

use std::{collections::HashMap, sync::Arc};

use super::{
    AffinityState, Ask, Engine,
    index::{AccountIx, KeyIx},
    line::LOOK_BEHIND,
    room::Room,
    steps::Passing,
    time::{Time, nanos},
};
use crate::{Affinity, affinity::Kin};

/// By what a request is known to those that are kin to it, and where these are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bond {
    hash: u64,
    pub(super) account: Option<AccountIx>,
    /// Until when it waits for that one, if others have room.
    pub(crate) patient_until: Time,
}

/// The accounts that answered requests well, by the hashes of these. Two generations: what is used is
/// taken over into the young one, and when that is full the old one goes.
#[derive(Debug)]
pub(super) struct Affinities {
    young: HashMap<u64, Bound>,
    old: HashMap<u64, Bound>,
    stayed: u64,
    moved: u64,
    lifetime: u64,
    most_young: usize,
}

#[derive(Clone, Debug)]
struct Bound {
    /// Its name: accounts may come and go, and indices be used again.
    account: Arc<str>,
    until: Time,
}

impl Affinities {
    pub(super) fn new(affinity: &Affinity) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            stayed: 0,
            moved: 0,
            lifetime: affinity.lifetime.map_or(0, nanos),
            most_young: affinity.capacity.div_ceil(2),
        }
    }

    /// Where the closest kin of a request are.
    pub(super) fn find(
        &self,
        now: Time,
        kin: &Kin,
        find_account: impl FnOnce(&str) -> Option<AccountIx>,
    ) -> Option<Bond> {
        let hash = kin.whole().filter(|_| self.most_young > 0)?;
        let bound = kin.iter().find_map(|hash| {
            let bound = self.young.get(&hash).or_else(|| self.old.get(&hash))?;
            Some(bound).filter(|bound| bound.until > now)
        });
        let account = bound.and_then(|bound| find_account(&bound.account));
        Some(Bond { hash, account, patient_until: Time::ZERO })
    }

    /// A request was answered well by an account, which has all of it in its cache now.
    pub(super) fn bind(&mut self, now: Time, bond: Bond, account: &Arc<str>) {
        if self.young.len() >= self.most_young && !self.young.contains_key(&bond.hash) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let bound = Bound { account: Arc::clone(account), until: now.plus(self.lifetime) };
        self.young.insert(bond.hash, bound);
    }

    /// A request was sent with an account.
    pub(super) fn sent(&mut self, bond: Bond, account: AccountIx) {
        self.stayed += u64::from(bond.account == Some(account));
        self.moved += u64::from(bond.account.is_some_and(|kin| kin != account));
    }

    pub(super) fn state(&self) -> AffinityState {
        let remembered = self.young.len() + self.old.len();
        AffinityState { remembered, stayed: self.stayed, moved: self.moved }
    }
}

impl Engine {
    /// When the account of its kin has room, if a request waits for that: not for long, and not where
    /// many wait already.
    pub(super) fn waits_for_kin(
        &self,
        now: Time,
        ask: &Ask,
        passing: Option<Passing>,
    ) -> Option<Time> {
        let bond = ask.bond.filter(|bond| bond.patient_until > now)?;
        let at = bond.account?;
        let is_held = passing.is_some_and(|passing| passing.held == Some(at));
        if is_held || self.lanes[ask.lane].line.len() > LOOK_BEHIND / 2 {
            return None;
        }
        match self.room(ask, at).max(self.room_of_keys(at, ask)) {
            Room::At(open) if open > now && open <= bond.patient_until => Some(open),
            _ => None,
        }
    }

    /// The account where the kin of a request are, if it has room and is not much busier than the one
    /// that was chosen; that one if not.
    pub(super) fn stay(
        &self,
        now: Time,
        ask: &Ask,
        passing: Option<Passing>,
        chosen: (AccountIx, KeyIx),
    ) -> (AccountIx, KeyIx) {
        let at = ask.bond.and_then(|bond| bond.account).filter(|at| {
            let is_held = passing.is_some_and(|passing| passing.held == Some(*at));
            let is_open = matches!(self.room(ask, *at), Room::At(open) if open <= now);
            *at != chosen.0 && !is_held && is_open && !self.is_much_busier(*at, chosen.0)
        });
        let stay = at.and_then(|at| Some((at, self.choose_key(now, at, ask).ok()?)));
        stay.unwrap_or(chosen)
    }

    /// By more than a quarter and a few requests at once, by weight: as many as the number that happen
    /// to be under way at once goes up and down by, so that few move without need.
    fn is_much_busier(&self, account: AccountIx, than: AccountIx) -> bool {
        const FEW: u128 = 8;
        let at = |account: AccountIx| {
            let state = &self.accounts[account.index()];
            (u128::from(state.in_flight), u128::from(state.weight.max(1)))
        };
        let ((mine, my_weight), (other, other_weight)) = (at(account), at(than));
        4 * mine * other_weight > 5 * other * my_weight + 4 * FEW * my_weight * other_weight
    }
}
