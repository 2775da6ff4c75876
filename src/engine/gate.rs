//! One key by itself: admitting a request on it and no other, and what its gate says before there
//! is a request.

use super::{
    AccountIx, Ask, Cost, Engine, KeyIx, LaneIx, Time,
    choice::{Blocked, Passing},
    room::Room,
};
#[cfg(feature = "balance")]
pub(crate) use looking::{Gate, Opened, Ordinary};

impl Engine {
    /// A key that a request is bound to, if it has room.
    pub(super) fn choose_only(
        &self,
        now: Time,
        ask: &Ask,
        key: KeyIx,
        passing: Option<Passing>,
    ) -> Result<(AccountIx, KeyIx), Blocked> {
        if !self.is_usable(ask.lane, key) || ask.excluded.contains(&key) {
            return Err(Blocked { by_exclusion: true, ..Blocked::default() });
        }
        let account = self.keys[key.index()].account;
        let is_held = passing.is_some_and(|passing| passing.held == Some(account));
        match self.room_of(ask.lane, &ask.cost, key) {
            Room::At(open) if open <= now && is_held => Err(Blocked::default()),
            Room::At(open) if open <= now => Ok((account, key)),
            Room::At(open) => {
                // Nobody behind takes what it waits for.
                Err(Blocked {
                    until: Some(open),
                    first: Some((open, account)),
                    by_exclusion: false,
                })
            }
            Room::OnChange | Room::Never => Err(Blocked::default()),
        }
    }

    /// When a request fits on a key, as far as its account and itself go.
    fn room_of(&self, lane: LaneIx, cost: &Cost, key: KeyIx) -> Room {
        let state = &self.keys[key.index()];
        let account = &self.accounts[state.account.index()];
        account.room(self.lanes[lane].seat(state.account), cost).max(state.room(cost))
    }
}

/// What is asked of a key before there is a request.
#[cfg(feature = "balance")]
mod looking {
    use std::{collections::HashSet, sync::Arc};

    use crate::{
        limit::Metered,
        strategy::{Candidate, Headroom, Strategy},
    };

    use super::{AccountIx, Cost, Engine, KeyIx, LaneIx, Room, Time};

    /// With no more left than this, somebody else may take it before the request comes.
    const A_FEW: u64 = 4;

    /// What a request is expected to be like: as the one before it was.
    #[derive(Clone, Debug)]
    pub(crate) struct Ordinary {
        pub(crate) lane: LaneIx,
        /// That of the lane, which may have been given to another since.
        model: Option<Arc<str>>,
        pub(crate) cost: Cost,
    }

    /// Whether a key could take an ordinary request now.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Gate {
        Open,
        /// It could, and only a few more.
        Scarce,
        /// Not before then; `None` if no clock tells.
        Shut(Option<Time>),
    }

    /// Accounts at which somebody waits for room who has no request yet.
    #[derive(Debug, Default)]
    pub(crate) struct Opened {
        watched: HashSet<AccountIx>,
        /// Of these, the ones that have changed for the better since.
        news: Vec<AccountIx>,
    }

    impl Opened {
        pub(in super::super) fn account(&mut self, account: AccountIx) {
            if !self.watched.is_empty() && self.watched.remove(&account) {
                self.news.push(account);
            }
        }

        pub(in super::super) fn all(&mut self) {
            self.news.extend(self.watched.drain());
        }
    }

    impl Engine {
        /// Such as a request of this lane.
        pub(crate) fn ordinary(&self, lane: LaneIx, cost: Cost) -> Ordinary {
            Ordinary { lane, model: self.lanes[lane].model.clone(), cost }
        }

        /// Whether a key could take the least request of this kind.
        pub(crate) fn gate(&mut self, now: Time, like: &mut Ordinary, key: KeyIx) -> Gate {
            if self.lanes[like.lane].model != like.model {
                like.lane = self.lane(now, like.model.as_deref());
            }
            if !self.is_usable(like.lane, key) {
                return Gate::Shut(None);
            }
            let rooms = like.cost.least().map(|cost| self.room_of(like.lane, &cost, key));
            match rooms.fold(self.provider.room(), Room::max) {
                Room::At(open) if open > now => Gate::Shut(Some(open)),
                Room::OnChange | Room::Never => Gate::Shut(None),
                Room::At(_) if self.is_scarce(now, like.lane, key) => Gate::Scarce,
                Room::At(_) => Gate::Open,
            }
        }

        fn is_scarce(&self, now: Time, lane: LaneIx, key: KeyIx) -> bool {
            let key = &self.keys[key.index()];
            let account = &self.accounts[key.account.index()];
            let seat = self.lanes[lane].seat(key.account);
            let standings = [&self.provider, &account.standing, &seat.standing];
            let learnt = seat.learnt.iter().flat_map(|learnt| &learnt.meters);
            let by_request = [Metered::Requests, Metered::Concurrent];
            let mut meters = account.counting(seat.meters).chain(learnt).chain(&key.meters);
            standings.into_iter().any(|standing| !standing.is_trusted())
                || meters.any(|meter| {
                    by_request.contains(&meter.limit.metered()) && meter.remaining(now) <= A_FEW
                })
        }

        /// How loaded a key is, for a choice among endpoints: first by the spent share of its account's
        /// allowance, then by what is under way, each by weight.
        ///
        /// An account that fails looks spent by as much as it fails, and one that has yet to regain
        /// trust is loaded as half of the others are: neither looks idle for having done nothing.
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
            let used_share = state.used_share(self.lanes[lane].seat(account), now);
            Headroom.load(&Candidate {
                account: &state.name,
                weight: state.weight,
                used_share: used_share.max(state.failures.share()),
                in_flight: state.in_flight,
                served: state.served,
            })
        }

        /// Tells by [`take_opened`](Self::take_opened) once the account of a key has changed for the
        /// better.
        pub(crate) fn watch(&mut self, key: KeyIx) -> AccountIx {
            let account = self.keys[key.index()].account;
            self.opened.watched.insert(account);
            account
        }

        pub(crate) fn has_opened(&self) -> bool {
            !self.opened.news.is_empty()
        }

        /// The watched accounts that have changed. They are not watched any longer.
        pub(crate) fn take_opened(&mut self) -> Vec<AccountIx> {
            std::mem::take(&mut self.opened.news)
        }
    }
}
