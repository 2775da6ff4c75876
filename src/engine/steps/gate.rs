//! The gate of a key: whether it has room before a request exists.

use crate::{
    engine::{
        Engine,
        ask::Cost,
        gate::{Gate, Ordinary},
        ids::{AccountIx, At, KeyIx, LaneIx, OpIx},
        room::Room,
        time::Time,
    },
    strategy::{Candidate, Headroom, Strategy},
};

/// With no more requests left than this, another request may take the room first.
const A_FEW: u64 = 4;

impl Engine {
    /// A typical request of this lane.
    pub(crate) fn ordinary(&self, lane: LaneIx, operation: OpIx, cost: Cost) -> Ordinary {
        Ordinary { lane, operation, model: self.lanes[lane].model.clone(), cost }
    }

    /// Whether a key has room for the smallest request of this kind.
    pub(crate) fn gate(&mut self, now: Time, like: &mut Ordinary, key: KeyIx) -> Gate {
        if self.lanes[like.lane].model != like.model {
            like.lane = self.lane(now, like.model.as_deref());
        }
        if !self.is_usable(key) {
            return Gate::Shut(None);
        }
        let provider = self.provider.room_after_others(self.probe_delay(like.lane));
        let wider = provider.max(self.lanes[like.lane].standing.room());
        let rooms =
            like.cost.least().map(|cost| self.room_of(now, like.lane, like.operation, &cost, key));
        match rooms.fold(wider, Room::max) {
            Room::At(open) if open > now => Gate::Shut(Some(open)),
            Room::OnChange | Room::Never => Gate::Shut(None),
            Room::At(_) if self.is_scarce(now, like, key) => Gate::Scarce,
            Room::At(_) => Gate::Open,
        }
    }

    fn is_scarce(&self, now: Time, like: &Ordinary, key: KeyIx) -> bool {
        let Ordinary { lane, operation, .. } = *like;
        let account = self.keys[key.index()].account;
        let at = At { account, key, lane, operation };
        let is_growing = self.standings(at).any(|(_, standing)| !standing.is_trusted());
        let (key, account) = (&self.keys[key.index()], &self.accounts[account.index()]);
        let seat = self.lanes[lane].seat(key.account);
        let left =
            [account.quota(seat), key.quota()].into_iter().filter_map(|quota| quota.left(now));
        is_growing || left.min().is_some_and(|left| left <= A_FEW)
    }

    /// The load of a key, for a choice among endpoints: first the used share of its account's
    /// allowance, then the requests under way, each by weight.
    ///
    /// The failure share of an account counts as used share. An account in slow start counts at
    /// least as half of the others. So neither looks idle because it serves little.
    pub(crate) fn load_of(&self, now: Time, lane: LaneIx, key: KeyIx) -> u128 {
        let account = self.keys[key.index()].account;
        let own = self.load_of_account(now, lane, account);
        let seat = self.lanes[lane].seat(account);
        let standings = [&self.accounts[account.index()].standing, &seat.standing];
        if standings.into_iter().all(|standing| standing.is_trusted()) {
            return own;
        }
        let others = self.sample().filter(|other| *other != account);
        let mut loads: Vec<_> =
            others.map(|other| self.load_of_account(now, lane, other)).collect();
        let middle = loads.len() / 2;
        let median = match loads.is_empty() {
            true => 0,
            false => *loads.select_nth_unstable(middle).1,
        };
        own.max(median)
    }

    fn load_of_account(&self, now: Time, lane: LaneIx, account: AccountIx) -> u128 {
        let state = &self.accounts[account.index()];
        let used_share = state.quota(self.lanes[lane].seat(account)).used_share(now);
        Headroom.load(&Candidate {
            account: &state.name,
            weight: state.weight,
            used: used_share.max(state.failures.share()),
            in_flight: state.in_flight,
            served: state.served,
        })
    }

    /// Watches the account of a key. [`take_opened`](Self::take_opened) returns it once it has
    /// changed for the better.
    pub(crate) fn watch(&mut self, key: KeyIx) -> AccountIx {
        let account = self.keys[key.index()].account;
        self.opened.watched.insert(account);
        account
    }

    pub(crate) fn has_opened(&self) -> bool {
        !self.opened.news.is_empty()
    }

    /// The watched accounts that have changed. They are no longer watched.
    pub(crate) fn take_opened(&mut self) -> Vec<AccountIx> {
        std::mem::take(&mut self.opened.news)
    }
}
