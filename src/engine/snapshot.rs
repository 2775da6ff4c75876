//! What an operator sees of a pool: numbers and labels, never a secret.
//!
//! Long, for it is one list of public fields, each with its unit.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::{KeyId, Place, Verdict};

use super::{
    AccountIx, Engine, KeyIx, Time,
    account::{Account, Key, Life},
    event::Whereabouts,
    lane::Lane,
    meter::{Meter, NEAR, Source},
    refusal::Refusal,
    standing::Standing,
};

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
    #[serde(serialize_with = "seconds")]
    pub braked_for: Option<Duration>,
    /// Whether more accounts fail than may rest for it, so that none does.
    pub panic: bool,
    /// In shadow mode: requests since the pool was built that would have been held back.
    pub shadow_held_back: Option<u64>,
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
    pub lanes: Vec<LaneState>,
    /// The tenants that wait in line; none named is the tenant of requests without one.
    pub tenants: Vec<TenantState>,
}

/// How requests stayed on the account that has their beginning in its cache; see
/// [`Affinity`](crate::Affinity).
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
pub struct LaneState {
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

/// What has been counted since the pool was built.
#[derive(Debug, Default)]
pub(super) struct Counters {
    verdicts: [u64; Verdict::NAMES.len()],
}

impl Counters {
    /// Each request is counted once, by what was said last.
    pub(super) fn count(&mut self, verdict: Verdict, before: Option<Verdict>) {
        self.verdicts[verdict.index()] += 1;
        if let Some(before) = before {
            self.verdicts[before.index()] -= 1;
        }
    }

