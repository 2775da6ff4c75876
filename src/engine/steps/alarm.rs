//! What an operator is told before callers notice, and only when it begins and ends.

use crate::{
    Limit,
    engine::{
        Engine,
        ask::Ask,
        grant::Grant,
        roster::account::Key,
        time::{SECOND, Time},
    },
    event::Event,
};

/// So long nobody must have found the pool exhausted before that is over.
const CALM: u64 = 10 * SECOND;

impl Engine {
    /// Little is left of a limit that counts a request.
    pub(in crate::engine) fn tell_near_limits(&mut self, now: Time, grant: &Grant) {
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let learnt = seat.learnt.iter_mut().flat_map(|learnt| &mut learnt.meters);
        let account = &mut self.accounts[grant.account.index()];
        let name = account.name.clone();
        let Key { id, meters, .. } = &mut self.keys[grant.key.index()];
        let of_account = account.counting_grant(grant).chain(learnt).map(|meter| (None, meter));
        let of_key = meters.iter_mut().map(|meter| (Some(&*id), meter));
        for (key, meter) in of_account.chain(of_key).filter(|(_, meter)| meter.is_news()) {
            meter.tell();
            self.events.push(Event::NearLimit {
                account: name.clone(),
                key: key.cloned(),
                limit: Limit::clone(&meter.limit),
                remaining: meter.remaining(now),
            });
        }
    }

    /// A request was not admitted. If nobody is left for any such request, that is told once.
    pub(in crate::engine) fn held_up(&mut self, now: Time, ask: &Ask) {
        let lane = &self.lanes[ask.lane];
        if !lane.is_asleep() {
            return;
        }
        let model = lane.model.clone();
        if self.exhausted.replace(now).is_none() {
            // For any such request, whatever keys this one has tried already.
            let any = Ask { excluded: Vec::new(), ..ask.clone() };
            let wait = self.forecast(now, &any).map(|at| now.until(at));
            self.events.push(Event::Exhausted { model, wait });
        }
    }

    /// A request was admitted at once.
    pub(in crate::engine) fn went_through(&mut self, now: Time) {
        if self.exhausted.is_some_and(|last| now.since(last) >= CALM) {
            self.exhausted = None;
            self.events.push(Event::ExhaustionEnded);
        }
    }
}
