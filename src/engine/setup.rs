//! Building an engine from what a user declared.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    Affinity, Limit,
    strategy::{Headroom, Strategy},
};

use super::{
    AccountIx, DeclaredBudgets, Engine, MOST_LIMITS, Time, affinity::Affinities, alike::Alike,
    at_fault::AtFault, budgets::Budgets, lanes::Lanes, meter::Meter, names::Names,
    operations::Operations, opinions::Opinions, reserved::Spares, serving::Serving, shadow::Shadow,
    snapshot::Counters, standing::Standing, tenants::Tenants,
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
    /// An engine without accounts so far.
    pub(crate) fn new(setup: Setup) -> Self {
        let mut engine = Self {
            accounts: Vec::new(),
            keys: Vec::new(),
            free_accounts: Vec::new(),
            free_keys: Vec::new(),
            order: Vec::new(),
            is_by_slot: true,
            by_name: Names::new(),
            by_id: Names::new(),
            epoch: 0,
            expiries: BTreeMap::new(),
            notices: BTreeSet::new(),
            budgets: Budgets::new(setup.budgets, setup.wall),
            limits_spending: false,
            affinities: Affinities::new(&setup.affinity),
            provider: Standing::default(),
            alike: Alike::default(),
            serving: Serving::default(),
            at_fault: AtFault::default(),
            opinions: Opinions::new(),
            in_doubt_until: Time::ZERO,
            operations: Operations::new(),
            lanes: Lanes::new(),
            tenants: Tenants::new(setup.tenants),
            strategy: setup.strategy,
            shadow: setup.shadow.then(Shadow::default),
            learns: setup.learns,
            start: setup.start.max(1),
            longest_cooldown: setup.longest_cooldown,
            longest_line: setup.longest_line,
            waiting: 0,
            crowded_out: Vec::new(),
            live_keys: 0,
            usable_keys: 0,
            total_keys: 0,
            told_live: 0,
            panic: None,
            exhausted: None,
            wall: setup.wall,
            rng: fastrand::Rng::with_seed(setup.seed),
            events: Vec::new(),
            spares: Spares::default(),
            #[cfg(feature = "balance")]
            opened: super::gate::Opened::default(),
            counters: Counters::default(),
        };
        engine.limits_spending = engine.budgets.limit_spending();
        engine
    }

    /// Makes place for so many accounts and keys, and not for more.
    pub(crate) fn reserve(&mut self, accounts: usize, keys: usize) {
        self.accounts.reserve_exact(accounts);
        self.order.reserve_exact(accounts);
        self.by_name.reserve(accounts, |ix| &self.accounts[ix.index()].name);
        self.keys.reserve_exact(keys);
        self.by_id.reserve(keys, |ix| self.keys[ix.index()].id.as_str());
        self.lanes.iter_mut().for_each(|lane| lane.reserve(accounts));
    }

    /// Begins with any account: pools of many processes do so with different ones.
    pub(crate) fn begin(&mut self) {
        let first = AccountIx::new(self.rng.usize(..self.accounts.len().max(1)));
        self.lanes.begin_with(first);
    }
}

/// Makes the counts against declared limits. Most accounts have the same ones.
#[derive(Debug)]
pub(crate) struct Counts {
    wall: Timestamp,
    known: Vec<Arc<Limit>>,
}

impl Counts {
    /// `wall` is the time of day at the engine's beginning.
    pub(crate) fn new(wall: Timestamp) -> Self {
        Self { wall, known: Vec::new() }
    }

    pub(crate) fn of(&mut self, limits: &[Limit]) -> Vec<Meter> {
        let limits = limits.iter().map(|limit| shared(&mut self.known, limit));
        limits.map(|limit| Meter::new(limit, self.wall)).collect()
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
