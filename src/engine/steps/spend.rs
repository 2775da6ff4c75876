//! Limits on spending: whether a request may be paid for, and telling before a limit is reached.

use std::sync::Arc;

use crate::{
    Exhausted, Limit, Reason,
    engine::{
        Engine,
        ask::Ask,
        budget::Budget,
        grant::Grant,
        ids::{BudgetIx, LaneIx},
        meter::Meter,
        room::Room,
        time::Time,
    },
    event::{Event, Whose},
    limit::Metered,
};

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
    pub(in crate::engine) fn note_spending<'a>(
        &mut self,
        mut meters: impl Iterator<Item = &'a Meter>,
    ) {
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
    pub(in crate::engine) fn forbidden(&self, now: Time, ask: &Ask) -> Option<Exhausted> {
        if ask.is_unpriced && self.budgets.refuse_unpriced() {
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
    pub(in crate::engine) fn tell_near_budgets(&mut self, now: Time, grant: &Grant) {
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
