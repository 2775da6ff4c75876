//! What must not be forgotten when a process ends: counts of limits, cooldowns, and dead keys.
//!
//! All times in it are of the wall, since an engine's own time begins anew with it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{KeyId, Limit};

use super::{Engine, KeyIx, Time, account::Life, meter::Meter, standing::Standing};

/// What of a pool must not be forgotten when its process ends: how much of each limit and each tag's
/// budget is spent, who cools down until when, and which keys are dead. To be written as JSON, or
/// anything else that serde has, and given to
/// [`KeyPoolBuilder::restore`](crate::KeyPoolBuilder::restore).
///
/// It holds no secret: of keys their ids, and of those that are dead a fingerprint of 64 bits, by which
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
    dead: bool,
    /// Models that it may not be used for.
    refused: Vec<Arc<str>>,
    meters: BTreeMap<String, SavedMeter>,
}

impl SavedKey {
    /// Whether something is said of its secret.
    pub(crate) fn is_blamed(&self) -> bool {
        self.dead || !self.refused.is_empty()
    }

    pub(crate) fn forgive(&mut self) {
        self.dead = false;
        self.refused.clear();
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedStanding {
    until: Wall,
    rung: u8,
    /// Whether a probe goes first.
    is_probed: bool,
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
            let dead = key.life == Life::Rejected;
            if !meters.is_empty() || dead {
                keys.insert(key.id.clone(), SavedKey { dead, meters, ..SavedKey::default() });
            }
        }
        let accounts = self.declared().filter_map(|(_, account)| {
            let standing = clock.standing(now, &account.standing);
            let meters = clock.meters(now, account.counting(!account.unused));
            let is_news = standing.is_some() || !meters.is_empty();
            is_news.then(|| (Arc::clone(&account.name), SavedAccount { standing, meters }))
        });
        let accounts = accounts.collect();
        let mut lanes = Vec::new();
        for lane in self.lanes.iter() {
            for (ix, account) in self.declared() {
                let standing = &lane.seat(ix).standing;
                lanes.extend(clock.standing(now, standing).map(|standing| SavedLane {
                    model: lane.model.clone(),
                    account: Arc::clone(&account.name),
                    standing,
                }));
            }
            for (key, model) in lane.refused.iter().zip(lane.model.iter().cycle()) {
                let key = self.keys[key.index()].id.clone();
                keys.entry(key).or_default().refused.push(Arc::clone(model));
            }
        }
        let tags = self.budgets.counts();
        let tags = tags.map(|(tag, meters)| (Arc::clone(tag), clock.meters(now, meters.iter())));
        let tags = tags.filter(|(_, meters)| !meters.is_empty()).collect();
        let provider = clock.standing(now, &self.provider);
        Saved { salt: 0, provider, accounts, keys, lanes, tags }
    }

    /// Takes up what was saved, as far as there is such an account, key or limit still. Nothing that is
    /// known already is forgotten for it.
    pub(crate) fn restore(&mut self, now: Time, saved: &Saved) {
        let clock = Clock(self.wall);
        let most = now.after(self.longest_cooldown);
        let restore = |standing: &mut Standing, saved: &SavedStanding| {
            let until = clock.time(saved.until).min(most);
            standing.restore(now, until, saved.rung, saved.is_probed);
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
            if saved.dead && key.life == Life::Good {
                key.life = Life::Rejected;
                self.live_keys -= 1;
            }
            for model in saved.refused.iter().filter(|_| !saved.dead) {
                let lane = self.lane(now, Some(model));
                if !self.lanes[lane].refused.contains(&KeyIx::new(index)) {
                    self.lanes[lane].refused.push(KeyIx::new(index));
                }
            }
        }
        for (tag, saved) in &saved.tags {
            let meters = self.budgets.reopen(now, tag);
            clock.restore(now, meters.into_iter().flatten(), saved);
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
        let (until, rung, is_probed) = standing.saved(now)?;
        Some(SavedStanding { until: self.wall(until), rung, is_probed })
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
