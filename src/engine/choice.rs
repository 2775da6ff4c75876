//! Choosing an account with room, and a key of it.

use super::{
    Engine,
    account::Load,
    demand::{Ask, Cost},
    grant::{Grant, Parts},
    index::{AccountIx, KeyIx, LaneIx},
    room::Room,
    time::Time,
};

/// Why nobody could be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blocked {
    /// When it may be otherwise; `None` if no clock tells.
    pub(super) until: Option<Time>,
    /// Whether an account had room and only its keys were excluded.
    pub(super) by_exclusion: bool,
}

impl Engine {
    /// Takes the less loaded of two accounts with room: the next two, of which the first is preferred
    /// when they are equal, for as many turns as it has weight. Neighbours are as good as two drawn by lot, for what is known of them is exact,
    /// and they are in the processor's cache when there are a hundred thousand.
    ///
    /// Accounts that turn out to have no room for any such request are put to sleep, so each is looked
    /// at once per refill, however many there are. Those that merely have too little left for this
    /// request stay where they are.
    pub(super) fn choose(&mut self, now: Time, ask: &Ask) -> Result<Grant, Blocked> {
        match self.provider.room() {
            Room::At(open) if open <= now => {}
            Room::At(open) => return Err(Blocked { until: Some(open), by_exclusion: false }),
            Room::OnChange | Room::Never => return Err(Blocked::default()),
        }
        self.lanes[ask.lane].wake(now);
        self.lanes[ask.lane].rouse(ask.cost.kinds());
        let mut blocked = Blocked::default();
        let mut best: Option<(Load, AccountIx, KeyIx)> = None;
        let (mut place, mut candidates) = (0, 0);
        while candidates < 2
            && let Some(account) = self.lanes[ask.lane].candidate(place)
        {
            match self.room(ask.lane, &ask.cost, account) {
                Room::At(open) if open <= now => match self.choose_key(now, account, ask) {
                    Ok(key) => {
                        let seat = self.lanes[ask.lane].seat(account);
                        let load = self.accounts[account.index()].load(seat.meters, now);
                        if best.is_none_or(|(least, ..)| load < least) {
                            best = Some((load, account, key));
                        }
                        candidates += 1;
                        place += 1;
                    }
                    Err(none) if none.gone => self.lanes[ask.lane].block(account),
                    Err(none) => {
                        blocked.by_exclusion |= none.excluded;
                        blocked.note(none.room);
                        place += 1;
                    }
                },
                room => {
                    if !self.park(now, ask, account) {
                        blocked.note(room);
                        place += 1;
                    }
                }
            }
        }
        match best {
            Some((_, account, key)) => {
                self.lanes[ask.lane].took(account);
                Ok(self.grant(now, ask, account, key))
            }
            None => {
                if let Some(wake) = self.lanes[ask.lane].next_wake() {
                    blocked.note(Room::At(wake));
                }
                Err(blocked)
            }
        }
    }

    pub(super) fn room(&self, lane: LaneIx, cost: &Cost, account: AccountIx) -> Room {
        let seat = self.lanes[lane].seat(account);
        let room = self.accounts[account.index()].room(seat.meters, cost);
        room.max(seat.standing.room())
    }

    /// Takes an account out of the choice if it has no room even for the least request of this kind.
    fn park(&mut self, now: Time, ask: &Ask, account: AccountIx) -> bool {
        for least in ask.cost.least() {
            match self.room(ask.lane, &least, account) {
                Room::At(open) if open <= now => continue,
                Room::At(open) => self.lanes[ask.lane].sleep(account, open, least.kinds()),
                Room::OnChange | Room::Never => self.lanes[ask.lane].block(account),
            }
            return true;
        }
        false
    }

    /// The key of an account that has room and has served least by its weight.
    fn choose_key(&self, now: Time, account: AccountIx, ask: &Ask) -> Result<KeyIx, NoKey> {
        let mut none = NoKey { gone: true, excluded: false, room: Room::Never };
        let mut best: Option<(u64, KeyIx)> = None;
        for &key in &self.accounts[account.index()].keys {
            if !self.is_usable(ask.lane, key) {
                continue;
            }
            none.gone = false;
            let state = &self.keys[key.index()];
            match state.room(&ask.cost) {
                Room::At(open) if open <= now && ask.excluded.contains(&key) => {
                    none.excluded = true;
                }
                Room::At(open) if open <= now => {
                    let served = (state.served << 16) / u64::from(state.weight.max(1));
                    if best.is_none_or(|(least, _)| served < least) {
                        best = Some((served, key));
                    }
                }
                room => none.room = none.room.min(room),
            }
        }
        best.map(|(_, key)| key).ok_or(none)
    }

    pub(super) fn is_usable(&self, lane: LaneIx, key: KeyIx) -> bool {
        self.keys[key.index()].alive && !self.lanes[lane].refused.contains(&key)
    }

    /// Whether no key is left that this request could ever be sent with.
    pub(crate) fn is_keyless(&self, ask: &Ask) -> bool {
        let refused = self.lanes[ask.lane].refused.len();
        let excluded = ask.excluded.iter().filter(|key| self.is_usable(ask.lane, **key)).count();
        self.live_keys <= refused + excluded
    }

    fn grant(&mut self, now: Time, ask: &Ask, account: AccountIx, key: KeyIx) -> Grant {
        let lane = &mut self.lanes[ask.lane];
        let seat = lane.seat_mut(account);
        let meters = seat.meters;
        let parts = Parts {
            seat: seat.standing.sending(),
            account: self.accounts[account.index()].standing.sending(),
            provider: self.provider.sending(),
        };
        lane.in_flight += 1;
        let state = &mut self.accounts[account.index()];
        state.counting_mut(meters).for_each(|meter| meter.take(now, &ask.cost));
        state.served += 1;
        state.in_flight += 1;
        let key_state = &mut self.keys[key.index()];
        key_state.meters.iter_mut().for_each(|meter| meter.take(now, &ask.cost));
        key_state.served += 1;
        key_state.in_flight += 1;
        Grant {
            account,
            key,
            lane: ask.lane,
            meters,
            sent: now,
            reserved: ask.cost,
            parts,
            settled: false,
            accepted: false,
        }
    }
}

/// Why an account has no key for a request.
struct NoKey {
    /// It has no good key.
    gone: bool,
    /// A key that the request excludes has room.
    excluded: bool,
    /// When another one has, excluded or not: that lets somebody behind pass.
    room: Room,
}

impl Blocked {
    fn note(&mut self, room: Room) {
        if let Room::At(open) = room {
            self.until = Some(self.until.map_or(open, |until| until.min(open)));
        }
    }
}
