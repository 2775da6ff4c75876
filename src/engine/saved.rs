//! What must not be forgotten when a process ends: counts of limits, and standings with their ends.
//!
//! All times in it are of the wall, since an engine's own time begins anew with it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{KeyId, Limit};

use super::{
    Engine, Time,
    account::{Key, Life},
    meter::Meter,
    standing::{Cause, Kind, Standing},
};

/// What of a pool must not be forgotten when its process ends: how much of each limit and each tag's
/// budget is spent, which places rest until when, and which keys are switched off. To be written as JSON, or
/// anything else that serde has, and given to
/// [`KeyPoolBuilder::restore`](crate::KeyPoolBuilder::restore).
///
/// It holds no secret: of keys their ids, and of those that rest a fingerprint of 64 bits, by which
/// a new secret under the same id is known to be another key. Limits that were learnt are not in it, and
/// neither are requests under way.
///
/// Two are equal if the same would be restored from them: what has not changed need not be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// What goes into the fingerprints beside the secrets.
    pub(crate) salt: u64,
    provider: Option<SavedStanding>,
    accounts: BTreeMap<Arc<str>, SavedAccount>,
    pub(crate) keys: BTreeMap<KeyId, SavedKey>,
    lanes: Vec<SavedLane>,
    models: Vec<SavedModel>,
    /// What is spent under tags.
    tags: BTreeMap<Arc<str>, BTreeMap<String, SavedMeter>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct SavedAccount {
    standing: Option<SavedStanding>,
    meters: BTreeMap<String, SavedMeter>,
}

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedKey {
    /// Of its secret, if that is to blame for something.
    pub(crate) fingerprint: Option<u64>,
    standing: Option<SavedStanding>,
    /// For some models, and perhaps for some operations of them only.
    places: Vec<SavedPlace>,
    /// Switched off by a person.
    disabled: bool,
    meters: BTreeMap<String, SavedMeter>,
}

impl SavedKey {
    /// Whether something is said of its secret.
    pub(crate) fn is_blamed(&self) -> bool {
        self.standing.is_some() || !self.places.is_empty()
    }

    pub(crate) fn forgive(&mut self) {
        self.standing = None;
        self.places.clear();
    }
}

/// A key that rests for one model, or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedPlace {
    model: Option<Arc<str>>,
    /// One operation, if not all.
    operation: Option<Arc<str>>,
    standing: SavedStanding,
}

/// The provider, for one model or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedModel {
    model: Option<Arc<str>>,
    standing: SavedStanding,
}

/// An account that cools down for one model, or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedLane {
    model: Option<Arc<str>>,
    account: Arc<str>,
    standing: SavedStanding,
}

/// A moment in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wall(u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedStanding {
    /// What is wrong, by which rule, and whether the provider names it.
    kind: Arc<str>,
    rule: Arc<str>,
    is_told: bool,
    until: Wall,
    rung: u8,
    /// Whether a probe goes first.
    is_probed: bool,
}

impl SavedStanding {
    /// Nothing if a later version has written it, which knows more kinds.
    fn cause(&self) -> Option<Cause> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == &*self.kind)?;
        Some(Cause { kind, rule: Arc::clone(&self.rule), is_told: self.is_told })
    }
}

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SavedMeter {
    /// All that comes until this moment.
    Paid(Wall),
    /// So much until the window ends.
    Used(u64, Wall),
}

/// The same in the engine's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Paid(Time),
    Used { amount: u64, ends: Time },
}

impl Engine {
    /// What must not be forgotten. Fingerprints are for whoever knows the secrets.
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

    /// Takes up what was saved, as far as there is such an account, key or limit still. Nothing that is
    /// known already is forgotten for it.
    pub(crate) fn restore(&mut self, now: Time, saved: &Saved) {
        let clock = Clock(self.wall);
        let most = now.after(self.longest_cooldown);
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

/// The time of the wall at the engine's beginning.
#[derive(Clone, Copy)]
struct Clock(Timestamp);

impl Clock {
    fn since_1970(self) -> u64 {
        u64::try_from(self.0.as_nanosecond()).unwrap_or(0)
    }

    fn wall(self, time: Time) -> Wall {
        Wall(self.since_1970().saturating_add(time.nanos()))
    }

    fn time(self, wall: Wall) -> Time {
        Time::from_nanos(wall.0.saturating_sub(self.since_1970()))
    }

    fn standing(self, now: Time, standing: &Standing) -> Option<SavedStanding> {
        let (cause, until, rung, is_probed) = standing.saved(now)?;
        Some(SavedStanding {
            kind: cause.kind.name().into(),
            rule: Arc::clone(&cause.rule),
            is_told: cause.is_told,
            until: self.wall(until),
            rung,
            is_probed,
        })
    }

    fn meters<'a>(
        self,
        now: Time,
        meters: impl Iterator<Item = &'a Meter>,
    ) -> BTreeMap<String, SavedMeter> {
        let saved = meters.filter_map(|meter| {
            let saved = match meter.spent(now)? {
                Spent::Paid(paid) => SavedMeter::Paid(self.wall(paid)),
                Spent::Used { amount, ends } => SavedMeter::Used(amount, self.wall(ends)),
            };
            Some((what(&meter.limit), saved))
        });
        saved.collect()
    }

    fn restore<'a>(
        self,
        now: Time,
        meters: impl Iterator<Item = &'a mut Meter>,
        saved: &BTreeMap<String, SavedMeter>,
    ) {
        for meter in meters {
            match saved.get(&what(&meter.limit)) {
                Some(SavedMeter::Paid(paid)) => meter.spend(now, Spent::Paid(self.time(*paid))),
                Some(SavedMeter::Used(amount, ends)) => {
                    meter.spend(now, Spent::Used { amount: *amount, ends: self.time(*ends) });
                }
                None => {}
            }
        }
    }
}

/// What a limit counts, however much of it there is: that may be changed from one run to the next.
fn what(limit: &Limit) -> String {
    let of_any = Limit { amount: 1, burst: None, ..limit.clone() };
    match limit.model_pattern() {
        Some(models) => format!("{of_any} for {models}"),
        None => of_any.to_string(),
    }
}
