//! Events that warn an operator before callers notice a problem, once when it begins and once when
//! it ends.

use std::sync::Arc;

use crate::{
    Limit,
    engine::{
        Engine,
        ask::Ask,
        grant::Grant,
        roster::account::Key,
        time::{SECOND, Time},
    },
    event::{Event, Whose},
};

/// The pool is no longer exhausted after this time without a request that found it so.
const CALM: u64 = 10 * SECOND;

impl Engine {
    /// Announces the limits that count a request and are nearly reached.
    pub(in crate::engine) fn announce_near_limits(&mut self, now: Time, grant: &Grant) {
        let account = &mut self.accounts[grant.account.index()];
        let name = Arc::clone(&account.name);
        let Key { id, meters, .. } = &mut self.keys[grant.key.index()];
        let of_account =
            account.counting_grant(grant).map(|meter| (Whose::Account(Arc::clone(&name)), meter));
        let of_key = meters.iter_mut().map(|meter| (Whose::Key(id.clone()), meter));
        let of_tag = grant.budget.and_then(|at| self.budgets.tagged(at));
        let of_tag = of_tag.into_iter().flat_map(|(tag, meters)| {
            meters.iter_mut().map(move |meter| (Whose::Tag(Arc::clone(&tag)), meter))
        });
        for (whose, meter) in of_account.chain(of_key).chain(of_tag) {
            if meter.gets_near(now) {
                let limit = Limit::clone(&meter.limit);
                let used_percent = (meter.used_share(now) * 100 + (1 << 15)) >> 16;
                let remaining = meter.remaining(now);
                self.events.push(Event::NearLimit { whose, limit, used_percent, remaining });
            }
        }
    }

    /// A request was not admitted. If no account is ready for any request of its lane, an event
    /// says so once.
    pub(in crate::engine) fn not_admitted(&mut self, now: Time, ask: &Ask) {
        let lane = &self.lanes[ask.lane];
        if !lane.is_asleep() {
            return;
        }
        let model = lane.model.clone();
        if self.exhausted.raise(now) {
            // The forecast is for any such request, with all keys.
            let any = Ask { excluded: Vec::new(), ..ask.clone() };
            let wait = self.forecast(now, &any).map(|at| now.until(at));
            self.events.push(Event::Exhausted { model, wait });
        }
    }

    /// A request was admitted at once.
    pub(in crate::engine) fn admitted_at_once(&mut self, now: Time) {
        if self.exhausted.lower_after(now, CALM) {
            self.events.push(Event::ExhaustionEnded);
        }
    }
}
