//! Chooses an account with room, and one of its keys.

use crate::{
    engine::{
        Engine,
        ask::{Among, Ask, Cost},
        ids::{AccountIx, At, KeyIx, LaneIx, OpIx},
        lane,
        room::Room,
        roster::account::Life,
        standing::Standing,
        time::Time,
    },
    strategy::{Candidate, Look},
    verdict::Place,
};

/// The most accounts that a strategy may compare.
const MAX_CANDIDATES: usize = 16;

/// A request ahead in the line has no room and is passed.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Passing {
    /// The account that will have room for that request first; it is left to it.
    pub(in crate::engine) held: Option<AccountIx>,
}

/// An iteration over the ready accounts.
enum Walk {
    BySlot(lane::Look),
    /// The index in the declared order; used while that differs from the order of the slots.
    ByOrder(usize),
}

/// Why no account could be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::engine) struct Blocked {
    /// When to try again; `None` if only a change makes room.
    pub(in crate::engine) until: Option<Time>,
    /// The account that will have room first, among those that have too little room now.
    pub(in crate::engine) first: Option<(Time, AccountIx)>,
    /// Whether an account had room that the request does not use: its keys are excluded, or the
    /// request waits for the account with its cached prompt.
    pub(in crate::engine) by_exclusion: bool,
}

impl Engine {
    /// Takes the account with the lowest load, as the strategy defines it, among the first few
    /// accounts with room. By default these are the next four in turn. Neighbours are as good as
    /// random ones, because their load is known exactly, and they are close together in the
    /// processor's cache.
    ///
    /// Accounts without room for any such request are put to sleep. So each is looked at once per
    /// refill, however many there are. Accounts that only have too little left for this request
    /// stay ready.
    pub(in crate::engine) fn choose(
        &mut self,
        now: Time,
        ask: &Ask,
        passing: Option<Passing>,
    ) -> Result<(AccountIx, KeyIx), Blocked> {
        let of_model = &self.lanes[ask.lane].standing;
        let later = ask.later().max(self.probe_delay(ask.lane));
        let room = self.provider.room_after_others(later);
        match room.max(of_model.room_after_others(ask.later())) {
            Room::At(open) if open <= now => {}
            Room::At(open) => {
                // A request that was refused before lets others go first.
                let by_exclusion = self.provider.room().max(of_model.room()) <= Room::At(now);
                return Err(Blocked { until: Some(open), by_exclusion, first: None });
            }
            Room::OnChange | Room::Never => return Err(Blocked::default()),
        }
        match ask.among {
            Among::All => {}
            Among::One(key) => return self.choose_only(now, ask, key, passing),
            Among::None => return Err(Blocked::default()),
        }
        if let Some(open) = self.waits_for_kin(now, ask, passing) {
            return Err(Blocked { until: Some(open), by_exclusion: true, first: None });
        }
        self.lanes[ask.lane].wake(now);
        // A request ahead in the line may wait for the sleeping accounts.
        if passing.is_none() {
            self.lanes[ask.lane].wake_early(ask.cost.kinds());
        }
        let mut blocked = Blocked::default();
        let mut best: Option<(u128, AccountIx, KeyIx)> = None;
        let (in_turn, most) = match self.strategy.look() {
            Look::InTurn(most) => (true, most.clamp(1, MAX_CANDIDATES)),
            Look::AsDeclared(most) => (false, most.clamp(1, MAX_CANDIDATES)),
        };
        let mut candidates = 0;
        let mut walk = match in_turn || self.is_by_slot {
            true => Walk::BySlot(self.lanes[ask.lane].look(in_turn)),
            false => Walk::ByOrder(0),
        };
        while candidates < most
            && let Some(account) = self.next_ready(ask.lane, &mut walk)
        {
            if passing.is_some_and(|passing| passing.held == Some(account)) {
                continue;
            }
            match self.room(now, ask, account) {
                Room::At(open) if open <= now => match self.choose_key(now, account, ask) {
                    Ok(key) => {
                        candidates += 1;
                        let is_only = most == 1;
                        let load = if is_only { 0 } else { self.load(now, ask.lane, account) };
                        if best.is_none_or(|(least, ..)| load < least) {
                            best = Some((load, account, key));
                        }
                        if load == 0 {
                            // No load is lower.
                            break;
                        }
                    }
                    Err(NoKey { rest: Room::At(open), .. }) if open > now => {
                        self.lanes[ask.lane].sleep(account, open, 0);
                    }
                    Err(NoKey { rest: Room::OnChange | Room::Never, .. }) => {
                        self.lanes[ask.lane].block(account);
                    }
                    Err(none) => {
                        blocked.by_exclusion |= none.excluded;
                        blocked.wait_for(none.room);
                        blocked.note(self.room_of_keys(account, ask), account);
                    }
                },
                room => {
                    if !self.park(now, ask, account) {
                        // A request that was refused before lets others go first.
                        blocked.by_exclusion |= ask.later() > 0;
                        blocked.wait_for(room);
                        blocked.note(room.max(self.room_of_keys(account, ask)), account);
                    }
                }
            }
        }
        match best {
            Some((_, mut account, mut key)) => {
                if in_turn {
                    if ask.bond.is_some() {
                        (account, key) = self.stay(now, ask, passing, (account, key));
                    }
                    self.lanes[ask.lane].took(account);
                }
                Ok((account, key))
            }
            None => {
                // A request that passes another takes nothing from it.
                if passing.is_none()
                    && let Some(found) = self.least_bad(now, ask)
                {
                    return Ok(found);
                }
                if let Some(wake) = self.lanes[ask.lane].next_wake() {
                    blocked.wait_for(Room::At(wake));
                }
                Err(blocked)
            }
        }
    }

