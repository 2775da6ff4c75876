//! What may be spent under each tag, and being told before a limit on spending is reached.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use crate::{Exhausted, Limit, Reason, limit::Metered};

use super::{
    BudgetState, Engine, Event, Whose,
    demand::{Ask, Cost},
    index::LaneIx,
    meter::Meter,
    reserved::Grant,
    room::Room,
    snapshot::meter_state,
    time::{SECOND, Time},
};

/// Tags come from callers, and are kept: more of them, and longer ones in bytes, share one budget.
const MOST: usize = 4_096;
const LONGEST: usize = 256;
/// The name of what these share. Whoever calls a tag so shares it too.
const OTHERS: &str = "(other)";
/// So long a budget was not asked for before another tag may have its place.
const LONG: u64 = 3_600 * SECOND;

/// The budget of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetIx(u16);

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
pub(super) struct Budgets {
    budgets: Vec<Budget>,
    by_tag: HashMap<Arc<str>, BudgetIx>,
    usual: Vec<Arc<Limit>>,
    /// Those that were declared stand first, and stay.
    declared: usize,
    wall: Timestamp,
    refuse_unpriced: bool,
}

#[derive(Debug)]
pub(super) struct Budget {
    tag: Arc<str>,
    pub(super) meters: Vec<Meter>,
    in_flight: u64,
    last_used: Time,
}

impl Budgets {
    pub(super) fn new(declared: Declared, wall: Timestamp) -> Self {
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
    fn resolve(&mut self, now: Time, tag: &str) -> Option<BudgetIx> {
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
        let at = BudgetIx(place as u16);
        let new = Budget::new(now, Arc::clone(&tag), &usual, self.wall);
        let old = std::mem::replace(&mut self[at], new);
        self.by_tag.remove(&old.tag);
        self.by_tag.insert(tag, at);
        at
    }

    fn add(&mut self, now: Time, tag: Arc<str>, limits: &[Arc<Limit>]) -> BudgetIx {
        let at = BudgetIx(self.budgets.len() as u16);
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

    pub(super) fn states(&self, now: Time) -> Vec<BudgetState> {
        let in_use = self.budgets.iter().enumerate().filter(|(at, budget)| {
            *at < self.declared || budget.meters.iter().any(|meter| meter.used_share(now) > 0)
        });
        let state = |budget: &Budget| BudgetState {
            tag: Arc::clone(&budget.tag),
            meters: budget.meters.iter().map(|meter| meter_state(now, meter)).collect(),
        };
        in_use.map(|(_, budget)| state(budget)).collect()
    }

    /// The counts of each tag.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&Arc<str>, &[Meter])> {
        self.budgets.iter().map(|budget| (&budget.tag, &*budget.meters))
    }

    /// The counts of a tag that was in use before; none if it has no budget any more.
    pub(super) fn reopen(&mut self, now: Time, tag: &str) -> Option<&mut [Meter]> {
        let at = self.resolve(now, tag)?;
        Some(&mut self[at].meters)
    }

    fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.budgets.iter().flat_map(|budget| &budget.meters)
    }

    /// Whether any of them counts money.
    pub(super) fn limit_spending(&self) -> bool {
        let usual = self.usual.iter().map(|limit| &**limit);
        let mut limits = self.meters().map(|meter| &*meter.limit).chain(usual);
        limits.any(|limit| limit.metered() == Metered::Spend)
    }

    /// A request of this budget has begun, or ended.
    pub(super) fn sent(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight += 1);
    }

    pub(super) fn ended(&mut self, budget: Option<BudgetIx>) {
        budget.into_iter().for_each(|at| self[at].in_flight -= 1);
    }
}

impl Budget {
    fn new(now: Time, tag: Arc<str>, limits: &[Arc<Limit>], wall: Timestamp) -> Self {
        let meters = limits.iter().map(|limit| Meter::new(Arc::clone(limit), wall)).collect();
        Self { tag, meters, in_flight: 0, last_used: now }
    }

    fn room(&self, cost: &Cost) -> Room {
        let rooms = self.meters.iter().map(|meter| meter.room(cost));
        rooms.fold(Room::At(Time::ZERO), Room::max)
    }
}

impl std::ops::Index<BudgetIx> for Budgets {
    type Output = Budget;

    fn index(&self, at: BudgetIx) -> &Budget {
        &self.budgets[usize::from(at.0)]
    }
}

impl std::ops::IndexMut<BudgetIx> for Budgets {
    fn index_mut(&mut self, at: BudgetIx) -> &mut Budget {
        &mut self.budgets[usize::from(at.0)]
    }
}

impl Engine {
    /// The budget of a tag, if it has any.
    pub(crate) fn budget(&mut self, now: Time, tag: Option<&str>) -> Option<BudgetIx> {
        self.budgets.resolve(now, tag?)
    }

    /// Whether any limit counts money, so that a request must have a price.
    pub(crate) fn limits_spending(&self) -> bool {
        self.limits_spending
    }

    /// Limits are declared. Once one of them has counted money, requests have a price.
    pub(super) fn note_spending<'a>(&mut self, mut meters: impl Iterator<Item = &'a Meter>) {
        self.limits_spending |= meters.any(|meter| meter.limit.metered() == Metered::Spend);
    }

    /// Nobody knows what requests of this model cost, and money is limited. Told once for each model.
    pub(crate) fn unpriced(&mut self, lane: LaneIx) {
        let lane = &mut self.lanes[lane];
        if !std::mem::replace(&mut lane.is_unpriced, true) {
            self.events.push(Event::Unpriced { model: lane.model.clone() });
        }
    }

    /// Why a request may not be sent now whatever accounts have room: nobody waits for money.
    pub(super) fn forbidden(&self, now: Time, ask: &Ask) -> Option<Exhausted> {
        if ask.is_unpriced && self.budgets.refuse_unpriced {
            return Some(Exhausted::new(Reason::Unpriced, None));
        }
        match self.budgets[ask.budget?].room(&ask.cost) {
            Room::At(open) if open <= now => None,
            Room::At(open) => Some(Exhausted::new(Reason::Budget, Some(now.until(open)))),
            Room::OnChange => Some(Exhausted::new(Reason::Budget, None)),
            Room::Never => Some(Exhausted::new(Reason::TooLarge, None)),
        }
    }

    /// Tells of limits on spending of which four fifths have been spent by now.
    #[inline]
    pub(super) fn tell_near_budgets(&mut self, now: Time, grant: &Grant) {
        if self.limits_spending {
            self.tell_near_spending(now, grant);
        }
    }

    fn tell_near_spending(&mut self, now: Time, grant: &Grant) {
        let account = &mut self.accounts[grant.account.index()];
        let key = &mut self.keys[grant.key.index()];
        let (name, id) = (Arc::clone(&account.name), key.id.clone());
        let of_account = account.counting_grant(grant);
        let of_account = of_account.map(|meter| (Whose::Account(Arc::clone(&name)), meter));
        let of_key = key.meters.iter_mut().map(|meter| (Whose::Key(id.clone()), meter));
        let budget = grant.budget.map(|at| &mut self.budgets[at]);
        let of_tag = budget.into_iter().flat_map(|budget| {
            let Budget { tag, meters, .. } = budget;
            meters.iter_mut().map(|meter| (Whose::Tag(Arc::clone(tag)), meter))
        });
        for (whose, meter) in of_account.chain(of_key).chain(of_tag) {
            if let Some(share) = meter.gets_near(now) {
                let limit = Limit::clone(&meter.limit);
                let used_percent = (share * 100) >> 16;
                self.events.push(Event::BudgetNear { whose, limit, used_percent });
            }
        }
    }
}
