//! What may be spent under each tag.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        ids::BudgetIx,
        meter::Meter,
        room::Room,
        time::{SECOND, Time},
    },
    limit::Metered,
};

/// Tags come from callers, and are kept: more of them, and longer ones in bytes, share one budget.
const MOST: usize = 4_096;
const LONGEST: usize = 256;
/// The name of what these share. Whoever calls a tag so shares it too.
const OTHERS: &str = "(other)";
/// So long a budget was not asked for before another tag may have its place.
const LONG: u64 = 3_600 * SECOND;

/// What may be spent under tags, as it was declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) tags: Vec<(Arc<str>, Limit)>,
    /// Of every other tag.
    pub(crate) usual: Vec<Limit>,
    /// Whether what nobody knows the price of is refused where money is limited.
    pub(crate) refuse_unpriced: bool,
}

#[derive(Debug)]
pub(in crate::engine) struct Budgets {
    budgets: Vec<Budget>,
    by_tag: HashMap<Arc<str>, BudgetIx>,
    usual: Vec<Arc<Limit>>,
    /// Those that were declared stand first, and stay.
    declared: usize,
    wall: Timestamp,
    refuse_unpriced: bool,
}

#[derive(Debug)]
pub(in crate::engine) struct Budget {
    pub(in crate::engine) tag: Arc<str>,
    pub(in crate::engine) meters: Vec<Meter>,
    in_flight: u64,
    last_used: Time,
}

impl Budgets {
    pub(in crate::engine) fn new(declared: Declared, wall: Timestamp) -> Self {
        let mut budgets = Self {
            budgets: Vec::new(),
            by_tag: HashMap::new(),
            usual: declared.usual.into_iter().map(Arc::new).collect(),
            declared: 0,
            wall,
            refuse_unpriced: declared.refuse_unpriced,
        };
        for (tag, limit) in declared.tags {
            let at = match budgets.by_tag.get(&tag) {
                Some(at) => *at,
                None => budgets.add(Time::ZERO, tag, &[]),
            };
            budgets[at].meters.push(Meter::new(Arc::new(limit), wall));
        }
        budgets.declared = budgets.budgets.len();
        budgets
    }

    /// The budget of a tag, if it has any.
    pub(in crate::engine) fn resolve(&mut self, now: Time, tag: &str) -> Option<BudgetIx> {
        let at = match self.by_tag.get(tag) {
            Some(at) => *at,
            None if self.usual.is_empty() => return None,
            None => self.open(now, tag),
        };
        self[at].last_used = now;
        Some(at)
    }

    fn open(&mut self, now: Time, tag: &str) -> BudgetIx {
        let usual = self.usual.clone();
        let is_full = self.budgets.len() >= self.declared + MOST;
        let forgotten = if is_full { self.forgettable(now) } else { None };
        if tag.len() > LONGEST || is_full && forgotten.is_none() {
            let others = self.by_tag.get(OTHERS).copied();
            return others.unwrap_or_else(|| self.add(now, OTHERS.into(), &usual));
        }
        let tag = Arc::from(tag);
        let Some(place) = forgotten else { return self.add(now, tag, &usual) };
        let at = BudgetIx::new(place);
        let new = Budget::new(now, Arc::clone(&tag), &usual, self.wall);
        let old = std::mem::replace(&mut self[at], new);
        self.by_tag.remove(&old.tag);
        self.by_tag.insert(tag, at);
        at
    }

    fn add(&mut self, now: Time, tag: Arc<str>, limits: &[Arc<Limit>]) -> BudgetIx {
        let at = BudgetIx::new(self.budgets.len());
        self.budgets.push(Budget::new(now, Arc::clone(&tag), limits, self.wall));
        self.by_tag.insert(tag, at);
        at
    }

    /// One of which nothing is spent, and that was not used for long.
    fn forgettable(&self, now: Time) -> Option<usize> {
        let all = self.budgets.iter().enumerate().skip(self.declared);
        // That of the others stays: whenever it came anew, it would be one beyond the bound.
        let mut own = all.filter(|(_, budget)| *budget.tag != *OTHERS);
        own.find_map(|(at, budget)| {
            let is_whole = budget.meters.iter().all(|meter| meter.used_share(now) == 0);
            let is_idle = budget.in_flight == 0 && now.since(budget.last_used) >= LONG;
            (is_whole && is_idle).then_some(at)
        })
    }

    /// Those that were declared, and others of which something is spent.
    pub(in crate::engine) fn in_use(&self, now: Time) -> impl Iterator<Item = &Budget> {
        let all = self.budgets.iter().enumerate();
        let in_use = all.filter(move |(at, budget)| {
            *at < self.declared || budget.meters.iter().any(|meter| meter.used_share(now) > 0)
        });
        in_use.map(|(_, budget)| budget)
    }

    /// Whether what nobody knows the price of is refused.
    pub(in crate::engine) fn refuse_unpriced(&self) -> bool {
        self.refuse_unpriced
    }

    /// The counts of each tag.
    pub(in crate::engine) fn counts(&self) -> impl Iterator<Item = (&Arc<str>, &[Meter])> {
        self.budgets.iter().map(|budget| (&budget.tag, &*budget.meters))
    }

    /// The counts of a tag that was in use before; none if it has no budget any more.
    pub(in crate::engine) fn reopen(&mut self, now: Time, tag: &str) -> Option<&mut [Meter]> {
        let at = self.resolve(now, tag)?;
        Some(&mut self[at].meters)
    }

    fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.budgets.iter().flat_map(|budget| &budget.meters)
    }

    /// Whether any of them counts money.
    pub(in crate::engine) fn limit_spending(&self) -> bool {
        let usual = self.usual.iter().map(|limit| &**limit);
        let mut limits = self.meters().map(|meter| &*meter.limit).chain(usual);
        limits.any(|limit| limit.metered() == Metered::Spend)
    }

    /// A request of this budget has begun, or ended.
    pub(in crate::engine) fn sent(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight += 1);
    }

    pub(in crate::engine) fn ended(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight -= 1);
    }
}

impl Budget {
    fn new(now: Time, tag: Arc<str>, limits: &[Arc<Limit>], wall: Timestamp) -> Self {
        let meters = limits.iter().map(|limit| Meter::new(Arc::clone(limit), wall)).collect();
        Self { tag, meters, in_flight: 0, last_used: now }
    }

    pub(in crate::engine) fn room(&self, cost: &Cost) -> Room {
        let rooms = self.meters.iter().map(|meter| meter.room(cost));
        rooms.fold(Room::At(Time::ZERO), Room::max)
    }
}

impl std::ops::Index<BudgetIx> for Budgets {
    type Output = Budget;

    fn index(&self, at: BudgetIx) -> &Budget {
        &self.budgets[at.index()]
    }
}

impl std::ops::IndexMut<BudgetIx> for Budgets {
    fn index_mut(&mut self, at: BudgetIx) -> &mut Budget {
        &mut self.budgets[at.index()]
    }
}