    /// The next ready account.
    fn next_ready(&self, lane: LaneIx, walk: &mut Walk) -> Option<AccountIx> {
        match walk {
            Walk::BySlot(look) => self.lanes[lane].next(look),
            Walk::ByOrder(passed) => {
                let mut rest = self.order.iter().skip(*passed);
                let found = rest.position(|account| self.lanes[lane].is_ready(*account))?;
                *passed += found + 1;
                self.order.get(*passed - 1).copied()
            }
        }
    }

    fn load(&self, now: Time, lane: LaneIx, account: AccountIx) -> u128 {
        let state = &self.accounts[account.index()];
        self.strategy.load(&Candidate {
            account: &state.name,
            weight: state.weight,
            used: state.quota(self.lanes[lane].seat(account)).used_share(now),
            in_flight: state.in_flight,
            served: state.served,
        })
    }

    /// When an account has room for a request.
    pub(in crate::engine) fn room(&self, now: Time, ask: &Ask, account: AccountIx) -> Room {
        let (seat, state) = (self.lanes[ask.lane].seat(account), &self.accounts[account.index()]);
        match ask.later() {
            0 => state.room(now, seat, &ask.cost),
            later => state.room_after_others(now, seat, &ask.cost, later),
        }
    }

    /// Puts an account to sleep, or blocks it, if it has no room even for the smallest request of
    /// this kind. Returns whether it did.
    fn park(&mut self, now: Time, ask: &Ask, account: AccountIx) -> bool {
        for least in ask.cost.least() {
            let seat = self.lanes[ask.lane].seat(account);
            match self.accounts[account.index()].room(now, seat, &least) {
                Room::At(open) if open <= now => continue,
                Room::At(open) => self.lanes[ask.lane].sleep(account, open, least.kinds()),
                Room::OnChange | Room::Never => self.lanes[ask.lane].block(account),
            }
            return true;
        }
        false
    }

    /// The key with room of an account that has the lowest load by weight.
    pub(in crate::engine) fn choose_key(
        &self,
        now: Time,
        account: AccountIx,
        ask: &Ask,
    ) -> Result<KeyIx, NoKey> {
        let mut best: Option<(u64, KeyIx)> = None;
        for &key in &self.accounts[account.index()].keys {
            let load = self.keys[key.index()].load;
            if best.is_none_or(|(least, _)| load < least)
                && self.is_usable(key)
                && !ask.excluded.contains(&key)
                && self.room_of_key(ask, key) <= Room::At(now)
            {
                best = Some((load, key));
            }
        }
        best.map(|(_, key)| key).ok_or_else(|| self.why_no_key(now, account, ask))
    }

    fn why_no_key(&self, now: Time, account: AccountIx, ask: &Ask) -> NoKey {
        let mut none = NoKey { rest: Room::Never, excluded: false, room: Room::Never };
        let keys = self.accounts[account.index()].keys.iter();
        for &key in keys.filter(|key| self.is_usable(**key)) {
            none.rest = none.rest.min(self.key_rest(ask.lane, key));
            match self.room_of_key(ask, key) {
                room if room <= Room::At(now) => none.excluded = true,
                room => none.room = none.room.min(room),
            }
        }
        none
    }

    /// When an allowed key of an account has room.
    pub(in crate::engine) fn room_of_keys(&self, account: AccountIx, ask: &Ask) -> Room {
        let keys = self.accounts[account.index()].keys.iter();
        keys.filter(|key| self.is_usable(**key) && ask.allows(**key))
            .map(|key| self.room_of_key(ask, *key))
            .min()
            .unwrap_or(Room::Never)
    }

    /// When a key's own limits and standings have room for a request.
    pub(in crate::engine) fn room_of_key(&self, ask: &Ask, key: KeyIx) -> Room {
        let standing = self.key_standing(ask.lane, ask.operation, key);
        self.keys[key.index()].room(&ask.cost).max(standing)
    }

    /// Excludes all keys of an account.
    pub(crate) fn exclude_account(&self, ask: &mut Ask, account: AccountIx) {
        for &key in &self.accounts[account.index()].keys {
            if !ask.excluded.contains(&key) {
                ask.excluded.push(key);
            }
        }
    }

