//! Saves and restores what is kept over a restart.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    KeyId,
    engine::{
        Engine,
        roster::account::{Key, Life},
        saved::{
            Clock, Saved, SavedAccount, SavedKey, SavedLane, SavedModel, SavedPlace, SavedStanding,
        },
        standing::{Kind, Standing},
        time::Time,
    },
};

impl Engine {
    /// What to save. The caller adds the fingerprints, because the engine does not know the
    /// secrets.
    pub(crate) fn save(&self, now: Time) -> Saved {
        let clock = Clock(self.wall);
        let mut keys: BTreeMap<KeyId, SavedKey> = BTreeMap::new();
        for ix in self.declared().flat_map(|(_, account)| &account.keys) {
            let key = &self.keys[ix.index()];
            let meters = clock.meters(now, key.meters.iter());
            let standing = clock.standing(now, &key.standing);
            let disabled = key.life == Life::Disabled;
            if !meters.is_empty() || standing.is_some() || disabled {
                let key_of = SavedKey { standing, disabled, meters, ..SavedKey::default() };
                keys.insert(key.id.clone(), key_of);
            }
        }
        let accounts = self.declared().filter_map(|(_, account)| {
            let standing = clock.standing(now, &account.standing);
            let meters = clock.meters(now, account.counting(!account.unused));
            let is_news = standing.is_some() || !meters.is_empty();
            is_news.then(|| (Arc::clone(&account.name), SavedAccount { standing, meters }))
        });
        let accounts = accounts.collect();
        let (mut lanes, mut models) = (Vec::new(), Vec::new());
        for lane in self.lanes.iter() {
            let standing = clock.standing(now, &lane.standing);
            let of_model = |standing| SavedModel { model: lane.model.clone(), standing };
            models.extend(standing.map(of_model));
            for (ix, account) in self.declared() {
                let standing = &lane.seat(ix).standing;
                lanes.extend(clock.standing(now, standing).map(|standing| SavedLane {
                    model: lane.model.clone(),
                    account: Arc::clone(&account.name),
                    standing,
                }));
            }
            for ((key, operation), standing) in &lane.keys {
                let Some(standing) = clock.standing(now, standing) else { continue };
                let key = &self.keys[key.index()];
                let operation = operation.map(|operation| self.operations.name(operation).clone());
                let place = SavedPlace { model: lane.model.clone(), operation, standing };
                keys.entry(key.id.clone()).or_default().places.push(place);
            }
        }
        let tags = self.budgets.counts();
        let tags = tags.map(|(tag, meters)| (Arc::clone(tag), clock.meters(now, meters.iter())));
        let tags = tags.filter(|(_, meters)| !meters.is_empty()).collect();
        let provider = clock.standing(now, &self.provider);
        Saved { salt: 0, provider, accounts, keys, lanes, models, tags }
    }

    /// Restores what was saved, for the accounts, keys and limits that still exist. It never
    /// replaces newer knowledge.
    pub(crate) fn restore(&mut self, now: Time, saved: &Saved) {
        let clock = Clock(self.wall);
        let most = now.after(self.max_cooldown);
        let restore = |standing: &mut Standing, saved: &SavedStanding| {
            let until = clock.time(saved.until).min(most);
            if let Some(cause) = saved.cause() {
                standing.restore(now, cause, until, saved.rung, saved.is_probed);
            }
        };
        saved.provider.iter().for_each(|standing| restore(&mut self.provider, standing));
        for account in &mut self.accounts {
            let Some(saved) = saved.accounts.get(&account.name) else { continue };
            saved.standing.iter().for_each(|standing| restore(&mut account.standing, standing));
            let unused = account.unused;
            clock.restore(now, account.counting_mut(!unused), &saved.meters);
        }
        for index in 0..self.keys.len() {
            let key = &mut self.keys[index];
            let Some(saved) = saved.keys.get(&key.id) else { continue };
            clock.restore(now, key.meters.iter_mut(), &saved.meters);
            saved.standing.iter().for_each(|standing| restore(&mut key.standing, standing));
            let cause = key.standing.cause(now);
            let is_rejected = cause.is_some_and(|cause| cause.kind == Kind::Credential);
            let ix = key.ix;
            self.change_key(ix, |key: &mut Key| {
                key.is_rejected |= is_rejected;
                if saved.disabled && key.life == Life::Good {
                    key.life = Life::Disabled;
                }
            });
            for SavedPlace { model, operation, standing } in &saved.places {
                let lane = self.lane(now, model.as_deref());
                let operation = operation.as_deref().map(|name| self.operations.named(name));
                restore(self.lanes[lane].keys.entry((ix, operation)).or_default(), standing);
            }
        }
        for (tag, saved) in &saved.tags {
            let meters = self.budgets.reopen(now, tag);
            clock.restore(now, meters.into_iter().flatten(), saved);
        }
        for SavedModel { model, standing } in &saved.models {
            let lane = self.lane(now, model.as_deref());
            restore(&mut self.lanes[lane].standing, standing);
        }
        for SavedLane { model, account, standing } in &saved.lanes {
            let Some(account) = self.find_account(account) else { continue };
            let lane = self.lane(now, model.as_deref());
            restore(&mut self.lanes[lane].seat_mut(account).standing, standing);
        }
    }
}
