//! Builds an engine from what a user declared.

use crate::engine::{
    Engine,
    affinity::Affinities,
    budget::Budgets,
    counters::Counters,
    evidence::{alike::Alike, at_fault::AtFault, opinions::Opinions, serving::Serving},
    grant::Spares,
    ids::AccountIx,
    lane::table::Lanes,
    latch::Latch,
    line::tenants::Tenants,
    roster::{expiry::Expiries, names::Names, operations::Operations},
    setup::Setup,
    shadow::Shadow,
    standing::Standing,
    time::Time,
};

impl Engine {
    /// An engine without accounts.
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
            expiries: Expiries::default(),
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
            initial_concurrency: u32::try_from(setup.initial_concurrency.max(1))
                .unwrap_or(u32::MAX),
            max_cooldown: setup.max_cooldown,
            max_queued: setup.max_queued,
            waiting: 0,
            crowded_out: Vec::new(),
            live_keys: 0,
            usable_keys: 0,
            total_keys: 0,
            reported_live: 0,
            all_failing: Latch::default(),
            exhausted: Latch::default(),
            wall: setup.wall,
            rng: fastrand::Rng::with_seed(setup.seed),
            events: Vec::new(),
            spares: Spares::default(),
            #[cfg(feature = "balance")]
            opened: crate::engine::gate::Opened::default(),
            counters: Counters::default(),
        };
        engine.limits_spending = engine.budgets.limit_spending();
        engine
    }

    /// Allocates room for exactly so many accounts and keys.
    pub(crate) fn reserve(&mut self, accounts: usize, keys: usize) {
        self.accounts.reserve_exact(accounts);
        self.order.reserve_exact(accounts);
        self.by_name.reserve(accounts, |slot| &self.accounts[slot].name);
        self.keys.reserve_exact(keys);
        self.by_id.reserve(keys, |slot| self.keys[slot].id.as_str());
        self.lanes.iter_mut().for_each(|lane| lane.reserve(accounts));
    }

    /// Starts with a random account, so that the pools of many processes start with different ones.
    pub(crate) fn begin(&mut self) {
        let first = AccountIx::new(self.rng.usize(..self.accounts.len().max(1)));
        self.lanes.begin_with(first);
    }
}
