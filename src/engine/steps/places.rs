//! The standings of all places that a request goes through, from its key for one operation to the
//! provider.

use std::sync::Arc;

use crate::{
    engine::{
        Engine,
        grant::Grant,
        ids::{At, KeyIx, LaneIx, OpIx},
        room::Room,
        roster::account::{Key, Life},
        standing::{Progress, Role, Roles, Standing},
        time::{SECOND, Time},
    },
    event::Whereabouts,
    verdict::Place,
};

impl Engine {
    /// The standing of a place; `None` if it was always open.
    pub(in crate::engine) fn standing(&self, place: Place, at: At) -> Option<&Standing> {
        let standing = match place {
            Place::Operation => self.lanes[at.lane].keys.get(&(at.key, Some(at.operation)))?,
            Place::KeyModel => self.lanes[at.lane].keys.get(&(at.key, None))?,
            Place::Key => &self.keys[at.key.index()].standing,
            Place::Model => &self.lanes[at.lane].seat(at.account).standing,
            Place::Account => &self.accounts[at.account.index()].standing,
            Place::ProviderModel => &self.lanes[at.lane].standing,
            Place::Provider => &self.provider,
        };
        Some(standing).filter(|standing| !standing.is_open())
    }

    /// The standing of a place, to change it.
    pub(in crate::engine) fn standing_mut(&mut self, place: Place, at: At) -> &mut Standing {
        match place {
            Place::Operation => {
                self.lanes[at.lane].keys.entry((at.key, Some(at.operation))).or_default()
            }
            Place::KeyModel => self.lanes[at.lane].keys.entry((at.key, None)).or_default(),
            Place::Key => &mut self.keys[at.key.index()].standing,
            Place::Model => &mut self.lanes[at.lane].seat_mut(at.account).standing,
            Place::Account => &mut self.accounts[at.account.index()].standing,
            Place::ProviderModel => &mut self.lanes[at.lane].standing,
            Place::Provider => &mut self.provider,
        }
    }

    /// All standings that a request goes through, without those that were always open.
    pub(in crate::engine) fn standings(&self, at: At) -> impl Iterator<Item = (Place, &Standing)> {
        Place::ALL.into_iter().filter_map(move |place| Some((place, self.standing(place, at)?)))
    }

    /// When a key's own standings allow an operation of a model.
    #[inline]
    pub(in crate::engine) fn key_standing(
        &self,
        lane: LaneIx,
        operation: OpIx,
        key: KeyIx,
    ) -> Room {
        let room = self.key_rest(lane, key);
        match self.lanes[lane].keys.get(&(key, Some(operation))) {
            Some(standing) => room.max(standing.room()),
            None => room,
        }
    }

    /// When a key's own standings allow any operation of a model.
    #[inline]
    pub(in crate::engine) fn key_rest(&self, lane: LaneIx, key: KeyIx) -> Room {
        let room = self.keys[key.index()].standing.room();
        match self.lanes[lane].keys.get(&(key, None)) {
            Some(standing) => room.max(standing.room()),
            None => room,
        }
    }

    /// By how much the requests of a model delay a probe of the provider. A model that is itself
    /// overloaded cannot show whether the provider is back.
    pub(in crate::engine) fn probe_delay(&self, lane: LaneIx) -> u64 {
        if self.lanes[lane].standing.is_open() { 0 } else { SECOND }
    }

    /// A request is about to be sent; returns its role at each place.
    pub(in crate::engine) fn sending(&mut self, now: Time, at: At) -> Roles {
        let mut roles = Roles::default();
        let mut send = |place: Place, standing: &mut Standing| {
            roles.set(place, standing.sending(now));
        };
        let lane = &mut self.lanes[at.lane];
        if !lane.keys.is_empty() {
            let places = [(Place::Operation, Some(at.operation)), (Place::KeyModel, None)];
            for (place, operation) in places {
                let standing = lane.keys.get_mut(&(at.key, operation));
                standing.into_iter().for_each(|standing| send(place, standing));
            }
        }
        send(Place::Key, &mut self.keys[at.key.index()].standing);
        send(Place::Model, &mut lane.seat_mut(at.account).standing);
        send(Place::Account, &mut self.accounts[at.account.index()].standing);
        send(Place::ProviderModel, &mut lane.standing);
        send(Place::Provider, &mut self.provider);
        roles
    }

