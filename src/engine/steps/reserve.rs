//! Reserves the demand of one request, settles what it used, and ends the reservation.

use crate::{
    Verdict,
    engine::{
        Engine,
        ask::{Ask, Cost},
        grant::{Grant, Reserved},
        ids::{AccountIx, At, KeyIx},
        learn::Observation,
        meter::Meter,
        time::Time,
    },
    event::Event,
    usage::Usage,
};

impl Engine {
    /// Reserves a demand on all meters that count it.
    pub(in crate::engine) fn grant(
        &mut self,
        now: Time,
        ask: &Ask,
        account: AccountIx,
        key: KeyIx,
        counted: bool,
    ) -> Grant {
        let at = At { account, key, lane: ask.lane, operation: ask.operation };
        let roles = self.sending(now, at);
        self.opinions.earn();
        let mut grant = self.spares.grant(Reserved {
            account,
            key,
            lane: ask.lane,
            operation: ask.operation,
            generates: ask.generates,
            tenant: ask.tenant,
            meters: self.lanes[ask.lane].seat(account).meters,
            epoch: self.epoch,
            is_charged: self.limits_spending,
            secret: self.keys[key.index()].secret,
            budget: ask.budget,
            bond: ask.bond,
            sent: now,
            reserved: ask.cost,
            prior: ask.prior,
            roles,
            is_doubtful: ask.is_doubtful(),
            is_suspect: ask.before.is_suspect,
            counted,
            settled: false,
            judged: None,
            ticket: None,
            entry: None,
            model: self.lanes[ask.lane].model.clone(),
            tag: ask.tag.clone(),
        });
        if counted {
            if self.waiting > 0 {
                let spans = self.meters_of(&grant).map(|meter| meter.span(&ask.cost));
                let worth = spans.max().unwrap_or(0).max(self.learnt_span(&grant));
                self.tenants.serve(ask.tenant, worth);
                // With several tenants in line, another request may be first now.
                let shared = self.lanes.iter_mut().filter(|lane| lane.line.is_shared());
                shared.for_each(|lane| lane.stalled = None);
            }
            let round_trip = self.accounts[account.index()].round_trip;
            let mut is_watched = false;
            for meter in self.meters_of(&grant) {
                meter.take(now, &ask.cost, &round_trip);
                is_watched |= meter.is_watched();
            }
            if is_watched {
                self.announce_near_limits(now, &grant);
            }
            self.count_for_learning(now, &mut grant);
        }
        self.budgets.sent(grant.budget);
        if let Some(bond) = ask.bond {
            self.affinities.sent(bond, account);
        }
        self.lanes[ask.lane].in_flight += 1;
        let state = &mut self.accounts[account.index()];
        state.served += 1;
        state.in_flight += 1;
        let state = &mut self.keys[key.index()];
        state.served += 1;
        state.load += state.turn;
        state.in_flight += 1;
        grant
    }

    /// Moves the meters from the reserved cost to the used cost. Only the first call counts.
    /// Without a call, the reserved cost stays charged.
    pub(crate) fn settle(&mut self, now: Time, grant: &mut Grant, usage: &Usage) {
        if std::mem::replace(&mut grant.settled, true) {
            return;
        }
        let used = Cost {
            input: usage.all_input(),
            output: usage.all_output(),
            spend: usage.nano_dollars.unwrap_or(grant.reserved.spend),
        };
        let (mut freed, mut is_watched) = (false, false);
        for meter in self.meters_of(grant) {
            freed |= meter.settle(now, grant.sent, &grant.reserved, &used);
            is_watched |= meter.is_watched();
        }
        if is_watched {
            self.announce_near_limits(now, grant);
        }
        // What was refused for its rate costs nothing, as far as that was learnt from.
        if !matches!(grant.judged, Some(Verdict::RateLimited { .. })) {
            self.observe(now, grant, Observation::Settled { used });
        }
        if freed {
            self.revive(grant.account);
        }
    }

