//! The saved form of what a restart must not lose: counts against limits, and standings with their
//! ends.
//!
//! All times in it are wall-clock times, because the engine's own time starts anew with each
//! process.

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

/// What a pool has to keep over a restart: how much of each limit and budget is spent, which places
/// rest until when, and which keys are switched off. Write it as JSON or any other format of serde,
/// and give it to [`KeyPoolBuilder::restore`](crate::KeyPoolBuilder::restore).
///
/// It contains no secret. It contains the ids of keys, and for keys that rest a fingerprint of 64
/// bits, which shows whether a new secret has the same id. Learned limits and requests under way
/// are not saved.
///
/// Two values are equal if they restore the same state. So an unchanged value need not be written
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// Hashed into the fingerprints together with the secrets.
    pub(crate) salt: u64,
    pub(in crate::engine) provider: Option<SavedStanding>,
    pub(in crate::engine) accounts: BTreeMap<Arc<str>, SavedAccount>,
    pub(crate) keys: BTreeMap<KeyId, SavedKey>,
    pub(in crate::engine) lanes: Vec<SavedLane>,
    pub(in crate::engine) models: Vec<SavedModel>,
    /// The budgets, by tag.
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
    /// Of its secret, if a standing of the key rests.
    pub(crate) fingerprint: Option<u64>,
    pub(in crate::engine) standing: Option<SavedStanding>,
    /// Its rests for single models, or for single operations of a model.
    pub(in crate::engine) places: Vec<SavedPlace>,
    /// Switched off by a person.
    pub(in crate::engine) disabled: bool,
    pub(in crate::engine) meters: BTreeMap<String, SavedMeter>,
}

impl SavedKey {
    /// Whether anything is held against its secret.
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
    /// One operation; `None` for all.
    pub(in crate::engine) operation: Option<Arc<str>>,
    pub(in crate::engine) standing: SavedStanding,
}

/// The provider, for one model or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedModel {
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(in crate::engine) standing: SavedStanding,
}

/// An account that rests for one model, or for requests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedLane {
    pub(in crate::engine) model: Option<Arc<str>>,
    pub(in crate::engine) account: Arc<str>,
    pub(in crate::engine) standing: SavedStanding,
}

/// A wall-clock time in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Wall(u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct SavedStanding {
    /// What is wrong, by which rule, and whether the provider named it.
    pub(in crate::engine) kind: Arc<str>,
    pub(in crate::engine) rule: Arc<str>,
    pub(in crate::engine) is_told: bool,
    pub(in crate::engine) until: Wall,
    pub(in crate::engine) rung: u8,
    /// Whether a probe goes first.
    pub(in crate::engine) is_probed: bool,
}

impl SavedStanding {
    /// `None` for a kind that only a later version knows.
    pub(in crate::engine) fn cause(&self) -> Option<Cause> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == &*self.kind)?;
        Some(Cause { kind, rule: Arc::clone(&self.rule), is_told: self.is_told })
    }
}

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::engine) enum SavedMeter {
    /// A token bucket: its theoretical arrival time.
    Paid(Wall),
    /// A window: the used amount, and the end of the window.
    Used(u64, Wall),
}

/// The wall-clock time at the engine's start.
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

/// What a limit counts, without its amount, which may change between two runs.
fn what(limit: &Limit) -> String {
    let of_any = Limit { amount: 1, burst: None, ..limit.clone() };
    match limit.model_pattern() {
        Some(models) => format!("{of_any} for {models}"),
        None => of_any.to_string(),
    }
}
