//! What a verdict changes: only what it is about.

use std::{sync::Arc, time::Duration};

use crate::{Limit, Scope, Verdict};

use super::{
    AccountIx, Engine, Event, Grant, Time,
    account::Life,
    learnt::{Lesson, News},
    pace::Rates,
    refusal::Refusal,
    standing::{self, Ladder, Progress},
    time::SECOND,
};

/// Panic is over when nobody had to be spared for so long.
const CALM: u64 = 10 * SECOND;

impl Engine {
    /// Takes in what a response says, and by which rule. What it says later goes before what it said
    /// first: a stream that was accepted may fail yet.
    pub(crate) fn judge(&mut self, now: Time, grant: &mut Grant, verdict: Verdict, rule: &str) {
        self.counters.count(verdict, grant.judged.replace(verdict));
        if verdict == Verdict::Accepted {
            return self.accepted(now, grant);
        }
        let key = &mut self.keys[grant.key.index()];
        let rule = Refusal::note(&mut key.refusal, now, verdict, rule);
        match verdict {
            Verdict::Accepted | Verdict::CallerFault => {}
            Verdict::RateLimited { retry_after, scope } => {
                let lesson = self.refused(now, grant, verdict);
                let hint = match lesson {
                    Lesson::Own { wait, .. } => retry_after.or(wait),
                    Lesson::Nothing => retry_after,
                };
                self.cool(now, grant, (verdict, rule), scope, hint, standing::RATE);
                // What is refused on the way to find a pace is the account's own.
                if lesson == Lesson::Nothing
                    && verdict.may_be_wider()
                    && self.alike.note(now, grant.account, self.order.len())
                {
                    self.brake(now, grant.sent, None, None);
                }
            }
            Verdict::QuotaExhausted { retry_after, scope } => {
                self.cool(now, grant, (verdict, rule), scope, retry_after, standing::QUOTA);
            }
            Verdict::KeyRejected => self.reject_key(grant, rule),
            Verdict::ModelRefused => self.refuse_model(grant, rule),
            Verdict::Overloaded { retry_after } => {
                self.brake(now, grant.sent, retry_after, Some(rule));
            }
            Verdict::Transient => self.failed(now, grant, (verdict, rule)),
        }
    }

    /// The head of an answer has come: so long it is to the provider and back.
    pub(crate) fn answered(&mut self, now: Time, grant: &Grant, processed: Option<Duration>) {
        let account = &mut self.accounts[grant.account.index()];
        if !account.way.note(grant.sent, now, processed) {
            return;
        }
        let way = account.way;
        account.meters.iter_mut().for_each(|meter| meter.set_margin(&way));
        for key in &account.keys {
            let meters = &mut self.keys[key.index()].meters;
            meters.iter_mut().for_each(|meter| meter.set_margin(&way));
        }
        for lane in self.lanes.iter_mut() {
            let learnt = lane.seat_mut(grant.account).learnt.iter_mut();
            learnt.flat_map(|learnt| &mut learnt.meters).for_each(|meter| meter.set_margin(&way));
        }
        self.revive(grant.account);
    }

    /// Whether the account of a key is one whose limits nobody knows, for any model.
    #[cfg(feature = "retry")]
    pub(crate) fn is_pacing(&self, key: super::KeyIx) -> bool {
        let account = self.keys[key.index()].account;
        let mut learnt = self.lanes.iter().filter_map(|lane| lane.seat(account).learnt.as_ref());
        learnt.any(|learnt| learnt.is_pacing())
    }

    fn accepted(&mut self, now: Time, grant: &Grant) {
        let lane = &mut self.lanes[grant.lane];
        let account = &mut self.accounts[grant.account.index()];
        account.failures.succeeded();
        if let Some(bond) = grant.bond {
            self.affinities.bind(now, bond, &account.name);
        }
        if let Some(learnt) = lane.seat_mut(grant.account).learnt.as_mut().filter(|_| grant.counted)
            && learnt.accepted(now, &grant.reserved, &account.way)
        {
            lane.revive(grant.account);
        }
        if self.panic.is_some_and(|spared| now.since(spared) >= CALM) {
            self.panic = None;
            self.events.push(Event::PanicEnded);
        }
        let of_seat = lane.seat_mut(grant.account).standing.succeeded(grant.sent);
        let of_account = account.standing.succeeded(grant.sent);
        if of_seat == Progress::Recovered || of_account == Progress::Recovered {
            let model = lane.model.clone().filter(|_| of_account != Progress::Recovered);
            self.events.push(Event::Recovered { account: account.name.clone(), model });
        }
        if of_seat != Progress::Nothing || of_account != Progress::Nothing {
            self.revive(grant.account);
        }
        let of_provider = self.provider.succeeded(grant.sent);
        if of_provider == Progress::Recovered {
            self.events.push(Event::ProviderRecovered);
        }
        if of_provider != Progress::Nothing {
            self.unstall();
        }
    }