    fn verdicts(&self) -> BTreeMap<&'static str, u64> {
        let counted = Verdict::NAMES.into_iter().zip(self.verdicts);
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl Engine {
    /// The state at this moment.
    pub(crate) fn snapshot(&self, now: Time, pool: Arc<str>) -> Snapshot {
        Snapshot {
            pool,
            live_keys: self.live_keys,
            waiting: self.waiting,
            braked_for: cooling(&self.provider, now),
            panic: self.panic.is_some(),
            shadow_held_back: self.shadow.as_ref().map(|shadow| shadow.held_back),
            affinity: self.affinities.state(),
            verdicts: self.counters.verdicts(),
            budgets: self.budgets.states(now),
            standings: self.standing_states(now).collect(),
            second_opinions: self.opinions.asked(),
            accounts: self
                .declared()
                .map(|(_, account)| self.account_state(now, account))
                .collect(),
            lanes: self.lanes.iter().map(|lane| self.lane_state(now, lane)).collect(),
            tenants: self.tenant_states().collect(),
        }
    }

    /// The declared accounts, in order.
    pub(super) fn declared(&self) -> impl Iterator<Item = (AccountIx, &Account)> {
        self.order.iter().map(|&ix| (ix, &self.accounts[ix.index()]))
    }

    fn tenant_states(&self) -> impl Iterator<Item = TenantState> {
        let waiting = self.tenants.iter().filter(|tenant| tenant.waiting > 0);
        waiting.map(|tenant| TenantState { name: tenant.name.clone(), waiting: tenant.waiting })
    }

    fn account_state(&self, now: Time, account: &Account) -> AccountState {
        let keys = account.keys.iter().map(|key| key_state(now, &self.keys[key.index()]));
        AccountState {
            name: account.name.clone(),
            served: account.served,
            in_flight: account.in_flight,
            cooling_for: cooling(&account.standing, now),
            last_refusal: last_refusal(now, self.last_refusal_of(account)),
            meters: account
                .counting(!account.unused)
                .map(|meter| meter_state(now, meter))
                .collect(),
            keys: keys.collect(),
        }
    }

    fn resting_keys(&self, now: Time, lane: &Lane) -> Vec<KeyId> {
        let resting = lane.keys.iter().filter(|(_, standing)| standing.is_troubled(now));
        let mut keys: Vec<_> = resting.map(|((key, _), _)| *key).collect();
        keys.dedup();
        keys.into_iter().map(|key| self.keys[key.index()].id.clone()).collect()
    }

    /// All standings that are not open.
    fn standing_states(&self, now: Time) -> impl Iterator<Item = StandingState> {
        let account_of = |ix: AccountIx| Some(Arc::clone(&self.accounts[ix.index()].name));
        let key_of = |ix: KeyIx| Some(self.keys[ix.index()].id.clone());
        let place = Whereabouts::of;
        let provider = std::iter::once((place(Place::Provider), &self.provider));
        let accounts = self.declared().map(move |(ix, account)| {
            (Whereabouts { account: account_of(ix), ..place(Place::Account) }, &account.standing)
        });
        let keys = self.declared().flat_map(|(_, account)| &account.keys).map(move |ix| {
            let key = &self.keys[ix.index()];
            let (id, account) = (key_of(*ix), account_of(key.account));
            (Whereabouts { key: id, account, ..place(Place::Key) }, &key.standing)
        });
        let lanes = self.lanes.iter().flat_map(move |lane| {
            let model = lane.model.clone();
            let of = move |at| Whereabouts { model: model.clone(), ..place(at) };
            let (of_seats, of_keys) = (of.clone(), of.clone());
            let seats = self.declared().map(move |(ix, _)| {
                let place = Whereabouts { account: account_of(ix), ..of_seats(Place::Model) };
                (place, &lane.seat(ix).standing)
            });
            let keys = lane.keys.iter().map(move |((ix, operation), standing)| {
                let at = if operation.is_some() { Place::Operation } else { Place::KeyModel };
                let account = account_of(self.keys[ix.index()].account);
                let operation = operation.map(|at| Arc::clone(self.operations.name(at)));
                (Whereabouts { key: key_of(*ix), account, operation, ..of_keys(at) }, standing)
            });
            let sizes = {
                let of = of.clone();
                self.declared().filter_map(move |(ix, _)| {
                    let largest = lane.seat(ix).largest.as_ref()?;
                    let place = Whereabouts { account: account_of(ix), ..of(Place::Model) };
                    Some((place, largest.standing()))
                })
            };
            std::iter::once((of(Place::ProviderModel), &lane.standing))
                .chain(seats)
                .chain(keys)
                .chain(sizes)
        });
        let all = provider.chain(accounts).chain(keys).chain(lanes);
        all.filter_map(move |(place, standing)| {
            let cause = standing.cause(now)?;
            Some(StandingState {
                place,
                kind: cause.kind.name(),
                rule: Arc::clone(&cause.rule),
                told: cause.is_told,
                proven: standing.is_proven(now),
                wait: now.until(standing.until()),
                half_open: standing.is_half_open(now),
            })
        })
    }

    fn last_refusal_of(&self, account: &Account) -> Option<&Refusal> {
        let keys = account.keys.iter().map(|key| &self.keys[key.index()]);
        keys.filter_map(|key| key.refusal.as_deref()).max_by_key(|refusal| refusal.at)
    }

    fn lane_state(&self, now: Time, lane: &Lane) -> LaneState {
        let cooling = self.declared().filter_map(|(ix, account)| {
            let standing = &lane.seat(ix).standing;
            Some((account.name.clone(), cooling(standing, now)?))
        });
        let learnt = self.declared().filter_map(|(ix, account)| {
            let learnt = lane.seat(ix).learnt.as_ref()?;
            let meters: Vec<_> =
                learnt.meters.iter().map(|meter| meter_state(now, meter)).collect();
            (!meters.is_empty()).then(|| (account.name.clone(), meters))
        });
        let overloaded_for = self::cooling(&lane.standing, now);
        LaneState {
            model: lane.model.clone(),
            waiting: lane.line.len(),
            in_flight: lane.in_flight,
            cooling: cooling.collect(),
            refused: self.resting_keys(now, lane),
            overloaded_for,
            learnt: learnt.collect(),
        }
    }
}

pub(super) fn meter_state(now: Time, meter: &Meter) -> MeterState {
    let (source, declared) = match &meter.source {
        Source::Declared(limit) => ("declared", Some(limit.amount())),
        Source::Told => ("told", None),
        Source::Paced => ("pace", None),
        Source::Start => ("start", None),
    };
    let used_share = meter.used_share(now);
    MeterState {
        limit: meter.limit.to_string(),
        models: meter.limit.model_pattern().map(str::to_owned),
        source,
        declared: declared.filter(|declared| *declared != meter.limit.amount()),
        remaining: meter.remaining(now),
        used_share: used_share as f64 / 65_536.0,
        near_limit: used_share >= NEAR,
    }
}

fn key_state(now: Time, key: &Key) -> KeyState {
    KeyState {
        id: key.id.clone(),
        alive: key.is_live(),
        disabled: key.life == Life::Disabled,
        last_refusal: last_refusal(now, key.refusal.as_deref()),
        served: key.served,
        in_flight: u64::from(key.in_flight),
    }
}

fn last_refusal(now: Time, refusal: Option<&Refusal>) -> Option<LastRefusal> {
    refusal.map(|refusal| LastRefusal {
        verdict: refusal.verdict.name(),
        rule: Arc::clone(&refusal.rule),
        ago: refusal.at.until(now),
    })
}

fn cooling(standing: &Standing, now: Time) -> Option<Duration> {
    Some(now.until(standing.until())).filter(|left| !left.is_zero())
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
