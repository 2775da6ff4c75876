//! What a user declared for an engine, beside its accounts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    Limit,
    affinity::Affinity,
    engine::{DeclaredBudgets, ids::MAX_LIMITS, meter::Meter},
    strategy::{Headroom, Strategy},
};

/// What a user declared for an engine, beside its accounts.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The longest line.
    pub(crate) max_queued: usize,
    pub(crate) strategy: Arc<dyn Strategy>,
    /// The weights of tenants that differ from 1.
    pub(crate) tenants: HashMap<Arc<str>, u32>,
    pub(crate) affinity: Affinity,
    pub(crate) budgets: DeclaredBudgets,
    /// Whether limits are learned that were not declared.
    pub(crate) learns: bool,
    /// The number of requests at once for an account without a known limit.
    pub(crate) initial_concurrency: u64,
    pub(crate) max_cooldown: Duration,
    /// Dry run: nothing is held back.
    pub(crate) shadow: bool,
    pub(crate) seed: u64,
    /// The wall-clock time at the engine's start.
    pub(crate) wall: Timestamp,
}

impl Setup {
    pub(crate) fn new(seed: u64, wall: Timestamp) -> Self {
        Self {
            max_queued: 1_000,
            strategy: Arc::new(Headroom),
            tenants: HashMap::new(),
            affinity: Affinity::new(),
            budgets: DeclaredBudgets::default(),
            learns: true,
            initial_concurrency: 16,
            max_cooldown: Duration::from_secs(24 * 3_600),
            shadow: false,
            seed,
            wall,
        }
    }
}

/// Makes the meters of declared limits. Equal limits are shared, because most accounts have the
/// same ones.
#[derive(Debug)]
pub(crate) struct Counts {
    wall: Timestamp,
    known: Vec<Arc<Limit>>,
}

impl Counts {
    /// `wall` is the wall-clock time at the engine's start.
    pub(crate) fn new(wall: Timestamp) -> Self {
        Self { wall, known: Vec::new() }
    }

    pub(crate) fn of(&mut self, limits: &[Limit]) -> Vec<Meter> {
        let limits = limits.iter().map(|limit| shared(&mut self.known, limit));
        limits.map(|limit| Meter::new(limit, self.wall)).collect()
    }
}

/// An equal limit among the last few, otherwise a new one.
fn shared(known: &mut Vec<Arc<Limit>>, limit: &Limit) -> Arc<Limit> {
    if let Some(same) = known.iter().rev().take(MAX_LIMITS).find(|known| ***known == *limit) {
        return Arc::clone(same);
    }
    known.push(Arc::new(limit.clone()));
    known[known.len() - 1].clone()
}