    /// A request has ended.
    pub(in crate::engine) fn ended(&mut self, grant: &Grant) {
        let (at, sent, roles) = (grant.at(), grant.sent, grant.roles);
        if roles.are_ordinary() {
            return;
        }
        for place in Place::ALL {
            let role = roles.of(place);
            if role != Role::Ordinary && self.standing_mut(place, at).ended(role, sent) {
                self.opened(place, at);
            }
        }
    }

    /// A request sent at `sent` was accepted, so every place that it went through works. Returns
    /// the widest place that changed.
    pub(in crate::engine) fn succeeded(&mut self, at: At, sent: Time) -> Option<Place> {
        let mut recovered = None;
        for place in Place::ALL {
            if self.standing(place, at).is_none() {
                continue;
            }
            let progress = self.standing_mut(place, at).succeeded(sent);
            if progress == Progress::Recovered {
                recovered = Some(place);
            }
            // A place of which nothing is left to remember has changed, too: see `probe_delay`.
            if progress != Progress::Nothing || self.standing(place, at).is_none() {
                self.opened(place, at);
            }
        }
        recovered
    }

    /// The name of a place in events.
    pub(in crate::engine) fn whereabouts(&self, place: Place, at: At) -> Whereabouts {
        let key = &self.keys[at.key.index()];
        let of_key = place <= Place::Key;
        let of_model = matches!(
            place,
            Place::Operation | Place::KeyModel | Place::Model | Place::ProviderModel
        );
        Whereabouts {
            place,
            key: of_key.then(|| key.id.clone()),
            account: (place <= Place::Account)
                .then(|| Arc::clone(&self.accounts[at.account.index()].name)),
            operation: (place == Place::Operation)
                .then(|| Arc::clone(self.operations.name(at.operation))),
            model: self.lanes[at.lane].model.clone().filter(|_| of_model),
        }
    }

    /// A place changed for the better.
    pub(in crate::engine) fn opened(&mut self, place: Place, at: At) {
        match place {
            Place::Operation | Place::KeyModel | Place::Key | Place::Model | Place::Account => {
                self.revive(at.account);
            }
            Place::ProviderModel | Place::Provider => self.unstall(),
        }
        if matches!(place, Place::Operation | Place::KeyModel) {
            // A standing that is open is removed, so that it costs nothing.
            let operation = Some(at.operation).filter(|_| place == Place::Operation);
            let keys = &mut self.lanes[at.lane].keys;
            if keys.get(&(at.key, operation)).is_some_and(Standing::is_open) {
                keys.remove(&(at.key, operation));
            }
        }
    }

    /// Clears the standings of a key.
    pub(in crate::engine) fn forget_refusals(&mut self, key: KeyIx) {
        for lane in self.lanes.iter_mut().filter(|lane| !lane.keys.is_empty()) {
            let operations: Vec<_> = lane.keys_of(key).map(|(operation, _)| operation).collect();
            for operation in operations {
                lane.keys.remove(&(key, operation));
            }
        }
        self.change_key(key, |key| {
            key.standing.revive();
            key.is_rejected = false;
        });
    }

    /// Changes a key, and updates the number of live keys.
    pub(in crate::engine) fn change_key(&mut self, key: KeyIx, change: impl FnOnce(&mut Key)) {
        let key = &mut self.keys[key.index()];
        let (was_live, was_good) = (key.is_live(), key.life == Life::Good);
        change(key);
        let (is_live, is_good) = (key.is_live(), key.life == Life::Good);
        self.live_keys = self.live_keys + usize::from(is_live) - usize::from(was_live);
        self.usable_keys = self.usable_keys + usize::from(is_good) - usize::from(was_good);
    }
}