    /// An answer reported figures that cannot be true.
    pub(crate) fn usage_ignored(&mut self, grant: &Grant, tokens: u64) {
        let key = self.keys[grant.key.index()].id.clone();
        let account = self.accounts[grant.account.index()].name.clone();
        self.events.push(Event::UsageIgnored { key, account, tokens });
    }

    /// A request was refused or got no answer, so it costs no money. What it used of other limits
    /// is unknown and stays charged.
    pub(crate) fn settle_unpaid(&mut self, now: Time, grant: &mut Grant) {
        let Cost { input, output, .. } = grant.reserved;
        self.settle(now, grant, &Usage::tokens(input, output).nano_dollars(0));
    }

    /// An answer reported its real usage: corrects the estimates for its model.
    pub(crate) fn learn_needs(&mut self, grant: &Grant, usage: &Usage) {
        self.lanes[grant.lane].needs.note(&grant.prior, usage);
    }

    /// The request has ended: frees its concurrency.
    pub(crate) fn end(&mut self, now: Time, grant: Grant) {
        let mut freed = false;
        for meter in self.meters_of(&grant) {
            freed |= meter.release();
        }
        self.observe(now, &grant, Observation::Ended);
        self.budgets.ended(grant.budget);
        self.accounts[grant.account.index()].in_flight -= 1;
        self.keys[grant.key.index()].in_flight -= 1;
        let lane = &mut self.lanes[grant.lane];
        lane.in_flight -= 1;
        if grant.judged == Some(Verdict::Accepted) {
            lane.answer_time.note(now.since(grant.sent));
        }
        let Reserved { account, key, .. } = *grant;
        if freed {
            self.revive(account);
        }
        self.ended(&grant);
        self.let_go(key);
        self.spares.keep(grant);
    }

    /// The request was never sent: gives back all that it reserved.
    pub(crate) fn refund(&mut self, now: Time, mut grant: Grant) {
        if !std::mem::replace(&mut grant.settled, true) {
            for meter in self.meters_of(&grant) {
                meter.refund(now, grant.sent, &grant.reserved);
            }
            self.observe(now, &grant, Observation::NotSent);
            (grant.ticket, grant.entry) = (None, None);
            self.accounts[grant.account.index()].served -= 1;
            let key = &mut self.keys[grant.key.index()];
            key.served -= 1;
            key.load = key.load.saturating_sub(key.turn);
            self.revive(grant.account);
        }
        self.end(now, grant);
    }

    /// The meters that a request is counted by: those of its account for its model, its key's, and its tag's.
    pub(in crate::engine) fn meters_of(
        &mut self,
        grant: &Grant,
    ) -> impl Iterator<Item = &mut Meter> {
        let account = self.accounts[grant.account.index()].counting_grant(grant);
        let key = self.keys[grant.key.index()].meters.iter_mut();
        let key = key.filter(|meter| meter.since <= grant.epoch);
        let budget = grant.budget.map(|at| &mut self.budgets[at].meters);
        account.chain(key).chain(budget.into_iter().flatten()).filter(|_| grant.counted)
    }

    /// The time in which as much comes back as a request takes, as far as limits were learnt, in nanoseconds.
    fn learnt_span(&self, grant: &Grant) -> u64 {
        let told = self.accounts[grant.account.index()].told.iter();
        let learnt = self.lanes[grant.lane].seat(grant.account).learnt.iter();
        let told = told.map(|told| told.span(&grant.reserved));
        told.chain(learnt.map(|learnt| learnt.span(&grant.reserved))).max().unwrap_or(0)
    }

    /// An account changed for the better: every lane looks at it again.
    pub(in crate::engine) fn revive(&mut self, account: AccountIx) {
        #[cfg(feature = "balance")]
        self.opened.account(account);
        self.lanes.iter_mut().for_each(|lane| lane.revive(account));
    }

    /// The provider changed for the better: every lane looks again.
    pub(in crate::engine) fn unstall(&mut self) {
        #[cfg(feature = "balance")]
        self.opened.all();
        self.lanes.iter_mut().for_each(|lane| lane.stalled = None);
    }
}
