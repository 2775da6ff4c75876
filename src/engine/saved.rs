//! What must not be forgotten when a process ends: counts of limits, and standings with their ends.
//!
//! All times in it are of the wall, since an engine's own time begins anew with it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    KeyId, Limit,
    engine::{
        meter::{Meter, spent::Spent},
        standing::{Cause, Kind, Standing},
        time::Time,
    },
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
    pub(in crate::engine) provider: Option<SavedStanding>,
    pub(in crate::engine) accounts: BTreeMap<Arc<str>, SavedAccount>,
    pub(crate) keys: BTreeMap<KeyId, SavedKey>,
    pub(in crate::engine) lanes: Vec<SavedLane>,
    pub(in crate::engine) models: Vec<SavedModel>,
    /// What is spent under tags.
    pub(in crate::engine) tags: BTreeMap<Arc<str>, BTreeMap<String, SavedMeter>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct SavedAccount {
    pub(in crate::engine) standing: Option<SavedStanding>,
    pub(in crate::engine) meters: BTreeMap<String, SavedMeter>,
}

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SavedKey {
    /// Of its secret, if that is to blame for something.
    pub(crate) fingerprint: Option<u64>,
    pub(in crate::engine) standing: Option<SavedStanding>,
    /// For some models, and perhaps for some operations of them only.
    pub(in crate::engine) places: Vec<SavedPlace>,
    /// Switched off by a person.
    pub(in crate::engine) disabled: bool,
    pub(in crate::engine) meters: BTreeMap<String, SavedMeter>,
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
pub(in crate::engine) struct SavedPlace {
    pub(in crate::engine) model: Option<Arc<str>>,
    /// One operation, if not all.
    pub(in crate::engine) operation: Option<Arc<str>>,
    pub(in crate::engine) standing: SavedStanding,
}

/// The provider, for one model or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedModel {
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(in crate::engine) standing: SavedStanding,
}

/// An account that cools down for one model, or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedLane {
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(in crate::engine) account: Arc<str>,
    pub(in crate::engine) standing: SavedStanding,
}

/// A moment in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Wall(u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedStanding {
    /// What is wrong, by which rule, and whether the provider names it.
    pub(in crate::engine) kind: Arc<str>,
    pub(in crate::engine) rule: Arc<str>,
    pub(in crate::engine) is_told: bool,
    pub(in crate::engine) until: Wall,
    pub(in crate::engine) rung: u8,
    /// Whether a probe goes first.
    pub(in crate::engine) is_probed: bool,
}

impl SavedStanding {
    /// Nothing if a later version has written it, which knows more kinds.
    pub(in crate::engine) fn cause(&self) -> Option<Cause> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == &*self.kind)?;
        Some(Cause { kind, rule: Arc::clone(&self.rule), is_told: self.is_told })
    }
}

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::engine) enum SavedMeter {
    /// All that comes until this moment.
    Paid(Wall),
    /// So much until the window ends.
    Used(u64, Wall),
}

/// The time of the wall at the engine's beginning.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Clock(pub(in crate::engine) Timestamp);

impl Clock {
    pub(in crate::engine) fn since_1970(self) -> u64 {
        u64::try_from(self.0.as_nanosecond()).unwrap_or(0)
    }

    pub(in crate::engine) fn wall(self, time: Time) -> Wall {
        Wall(self.since_1970().saturating_add(time.nanos()))
    }

    pub(in crate::engine) fn time(self, wall: Wall) -> Time {
        Time::from_nanos(wall.0.saturating_sub(self.since_1970()))
    }

    pub(in crate::engine) fn standing(
        self,
        now: Time,
        standing: &Standing,
    ) -> Option<SavedStanding> {
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

    pub(in crate::engine) fn meters<'a>(
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

    pub(in crate::engine) fn restore<'a>(
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
