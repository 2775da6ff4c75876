//! Building an engine from what a user declared.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    Account as Declared, Affinity, KeyId, Limit,
    strategy::{Headroom, Strategy},
};

use super::{
    AccountIx, DeclaredBudgets, Engine, KeyIx, MOST_LIMITS,
    account::{Account, Failures, Key},
    affinity::Affinities,
    alike::Alike,
    budgets::Budgets,
    lanes::Lanes,
    meter::Meter,
    round_trip::RoundTrip,
    shadow::Shadow,
    snapshot::Counters,
    standing::Standing,
    tenants::Tenants,
};

/// What an engine is like, beside its accounts.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// How many may wait in line.
    pub(crate) longest_line: usize,
    pub(crate) strategy: Arc<dyn Strategy>,
    /// The weights of tenants, if not 1.
    pub(crate) tenants: HashMap<Arc<str>, u32>,
    pub(crate) affinity: Affinity,
    pub(crate) budgets: DeclaredBudgets,
    /// Whether limits are learnt that were not declared.
    pub(crate) learns: bool,
    /// How many requests at once an account gets of which no limit is known.
    pub(crate) start: u64,
    pub(crate) longest_cooldown: Duration,
    /// Whether nothing is held back.
    pub(crate) shadow: bool,
    pub(crate) seed: u64,
    /// The time of day at the beginning.
    pub(crate) wall: Timestamp,
}

impl Setup {
    pub(crate) fn new(seed: u64, wall: Timestamp) -> Self {
        Self {
            longest_line: 1_000,
            strategy: Arc::new(Headroom),
            tenants: HashMap::new(),
            affinity: Affinity::new(),
            budgets: DeclaredBudgets::default(),
            learns: true,
            start: 16,
            longest_cooldown: Duration::from_secs(24 * 3_600),
            shadow: false,
            seed,
            wall,
        }
    }
}

impl Engine {
    /// An engine over accounts that have been checked. `ids` has the id of each key, in order.
    pub(crate) fn new(declared: &[Declared], ids: &[KeyId], setup: Setup) -> Self {
        // Most accounts have the same limits.
        let mut known: Vec<Arc<Limit>> = Vec::new();
        let mut meters = |limits: &[Limit]| -> Vec<_> {
            let limits = limits.iter().map(|limit| shared(&mut known, limit));
            limits.map(|limit| Meter::new(limit, setup.wall)).collect()
        };
        let mut keys = Vec::with_capacity(ids.len());
        let mut ids = ids.iter();
        let accounts: Vec<_> = declared
            .iter()
            .enumerate()
            .map(|(index, account)| {
                let first = keys.len();
                keys.extend(account.keys.iter().zip(ids.by_ref()).map(|(key, id)| Key {
                    id: id.clone(),
                    account: AccountIx::new(index),
                    weight: key.weight,
                    meters: meters(&key.limits),
                    alive: true,
                    refusal: None,
                    served: 0,
                    in_flight: 0,
                }));
                Account {
                    name: account.name.clone(),
                    weight: account.weight,
                    meters: meters(&account.limits),
                    keys: (first..keys.len()).map(KeyIx::new).collect(),
                    standing: Standing::default(),
                    failures: Failures::default(),
                    refusal: None,
                    way: RoundTrip::default(),
                    served: 0,
                    in_flight: 0,
                }
            })
            .collect();
        // Pools of many processes begin with different accounts.
        let mut rng = fastrand::Rng::with_seed(setup.seed);
        let first = AccountIx::new(rng.usize(..accounts.len().max(1)));
        let mut engine = Self {
            lanes: Lanes::new(&accounts, first),
            tenants: Tenants::new(setup.tenants),
            budgets: Budgets::new(setup.budgets, setup.wall),
            limits_spending: false,
            affinities: Affinities::new(&setup.affinity),
            accounts,
            live_keys: keys.len(),
            keys,
            provider: Standing::default(),
            alike: Alike::default(),
            strategy: setup.strategy,
            shadow: setup.shadow.then(Shadow::default),
            learns: setup.learns,
            start: setup.start.max(1),
            longest_cooldown: setup.longest_cooldown,
            longest_line: setup.longest_line,
            waiting: 0,
            crowded_out: Vec::new(),
            panic: None,
            wall: setup.wall,
            rng,
            events: Vec::new(),
            counters: Counters::default(),
        };
        engine.limits_spending = engine.has_spending_limit();
        engine
    }
}

/// The same limit as one of the last few, if it is.
fn shared(known: &mut Vec<Arc<Limit>>, limit: &Limit) -> Arc<Limit> {
    if let Some(same) = known.iter().rev().take(MOST_LIMITS).find(|known| ***known == *limit) {
        return Arc::clone(same);
    }
    known.push(Arc::new(limit.clone()));
    known[known.len() - 1].clone()
}
