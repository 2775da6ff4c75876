//! Limits on spending: whether a request may be paid for.

use crate::{
    Exhausted,
    engine::{
        Engine,
        ask::Ask,
        ids::{BudgetIx, LaneIx},
        meter::Meter,
        room::Room,
        time::Time,
    },
    error::Reason,
    event::Event,
    limit::Metered,
};

impl Engine {
    /// The budget of a tag, if it has one.
    pub(crate) fn budget(&mut self, now: Time, tag: Option<&str>) -> Option<BudgetIx> {
        self.budgets.resolve(now, tag?)
    }

    /// Whether any limit counts money, so that requests need a price.
    pub(crate) fn limits_spending(&self) -> bool {
        self.limits_spending
    }

    /// Notes new limits. Once one of them has counted money, requests need a price.
    pub(in crate::engine) fn note_spending<'a>(
        &mut self,
        mut meters: impl Iterator<Item = &'a Meter>,
    ) {
        self.limits_spending |= meters.any(|meter| meter.limit.metered() == Metered::Spend);
    }

    /// The price of this model is unknown and money is limited. Announced once for each model.
    pub(crate) fn unpriced(&mut self, now: Time, lane: LaneIx) {
        let lane = &mut self.lanes[lane];
        if lane.unpriced.raise(now) {
            self.events.push(Event::Unpriced { model: lane.model.clone() });
        }
    }

    /// Why a request must not be sent now, whatever accounts have room. A request does not wait for
    /// money.
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
}
