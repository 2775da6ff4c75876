//! Building an engine from what a user declared.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    Account as Declared, ApiKey, KeyId, Limit,
    strategy::{Headroom, Strategy},
};

use super::{
    AccountIx, Engine, KeyIx, MOST_LIMITS, Time,
    account::{Account, Key},
    alike::Alike,
    change::{NewAccount, NewKey},
    lanes::Lanes,
    meter::Meter,
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
        let mut counts = Counts::new(setup.wall);
        let mut keys = Vec::with_capacity(ids.len());
        let mut ids = ids.iter();
        let mut accounts = Vec::with_capacity(declared.len());
        for (index, declared) in declared.iter().enumerate() {
            let mut account = Account::new(counts.account(declared));
            for (key, id) in declared.keys.iter().zip(ids.by_ref()) {
                let (ix, new) = (KeyIx::new(keys.len()), counts.key(key, id.clone()));
                let expires = new.expires;
                account.keys.push(ix);
                keys.push(Key::new(ix, AccountIx::new(index), new, &account.way));
                keys[ix.index()].expires = expires;
            }
            accounts.push(account);
        }
        // Pools of many processes begin with different accounts.
        let mut rng = fastrand::Rng::with_seed(setup.seed);
        let first = AccountIx::new(rng.usize(..accounts.len().max(1)));
        let by_name = accounts.iter().map(|account| Arc::clone(&account.name));
        let mut engine = Self {
            lanes: Lanes::new(&accounts, first),
            tenants: Tenants::new(setup.tenants),
            order: (0..accounts.len()).map(AccountIx::new).collect(),
            by_name: by_name.zip((0..).map(AccountIx::new)).collect(),
            by_id: keys.iter().map(|key| (key.id.clone(), key.ix)).collect(),
            free_accounts: Vec::new(),
            free_keys: Vec::new(),
            accounts,
            live_keys: keys.len(),
            total_keys: keys.len(),
            told_live: keys.len(),
            keys,
            epoch: 0,
            notices: BTreeSet::new(),
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
        for place in 0..engine.keys.len() {
            let Key { ix, expires, .. } = engine.keys[place];
            if expires.is_some() {
                engine.set_expiry(Time::ZERO, ix, expires);
            }
        }
        engine
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

    pub(crate) fn account(&mut self, declared: &Declared) -> NewAccount {
        let Declared { name, weight, limits, .. } = declared;
        NewAccount { name: Arc::clone(name), weight: *weight, meters: self.meters(limits) }
    }

    pub(crate) fn key(&mut self, declared: &ApiKey, id: KeyId) -> NewKey {
        let ApiKey { weight, limits, expires, .. } = declared;
        let expires = expires.map(|expires| Time::of(expires, self.wall));
        NewKey { id, weight: *weight, meters: self.meters(limits), expires }
    }

    pub(crate) fn meters(&mut self, limits: &[Limit]) -> Vec<Meter> {
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
