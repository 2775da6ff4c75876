//! The line: joining, leaving, and being served.

use crate::{
    Exhausted,
    engine::{
        Engine,
        ask::Ask,
        grant::Grant,
        ids::{LaneIx, TenantIx, WaiterId},
        lane::Stall,
        line::{LOOK_BEHIND, Waiter},
        steps::choose::Passing,
        time::Time,
    },
    error::Reason,
};

impl Engine {
    /// Adds a request to the line, unless it is already clear that it cannot be served in time.
    pub(crate) fn line_up(&mut self, now: Time, ask: Ask, id: WaiterId) -> Result<(), Exhausted> {
        self.not_admitted(now, &ask);
        if let Some(refusal) = self.refusal(now, &ask) {
            return Err(refusal);
        }
        if self.waiting >= self.max_queued {
            self.make_place(now, ask.tenant);
        }
        self.tenants.joined(ask.tenant);
        let lane = &mut self.lanes[ask.lane];
        let behind = lane.line.join(Waiter { id, ask });
        if lane.stalled.is_some_and(|stall| behind <= stall.place) {
            lane.stalled = None;
        }
        self.waiting += 1;
        Ok(())
    }

    /// Removes a request from the line.
    pub(crate) fn leave(&mut self, ask: &Ask, id: WaiterId) {
        let lane = &mut self.lanes[ask.lane];
        if lane.line.leave(id, ask).is_some() {
            lane.stalled = None;
            self.waiting -= 1;
            self.tenants.left(ask.tenant);
        }
    }

    /// The tenant that has to give up a place for another one, if one has more than its share.
    pub(in crate::engine) fn crowding(&self, newcomer: TenantIx) -> Option<TenantIx> {
        let most = self.tenants.most_waiting()?;
        self.tenants.is_crowding(most, newcomer).then_some(most)
    }

    /// The line is full: the last request of the tenant that holds most of it leaves.
    fn make_place(&mut self, now: Time, newcomer: TenantIx) {
        let Some(crowding) = self.crowding(newcomer) else { return };
        let last = self.lanes.iter().filter_map(|lane| lane.line.last_of(crowding));
        let last = last.max_by_key(|waiter| waiter.ask.rank);
        let Some((id, ask)) = last.map(|waiter| (waiter.id, waiter.ask.clone())) else { return };
        self.leave(&ask, id);
        let wait = self.busy(now, &ask).retry_after();
        self.crowded_out.push((id, Exhausted::new(Reason::LineFull, wait)));
    }

    /// Serves the next waiting request, or rejects one that cannot be served any more. Call it
    /// after every event and at [`wake_at`](Self::wake_at), until it returns `None`.
    pub(crate) fn serve(&mut self, now: Time) -> Option<(WaiterId, Result<Grant, Exhausted>)> {
        if let Some((id, exhausted)) = self.crowded_out.pop() {
            return Some((id, Err(exhausted)));
        }
        if self.waiting == 0 {
            return None;
        }
        // Terminates: a lane that cannot be served is stalled until later.
        loop {
            let head = |&lane: &LaneIx| {
                let head = self.lanes[lane].line.head(&self.tenants);
                head.map(|(served, head)| (served, head.ask.rank))
            };
            let servable = self.lanes.all().filter(|&lane| self.is_servable(now, lane));
            let lane = servable.min_by_key(head)?;
            if let Some(outcome) = self.serve_lane(now, lane) {
                return Some(outcome);
            }
        }
    }

    fn is_servable(&self, now: Time, lane: LaneIx) -> bool {
        let lane = &self.lanes[lane];
        let stalled = lane.stalled.is_some_and(|stall| stall.until.is_none_or(|until| until > now));
        !lane.line.is_empty() && !stalled
    }

    /// Serves the first request that has room. The first request that is passed is not delayed: the
    /// account that will have room for it first is left to it.
    fn serve_lane(
        &mut self,
        now: Time,
        lane: LaneIx,
    ) -> Option<(WaiterId, Result<Grant, Exhausted>)> {
        // A request that joins within the looked-at places may pass, unless one ahead blocks the
        // whole line.
        let mut stall = Stall { until: None, place: LOOK_BEHIND };
        let mut passing: Option<Passing> = None;
        let places = self.lanes[lane].line.first(&self.tenants);
        for &place in places.as_slice() {
            let Some(waiter) = self.lanes[lane].line.get(place) else { break };
            let (id, ask) = (waiter.id, waiter.ask.clone());
            let forbidden = self.forbidden(now, &ask);
            let chosen = if forbidden.is_some() || self.latest_start(&ask) <= now {
                None
            } else {
                match self.choose(now, &ask, passing) {
                    Ok(chosen) => Some(chosen),
                    // The keys that could have served it are dead or refused it.
                    Err(_) if self.hopeless(now, &ask).is_some() => None,
                    Err(blocked) => {
                        stall.until = [stall.until, blocked.until].into_iter().flatten().min();
                        // While the provider gets only a few requests at once, none may pass.
                        let is_trusted =
                            self.provider.is_trusted() && self.lanes[lane].standing.is_trusted();
                        let may_pass = is_trusted || blocked.by_exclusion;
                        if !may_pass || self.lanes[lane].is_asleep() {
                            stall.place = place.behind;
                            break;
                        }
                        let first = blocked.first.filter(|_| !blocked.by_exclusion);
                        let passing = passing.get_or_insert_default();
                        passing.held = passing.held.or(first.map(|(_, account)| account));
                        continue;
                    }
                }
            };
            let granted = chosen.map(|(account, key)| self.grant(now, &ask, account, key, true));
            self.lanes[lane].line.take(place);
            self.waiting -= 1;
            self.tenants.left(ask.tenant);
            let why = || {
                let hopeless = forbidden.or_else(|| self.hopeless(now, &ask));
                hopeless.unwrap_or_else(|| self.busy(now, &ask))
            };
            return Some((id, granted.ok_or_else(why)));
        }
        self.lanes[lane].stalled = Some(stall);
        None
    }

    /// Whether [`serve`](Self::serve) has nothing to do, which is the usual case.
    pub(crate) fn has_nobody_to_serve(&self) -> bool {
        self.waiting == 0 && self.crowded_out.is_empty()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// When [`serve`](Self::serve) must be called next if nothing else happens.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        if self.waiting == 0 {
            return None;
        }
        let served = self.waiting_lanes().filter_map(|lane| lane.stalled?.until).min();
        // A request that waits for a key that expires must be rejected at that time.
        [served, self.expiries.next()].into_iter().flatten().min()
    }

    /// The request that will most likely be served then; its task holds the timer.
    pub(crate) fn next_in_line(&self) -> Option<WaiterId> {
        self.waiting_lanes()
            .min_by_key(|lane| {
                let until = lane.stalled.and_then(|stall| stall.until);
                (until.is_none(), until)
            })
            .and_then(|lane| lane.line.head(&self.tenants))
            .map(|(_, head)| head.id)
    }
}