    /// What a refusal teaches about the account's pace.
    fn refused(&mut self, now: Time, grant: &Grant, verdict: Verdict) -> Lesson {
        let lane = &mut self.lanes[grant.lane];
        let account = &self.accounts[grant.account.index()];
        let seat = lane.seat_mut(grant.account);
        // Limits that are known are missed by a little now and then.
        let is_near = seat.learnt.is_none() && !verdict.may_be_wider();
        if !self.learns || !grant.counted || is_near {
            return Lesson::Nothing;
        }
        let declared = Rates::of_limits(&account.counting(seat.meters).map(|meter| &*meter.limit));
        let learnt = seat.learnt.get_or_insert_default();
        let lesson = learnt.refused(now, grant, declared, self.wall, &account.way);
        let (account, model) = (account.name.clone(), lane.model.clone());
        match lesson {
            Lesson::Own { news: News::Contradicted, .. } => {
                self.events.push(Event::RefusedWithinLimits { account, model });
            }
            Lesson::Own { news: News::Found, .. } => {
                let seat = self.lanes[grant.lane].seat(grant.account);
                let learnt = seat.learnt.iter().flat_map(|learnt| &learnt.meters);
                let limit = learnt.map(|meter| Limit::clone(&meter.limit)).next();
                let event = |limit| Event::LimitLearnt { account, model, limit };
                self.events.extend(limit.map(event));
            }
            Lesson::Own { news: News::None, .. } | Lesson::Nothing => {}
        }
        lesson
    }

    fn cool(
        &mut self,
        now: Time,
        grant: &Grant,
        (verdict, rule): (Verdict, Arc<str>),
        scope: Scope,
        hint: Option<Duration>,
        ladder: Ladder,
    ) {
        let hint = hint.map(|hint| hint.min(self.longest_cooldown));
        let lane = &mut self.lanes[grant.lane];
        let account = &mut self.accounts[grant.account.index()];
        let (standing, model) = match scope {
            Scope::Model => (&mut lane.seat_mut(grant.account).standing, true),
            Scope::Account => (&mut account.standing, false),
        };
        if standing.cool(now, grant.sent, hint, ladder, &mut self.rng) {
            let wait = now.until(standing.until());
            let model = lane.model.clone().filter(|_| model);
            let account = account.name.clone();
            self.events.push(Event::Cooling { account, model, verdict, rule, wait });
        }
        // Whoever waited for this probe's end now waits for a time.
        self.revive(grant.account);
    }

    fn reject_key(&mut self, grant: &Grant, rule: Arc<str>) {
        let key = &mut self.keys[grant.key.index()];
        // A refusal of the secret that it had before says nothing about the one that it has now.
        if key.life != Life::Good || key.secret != grant.secret {
            return;
        }
        key.life = Life::Rejected;
        // A dead key is out everywhere; what one model said of it no longer counts.
        self.lanes.iter_mut().for_each(|lane| lane.refused.retain(|refused| *refused != grant.key));
        self.live_keys -= 1;
        self.events.push(Event::KeyRejected {
            key: key.id.clone(),
            account: self.accounts[key.account.index()].name.clone(),
            rule,
            live: self.live_keys,
            total: self.total_keys,
        });
        self.unstall();
    }

    fn refuse_model(&mut self, grant: &Grant, rule: Arc<str>) {
        let is_old = self.keys[grant.key.index()].secret != grant.secret;
        if is_old || !self.is_usable(grant.lane, grant.key) {
            return;
        }
        let lane = &mut self.lanes[grant.lane];
        lane.refused.push(grant.key);
        let key = self.keys[grant.key.index()].id.clone();
        self.events.push(Event::ModelRefused { key, model: lane.model.clone(), rule });
        lane.stalled = None;
    }

    /// Everybody waits, for requests sent at `sent` have shown that it is not the accounts.
    pub(crate) fn brake(
        &mut self,
        now: Time,
        sent: Time,
        hint: Option<Duration>,
        rule: Option<Arc<str>>,
    ) {
        let ladder = standing::OVERLOAD;
        let hint = hint.map(|hint| hint.min(self.longest_cooldown));
        if self.provider.cool(now, sent, hint, ladder, &mut self.rng) {
            let wait = now.until(self.provider.until());
            self.events.push(Event::Overloaded { wait, rule });
        }
        self.unstall();
    }

    fn failed(&mut self, now: Time, grant: &Grant, told: (Verdict, Arc<str>)) {
        if !self.accounts[grant.account.index()].failures.failed() {
            return;
        }
        let (resting, total) = self.resting_beside(now, grant.account);
        if 2 * (resting + 1) <= total {
            self.cool(now, grant, told, Scope::Account, None, standing::FAILURE);
        } else if self.panic.replace(now).is_none() {
            self.events.push(Event::PanicBegan { resting, total: self.order.len() });
        }
    }

    /// How many other accounts are out of use, and of how many. Never more than half of the accounts
    /// rest for failures nobody is proven to blame for: if most fail, it is not the accounts.
    fn resting_beside(&self, now: Time, account: AccountIx) -> (usize, usize) {
        let looked_at = || self.sample();
        let others = looked_at().filter(|other| *other != account);
        let resting =
            others.filter(|other| self.accounts[other.index()].standing.is_troubled(now)).count();
        (resting, looked_at().count())
    }
}