    /// Whether a key is declared, not expired, and not switched off.
    pub(in crate::engine) fn is_usable(&self, key: KeyIx) -> bool {
        let state = &self.keys[key.index()];
        // A request may exclude a key that was removed since.
        state.ix == key && state.life == Life::Good
    }

    /// Tries a place that rests for a reason that is only inferred or suspected, if the request has
    /// no other place before its deadline: the one that returns first.
    fn least_bad(&mut self, now: Time, ask: &Ask) -> Option<(AccountIx, KeyIx)> {
        let is_known = ask.before.is_too_large;
        if now >= self.in_doubt_until || ask.among != Among::All || is_known {
            return None;
        }
        let wider = self.provider.room_in_need().max(self.lanes[ask.lane].standing.room_in_need());
        let mut best: Option<(Room, AccountIx, KeyIx)> = None;
        for account in self.sample() {
            let (seat, state) =
                (self.lanes[ask.lane].seat(account), &self.accounts[account.index()]);
            for &key in state.keys.iter().filter(|key| self.is_usable(**key) && ask.allows(**key)) {
                let room = self.room(now, ask, account).max(self.room_of_key(ask, key));
                let at = At { account, key, lane: ask.lane, operation: ask.operation };
                let in_need = state.room_in_need(now, seat, &ask.cost).max(wider);
                let of_key = self.keys[key.index()].room(&ask.cost);
                let places = [Place::Operation, Place::KeyModel, Place::Key];
                let standings = places.into_iter().filter_map(|place| self.standing(place, at));
                let in_need =
                    standings.map(Standing::room_in_need).fold(in_need.max(of_key), Room::max);
                // A proven rest is waited for if the deadline allows it.
                let is_in_doubt = in_need < room;
                if !is_in_doubt && (room == Room::OnChange || room <= Room::At(ask.deadline)) {
                    return None;
                }
                if in_need <= Room::At(now) && best.is_none_or(|(first, ..)| room < first) {
                    best = Some((room, account, key));
                }
            }
        }
        best.map(|(_, account, key)| (account, key))
    }

    /// Whether no key is left that could ever serve this request.
    pub(crate) fn is_keyless(&self, ask: &Ask) -> bool {
        match ask.among {
            Among::All => {}
            Among::One(key) => return !self.is_usable(key) || !ask.allows(key),
            Among::None => return true,
        }
        let excluded = ask.excluded.iter().filter(|key| self.is_usable(**key)).count();
        self.usable_keys <= excluded
    }

    /// The only key that a request may use, if it has room.
    pub(in crate::engine) fn choose_only(
        &self,
        now: Time,
        ask: &Ask,
        key: KeyIx,
        passing: Option<Passing>,
    ) -> Result<(AccountIx, KeyIx), Blocked> {
        if !self.is_usable(key) || ask.excluded.contains(&key) {
            return Err(Blocked { by_exclusion: true, ..Blocked::default() });
        }
        let account = self.keys[key.index()].account;
        let is_held = passing.is_some_and(|passing| passing.held == Some(account));
        match self.room_of(now, ask.lane, ask.operation, &ask.cost, key) {
            Room::At(open) if open <= now && is_held => Err(Blocked::default()),
            Room::At(open) if open <= now => Ok((account, key)),
            Room::At(open) => {
                // Requests behind must not take what it waits for.
                Err(Blocked {
                    until: Some(open),
                    first: Some((open, account)),
                    by_exclusion: false,
                })
            }
            Room::OnChange | Room::Never => Err(Blocked::default()),
        }
    }

    /// When a request fits on a key, by the limits and standings of the key and its account.
    pub(in crate::engine) fn room_of(
        &self,
        now: Time,
        lane: LaneIx,
        operation: OpIx,
        cost: &Cost,
        key: KeyIx,
    ) -> Room {
        let state = &self.keys[key.index()];
        let account = &self.accounts[state.account.index()];
        let standing = self.key_standing(lane, operation, key);
        let of_account = account.room(now, self.lanes[lane].seat(state.account), cost);
        of_account.max(state.room(cost)).max(standing)
    }
}

/// Why an account has no key for a request.
pub(in crate::engine) struct NoKey {
    /// When the first of its keys is back for any operation; never if it has none.
    rest: Room,
    /// Whether an excluded key has room.
    excluded: bool,
    /// When any other key has room, excluded or not; then a request behind may pass.
    room: Room,
}

impl Blocked {
    fn wait_for(&mut self, room: Room) {
        if let Room::At(open) = room {
            self.until = Some(self.until.map_or(open, |until| until.min(open)));
        }
    }

    fn note(&mut self, room: Room, account: AccountIx) {
        if let Room::At(open) = room
            && self.first.is_none_or(|(first, _)| open < first)
        {
            self.first = Some((open, account));
        }
    }
}
