//! Budgets: what may be spent under each tag.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        ids::BudgetIx,
        meter::Meter,
        named::Named,
        room::Room,
        time::{SECOND, Time},
    },
    limit::Metered,
};

/// Tags beyond this number share one budget, beside those with a declared one.
const MAX_BUDGETS: usize = 4_096;
/// A budget may be forgotten after this time without use.
const FORGET_AFTER: u64 = 3_600 * SECOND;

/// The declared budgets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) tags: Vec<(Arc<str>, Limit)>,
    /// The limits of every other tag.
    pub(crate) usual: Vec<Limit>,
    /// Whether requests without a known price are refused where money is limited.
    pub(crate) refuse_unpriced: bool,
}

#[derive(Debug)]
pub(in crate::engine) struct Budgets {
    budgets: Named<Budget>,
    usual: Vec<Arc<Limit>>,
    /// How many were declared; they come first.
    declared: usize,
    wall: Timestamp,
    refuse_unpriced: bool,
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Budget {
    pub(in crate::engine) meters: Vec<Meter>,
    in_flight: u64,
    last_used: Time,
}

impl Budgets {
    pub(in crate::engine) fn new(declared: Declared, wall: Timestamp) -> Self {
        let mut budgets = Named::new(MAX_BUDGETS);
        for (tag, limit) in declared.tags {
            let at = match budgets.find(&tag) {
                Some(at) => at,
                None => budgets.keep(Some(tag), Budget::default()),
            };
            let budget: &mut Budget = &mut budgets[at];
            budget.meters.push(Meter::new(Arc::new(limit), wall));
        }
        Self {
            declared: budgets.len(),
            budgets,
            usual: declared.usual.into_iter().map(Arc::new).collect(),
            wall,
            refuse_unpriced: declared.refuse_unpriced,
        }
    }

    /// The budget of a tag, if it has one.
    pub(in crate::engine) fn resolve(&mut self, now: Time, tag: &str) -> Option<BudgetIx> {
        if self.usual.is_empty() && self.budgets.find(tag).is_none() {
            return None;
        }
        // A budget that was unused for long and of which nothing is spent may be forgotten.
        let is_forgettable = |budget: &Budget| {
            let is_whole = budget.meters.iter().all(|meter| meter.used_share(now) == 0);
            is_whole && budget.in_flight == 0 && now.since(budget.last_used) >= FORGET_AFTER
        };
        let worth = |budget: &Budget| Some(()).filter(|()| is_forgettable(budget));
        let make = |_: &Arc<str>| {
            let meters = self.usual.iter().map(|limit| Meter::new(Arc::clone(limit), self.wall));
            Budget { meters: meters.collect(), ..Budget::default() }
        };
        let at = self.budgets.resolve(tag, worth, make);
        self.budgets[at].last_used = now;
        Some(BudgetIx::new(at))
    }

    /// The declared budgets, and others of which something is spent, by tag.
    pub(in crate::engine) fn in_use(
        &self,
        now: Time,
    ) -> impl Iterator<Item = (&Arc<str>, &[Meter])> {
        let is_spent = move |meter: &Meter| meter.used_share(now) > 0;
        let all = self.counts().enumerate();
        let in_use =
            all.filter(move |(at, (_, meters))| *at < self.declared || meters.iter().any(is_spent));
        in_use.map(|(_, budget)| budget)
    }

    /// The tag of a budget and its meters.
    pub(in crate::engine) fn tagged(&mut self, at: BudgetIx) -> Option<(Arc<str>, &mut [Meter])> {
        let tag = self.budgets.name(at.index()).cloned()?;
        Some((tag, &mut self.budgets[at.index()].meters))
    }

    /// Whether requests without a known price are refused.
    pub(in crate::engine) fn refuse_unpriced(&self) -> bool {
        self.refuse_unpriced
    }

    /// The meters of each tag.
    pub(in crate::engine) fn counts(&self) -> impl Iterator<Item = (&Arc<str>, &[Meter])> {
        self.budgets.iter().filter_map(|(tag, budget)| Some((tag?, &*budget.meters)))
    }

    /// The meters of a tag that was saved; `None` if it has no budget any more.
    pub(in crate::engine) fn reopen(&mut self, now: Time, tag: &str) -> Option<&mut [Meter]> {
        let at = self.resolve(now, tag)?;
        Some(&mut self[at].meters)
    }

    fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.budgets.things().flat_map(|budget| &budget.meters)
    }

    /// Whether any budget counts money.
    pub(in crate::engine) fn limit_spending(&self) -> bool {
        let usual = self.usual.iter().map(|limit| &**limit);
        let mut limits = self.meters().map(|meter| &*meter.limit).chain(usual);
        limits.any(|limit| limit.metered() == Metered::Spend)
    }

    /// A request of this budget has begun or ended.
    pub(in crate::engine) fn sent(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight += 1);
    }

    pub(in crate::engine) fn ended(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight -= 1);
    }
}

impl Budget {
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
