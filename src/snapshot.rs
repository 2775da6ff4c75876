//! What an operator sees of a pool: numbers and labels, never a secret.
//!
//! Long, for it is one list of public fields, each with its unit.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::{KeyId, event::Whereabouts};

/// The state of a pool at one moment. It serialises to JSON as it stands.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The pool's name.
    pub pool: Arc<str>,
    /// Keys that are in use: not rejected, expired or switched off.
    pub live_keys: usize,
    /// Requests that wait in line.
    pub waiting: usize,
    /// Seconds until the provider is used again, if it rests as a whole.
    #[serde(rename = "braked_for", serialize_with = "seconds")]
    pub overloaded_for: Option<Duration>,
    /// Whether more accounts fail than may rest for it, so that none does.
    #[serde(rename = "panic")]
    pub all_failing: bool,
    /// In shadow mode: requests since the pool was built that would have been held back.
    #[serde(rename = "shadow_held_back")]
    pub dry_run_held_back: Option<u64>,
    /// How requests stayed on the account that has their beginning in its cache.
    pub affinity: AffinityState,
    /// Responses by verdict since the pool was built; one that was accepted and failed later is a failure.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The budgets of tags: those that were declared, and others of which something is spent.
    pub budgets: Vec<BudgetState>,
    /// Every place that rests, is suspected, or waits for a probe.
    pub standings: Vec<StandingState>,
    /// Second opinions: calls that were made only to find out whether a request was at fault or a key.
    pub second_opinions: u64,
    /// The accounts, in the order they were declared.
    pub accounts: Vec<AccountState>,
    /// The models asked for so far; the first is for requests without one.
    #[serde(rename = "lanes")]
    pub models: Vec<ModelState>,
    /// The tenants that wait in line; none named is the tenant of requests without one.
    pub tenants: Vec<TenantState>,
}

/// How requests stayed on the account that has their beginning in its cache; see
/// [`Affinity`](crate::pool::Affinity).
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AffinityState {
    /// Conversations that are remembered; some of them may be over.
    pub remembered: usize,
    /// Requests since the pool was built that stayed.
    pub stayed: u64,
    /// Requests that went elsewhere: their account had no room, or was much busier than others.
    pub moved: u64,
}

/// The state of a tag's budget.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BudgetState {
    /// The tag.
    pub tag: Arc<str>,
    /// Its limits.
    pub meters: Vec<MeterState>,
}

/// A place that rests, is suspected, or waits for a probe.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StandingState {
    /// The place.
    #[serde(flatten)]
    pub place: Whereabouts,
    /// What is wrong: `rate`, `quota`, `credential`, `permission`, `size`, `overload` or `fault`.
    pub kind: &'static str,
    /// The rule that says so, such as `openai/rate-limit`.
    pub rule: Arc<str>,
    /// Whether the provider named it; else it was concluded from little more than a status.
    pub told: bool,
    /// Whether that is proven. Else it rests provisionally, until another key was asked.
    pub proven: bool,
    /// Seconds until it is used again, for a probe where that was a guess.
    #[serde(serialize_with = "as_seconds")]
    pub wait: Duration,
    /// Whether its rest is over and one request, the probe, decides.
    pub half_open: bool,
}

/// The state of a tenant that waits in line.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TenantState {
    /// Its name; none for requests without one.
    pub name: Option<Arc<str>>,
    /// Its requests that wait in line.
    pub waiting: usize,
}

/// The state of an account.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AccountState {
    /// Its name.
    pub name: Arc<str>,
    /// Requests admitted since the pool was built.
    pub served: u64,
    /// Requests that have not ended.
    pub in_flight: u64,
    /// Seconds until it is used again, if it cools down for every model.
    #[serde(serialize_with = "seconds")]
    pub cooling_for: Option<Duration>,
    /// Why it was last refused, if it ever was.
    pub last_refusal: Option<LastRefusal>,
    /// Its limits for all models, and those that were declared for some.
    pub meters: Vec<MeterState>,
    /// Its keys.
    pub keys: Vec<KeyState>,
}

/// The last response to an account or a key that was no success.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LastRefusal {
    /// What it said, such as `rate_limited`.
    pub verdict: &'static str,
    /// The rule that says so, such as `openai/rate-limit`.
    pub rule: Arc<str>,
    /// Seconds since then.
    #[serde(serialize_with = "as_seconds")]
    pub ago: Duration,
}

/// The state of one limit.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MeterState {
    /// The limit, as it is written in a configuration.
    pub limit: String,
    /// The models it counts, if not all.
    pub models: Option<String>,
    /// How it came to be known: `declared`, `told` by the provider in headers, its `pace` as found out
    /// from refusals, or the `start` of an account of which nothing is known.
    pub source: &'static str,
    /// The amount that was declared, where the provider told less.
    pub declared: Option<u64>,
    /// How much could be spent at once, now.
    pub remaining: u64,
    /// The spent share of what may be spent at once; above 1 when in debt.
    pub used_share: f64,
    /// Whether four fifths of it are spent.
    pub near_limit: bool,
}

/// The state of a key.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeyState {
    /// Its label.
    pub id: KeyId,
    /// Whether it is in use: not rejected, expired or switched off.
    pub alive: bool,
    /// Whether a person switched it off.
    pub disabled: bool,
    /// Why it was last refused, if it ever was.
    pub last_refusal: Option<LastRefusal>,
    /// Requests admitted since the pool was built.
    pub served: u64,
    /// Requests that have not ended.
    pub in_flight: u64,
}

/// The state of a model.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModelState {
    /// The model; none for requests without one.
    pub model: Option<Arc<str>>,
    /// Requests that wait in line.
    pub waiting: usize,
    /// Requests that have not ended.
    pub in_flight: u64,
    /// Accounts that cool down for this model only, with the seconds left.
    #[serde(serialize_with = "seconds_by_name")]
    pub cooling: BTreeMap<Arc<str>, Duration>,
    /// Keys that rest for this model, or for some operation of it.
    pub refused: Vec<KeyId>,
    /// Seconds until the provider serves this model again, if it rests for all accounts.
    #[serde(serialize_with = "seconds")]
    pub overloaded_for: Option<Duration>,
    /// Limits that were learnt for this model, by account.
    pub learnt: BTreeMap<Arc<str>, Vec<MeterState>>,
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_secs_f64().serialize(serializer)
}

fn seconds<S: Serializer>(left: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    left.map(|left| left.as_secs_f64()).serialize(serializer)
}

fn seconds_by_name<S: Serializer>(
    left: &BTreeMap<Arc<str>, Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(left.iter().map(|(name, left)| (&**name, left.as_secs_f64())))
}
