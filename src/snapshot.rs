//! The state of a pool, for its operator: numbers and labels, never a secret.
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
    /// Requests that wait in the queue.
    pub waiting: usize,
    /// The time until the provider is used again, if it rests as a whole; in JSON in seconds.
    #[serde(rename = "braked_for", serialize_with = "seconds")]
    pub overloaded_for: Option<Duration>,
    /// Whether too many accounts fail at once, so that the pool assumes an outage and stops resting accounts.
    #[serde(rename = "panic")]
    pub all_failing: bool,
    /// In a [dry run](crate::KeyPoolBuilder::dry_run), the requests since the pool was built that would have
    /// been held back; none without a dry run.
    #[serde(rename = "shadow_held_back")]
    pub dry_run_held_back: Option<u64>,
    /// How many requests stayed on the account that has their conversation in its cache.
    pub affinity: AffinityState,
    /// Responses by verdict since the pool was built. A response that was accepted and failed later counts as
    /// a failure.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The budgets of tags: all that were declared, and others that are partly spent.
    pub budgets: Vec<BudgetState>,
    /// Every place that rests, is suspected, or waits for a probe.
    pub standings: Vec<StandingState>,
    /// Second opinions: calls that were made only to find out whether a request or a key was at fault.
    pub second_opinions: u64,
    /// The accounts, in the order they were declared.
    pub accounts: Vec<AccountState>,
    /// The models of requests so far; the first entry is for requests without a model.
    #[serde(rename = "lanes")]
    pub models: Vec<ModelState>,
    /// The tenants with requests in the queue.
    pub tenants: Vec<TenantState>,
}

/// How many requests stayed on the account that has their conversation in its cache; see
/// [`Affinity`](crate::pool::Affinity).
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AffinityState {
    /// Conversations that are remembered; some of them may be over.
    pub remembered: usize,
    /// Requests since the pool was built that stayed on their account.
    pub stayed: u64,
    /// Requests since the pool was built that went to another account, because theirs had no room or was much
    /// busier.
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
    /// The rule that matched the refusal, such as `openai/rate-limit`.
    pub rule: Arc<str>,
    /// Whether the provider named the place. Otherwise it was inferred from little more than a status.
    pub told: bool,
    /// Whether the fault is proven. Otherwise the place rests provisionally, until another key was tried.
    pub proven: bool,
    /// The time until it is used again; in JSON in seconds. Where the length of the rest was a guess, its
    /// first use is a probe.
    #[serde(serialize_with = "as_seconds")]
    pub wait: Duration,
    /// Whether it is half-open: its rest is over, and one request, the probe, decides.
    pub half_open: bool,
}

/// The state of a tenant with requests in the queue.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TenantState {
    /// Its name; none for requests without one.
    pub name: Option<Arc<str>>,
    /// Its requests in the queue.
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
    /// Requests in flight: their answers have not ended.
    pub in_flight: u64,
    /// The time until it is used again, if it cools down for every model; in JSON in seconds.
    #[serde(serialize_with = "seconds")]
    pub cooling_for: Option<Duration>,
    /// Its last refusal, if there was one.
    pub last_refusal: Option<LastRefusal>,
    /// Its limits for all models, and the declared limits for some models.
    pub meters: Vec<MeterState>,
    /// Its keys.
    pub keys: Vec<KeyState>,
}

/// The last response to an account or a key that was no success.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LastRefusal {
    /// The verdict, such as `rate_limited`.
    pub verdict: &'static str,
    /// The rule that matched the refusal, such as `openai/rate-limit`.
    pub rule: Arc<str>,
    /// The time since then; in JSON in seconds.
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
    /// Its source: `declared`; `told`, if the provider reported it in headers; `inferred`, if only a limit on
    /// concurrency explains its refusals; or `pace`, the rate at which it accepted requests between refusals.
    pub source: &'static str,
    /// The declared amount, if the provider reported a lower one.
    pub declared: Option<u64>,
    /// The amount that could be spent at once, now, in the unit of the limit.
    pub remaining: u64,
    /// The used share of what may be spent at once: 0.0 to 1.0, and above 1.0 in debt.
    pub used_share: f64,
    /// Whether 80 % of it are used.
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
    /// Whether an operator switched it off ([`KeyPool::disable`](crate::KeyPool::disable)).
    pub disabled: bool,
    /// Its last refusal, if there was one.
    pub last_refusal: Option<LastRefusal>,
    /// Requests admitted since the pool was built.
    pub served: u64,
    /// Requests in flight: their answers have not ended.
    pub in_flight: u64,
}

/// The state of a model.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModelState {
    /// The model; none for requests without one.
    pub model: Option<Arc<str>>,
    /// Requests that wait in the queue.
    pub waiting: usize,
    /// Requests in flight: their answers have not ended.
    pub in_flight: u64,
    /// Accounts that cool down for this model only, with the time left; in JSON in seconds.
    #[serde(serialize_with = "seconds_by_name")]
    pub cooling: BTreeMap<Arc<str>, Duration>,
    /// Keys that rest for this model, or for an operation with it.
    pub refused: Vec<KeyId>,
    /// The time until the provider serves this model again, if the model rests for all accounts; in JSON in
    /// seconds.
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
