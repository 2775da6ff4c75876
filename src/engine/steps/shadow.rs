//! Dry run: a request that would be held back is counted and announced, but sent.

use crate::{
    engine::{
        Engine,
        ask::Ask,
        grant::Grant,
        ids::{AccountIx, KeyIx},
        room::Room,
        time::{SECOND, Time},
    },
    event::Event,
};

/// How many accounts are compared if none has room.
const SAMPLE: usize = 64;

impl Engine {
    pub(crate) fn is_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    /// Admits a request without room, if a key may be used for it. No meter counts it, because it
    /// would not have been sent now.
    pub(in crate::engine) fn admit_anyway(&mut self, now: Time, ask: &Ask) -> Option<Grant> {
        self.shadow.as_ref()?;
        let (account, key) = self.best_without_room(now, ask)?;
        if let Some(shadow) = &mut self.shadow {
            shadow.held_back += 1;
            let (announced, before) = shadow.announced.unwrap_or_default();
            if shadow.announced.is_none() || now.since(announced) >= SECOND {
                shadow.announced = Some((now, shadow.held_back));
                self.events.push(Event::DryRunHeldBack {
                    requests: shadow.held_back - before,
                    total: shadow.held_back,
                });
            }
        }
        Some(self.grant(now, ask, account, key, false))
    }

    /// An account that is not resting, if there is one; of these, the one with the fewest requests
    /// under way.
    fn best_without_room(&self, now: Time, ask: &Ask) -> Option<(AccountIx, KeyIx)> {
        let number = self.order.len();
        let first = self.shadow.as_ref().map_or(0, |shadow| shadow.held_back) as usize;
        let accounts = (0..number).map(|place| self.order[(first + place) % number]);
        let usable = accounts.filter_map(|account| {
            let keys = self.accounts[account.index()].keys.iter();
            // A key that rests itself is not used.
            let is_open = |key: KeyIx| matches!(self.key_standing(ask.lane, ask.operation, key), Room::At(open) if open <= now);
            let mut usable = keys.filter(|key| {
                self.is_usable(**key) && ask.allows(**key) && is_open(**key)
            });
            Some((account, *usable.next()?))
        });
        usable.take(SAMPLE).min_by_key(|(account, _)| {
            let state = &self.accounts[account.index()];
            let seat = self.lanes[ask.lane].seat(*account);
            let is_out = state.standing.until().max(seat.standing.until()) > now;
            (is_out, state.in_flight)
        })
    }
}
