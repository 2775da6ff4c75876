//! What a user declared of an engine, beside its accounts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    Limit,
    affinity::Affinity,
    engine::{DeclaredBudgets, ids::MAX_LIMITS, meter::Meter},
    strategy::{Headroom, Strategy},
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
    if let Some(same) = known.iter().rev().take(MAX_LIMITS).find(|known| ***known == *limit) {
        return Arc::clone(same);
    }
    known.push(Arc::new(limit.clone()));
    known[known.len() - 1].clone()
}
