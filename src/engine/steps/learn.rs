//! What requests and their answers teach of limits: that less is left than is counted, that a limit is another than was
//! declared, or that there is one at all.
//!
//! What is learnt is an account's for one model, at its seat in the lane. Limits that headers tell of the whole account
//! are kept at the account, and all models share them.

use std::time::Duration;

use crate::{
    Limit, Verdict,
    engine::{
        Engine,
        grant::Grant,
        ids::At,
        learn::{Elsewhere, Learner, Lesson, Observation, is_same_period},
        meter::{Meter, Report},
        room::Room,
        time::Time,
    },
    event::{Event, Whose},
    provider::LimitReading,
    verdict::{Place, Scope},
};

/// No limit has a larger amount.
const MOST: u64 = 1 << 50;

/// What a refusal without a hint has taught, in case that it was about the request and not about a limit.
#[derive(Clone, Debug)]
pub(crate) struct Taught {
    /// The place that rests for it.
    pub(crate) place: Place,
    pub(crate) at: At,
    pub(crate) then: Time,
    pub(in crate::engine) lesson: Box<Lesson>,
}

/// What is known of a refusal for its rate.
#[derive(Debug, Default)]
pub(in crate::engine) struct Refused {
    /// What was believed before, if it has taught anything.
    pub(in crate::engine) lesson: Option<Lesson>,
    /// Whether it is the account's own, and no sign of a wider limit: its limits are not known, or its pace is still
    /// being found.
    pub(in crate::engine) is_own: bool,
    /// When the next request is due, as far as that is learnt.
    pub(in crate::engine) wait: Option<Duration>,
}

impl Engine {
    /// A request is sent: what is learnt of its account counts it.
    #[inline]
    pub(in crate::engine) fn count_for_learning(&mut self, now: Time, grant: &mut Grant) {
        let account = &mut self.accounts[grant.account.index()];
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let is_known = !self.learns || seat.meters != 0;
        if account.told.is_none() && seat.learnt.is_none() && is_known {
            return;
        }
        if let Some(told) = &mut account.told {
            grant.entry = Some(told.take(now, &grant.reserved));
        }
        let is_unknown = seat.learnt.is_none() && account.told.is_none();
        if is_unknown && self.keys[grant.key.index()].meters.is_empty() {
            self.begin_learning(now, grant);
        }
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        grant.ticket = seat.learnt.as_mut().map(|learnt| learnt.take(now, &grant.reserved));
    }

    /// Takes in what a response tells about a limit. Headers are taken in before the verdict that they came with.
    ///
    /// They lower our own view of what is left of a declared limit, and never raise it. What they tell beyond the
    /// declared limits is learnt.
    pub(crate) fn read(&mut self, now: Time, grant: &mut Grant, reading: &LimitReading) {
        if reading.limit.is_some_and(|limit| limit == 0 || limit > MOST) {
            return;
        }
        let is_declared = self.lower(now, grant, reading);
        if self.learns && grant.counted {
            self.read_beyond(now, grant, reading, is_declared);
        }
    }

    /// Whether a limit was declared of which a response speaks.
    fn lower(&mut self, now: Time, grant: &Grant, reading: &LimitReading) -> bool {
        let Some(told) = told(grant, reading) else { return false };
        let way = self.accounts[grant.account.index()].round_trip;
        let (mut is_declared, mut sooner, mut is_watched) = (false, false, false);
        for meter in self.meters_of(grant) {
            is_watched |= meter.is_watched();
            if is_about(meter, reading) {
                is_declared = true;
                sooner |= meter.lower(now, &told, &way);
            }
        }
        if sooner {
            self.revive(grant.account);
        }
        if is_watched {
            self.announce_near_limits(now, grant);
        }
        is_declared
    }

    /// What goes beyond the declared limits. A limit that was declared with this amount is not learnt again, but
    /// what was learnt of it before is kept up to date.
    fn read_beyond(
        &mut self,
        now: Time,
        grant: &mut Grant,
        reading: &LimitReading,
        is_declared: bool,
    ) {
        let account = &mut self.accounts[grant.account.index()];
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let is_of_account = reading.scope == Scope::Account;
        let told_before = match is_of_account {
            true => account.told.as_ref().and_then(|told| told.told_before(reading)),
            false => seat.learnt.as_ref().and_then(|learnt| learnt.told_before(reading)),
        };
        if is_declared && told_before.is_none() || reading.remaining.is_none() {
            return;
        }
        if let Some(told) = told_before.filter(|told| reading.limit.is_some_and(|it| it != *told)) {
            account.restore_declared(told, reading.metered);
        }
        let before = account.quota(seat).learnt_room(now, &grant.reserved);
        let (sent, cost) = (grant.sent, grant.reserved);
        let (news, near) = if is_of_account {
            let told = account.told.get_or_insert_default();
            // It was sent before there was anything to count it.
            let entry = grant.entry.get_or_insert_with(|| told.take(sent, &cost));
            (told.read(now, entry, reading), told.near(now))
        } else {
            let new = || Box::new(Learner::new(now, self.initial_concurrency));
            let learnt = seat.learnt.get_or_insert_with(new);
            let ticket = grant.ticket.get_or_insert_with(|| learnt.take(sent, &cost));
            (learnt.read(now, ticket, reading), learnt.near(now))
        };
        let name = account.name.clone();
        self.is_room_sooner(now, grant, before);
        for belief in near {
            self.events.push(Event::NearLimit {
                whose: Whose::Account(name.clone()),
                limit: belief.limit,
                used_percent: (belief.used_share * 100.0).round() as u64,
                remaining: belief.left,
            });
        }
        if let Some(limit) = news {
            self.tell_learnt(now, grant, reading, limit);
        }
    }

    /// A limit has become known. One that was declared is corrected downward, and back up to what was declared.
    fn tell_learnt(&mut self, now: Time, grant: &Grant, reading: &LimitReading, limit: Limit) {
        let account = &mut self.accounts[grant.account.index()];
        let (way, name) = (account.round_trip, account.name.clone());
        if reading.scope == Scope::Account {
            for lane in self.lanes.iter_mut() {
                lane.seat_mut(grant.account).learnt.iter_mut().for_each(|learnt| learnt.know());
            }
        }
        let same = |meter: &&mut Meter| {
            meter.limit.metered() == limit.metered()
                && is_same_period(meter.limit.period(), limit.period())
        };
        let Some(meter) = account.counting_grant(grant).find(same) else {
            let model = self.lanes[grant.lane].model.clone();
            let model = model.filter(|_| reading.scope == Scope::Model);
            self.events.push(Event::LimitLearnt { account: name, model, limit });
            return;
        };
        let was = Limit::clone(&meter.limit);
        // A lower limit than the provider's is the user's choice.
        let amount = limit.amount().min(meter.declared.amount());
        if amount == was.amount() {
            return;
        }
        meter.set_amount(amount, was.burst.map(|burst| burst.min(amount)), &way);
        if let Some(told) = told(grant, reading) {
            meter.lower(now, &told, &way);
        }
        let declared = Limit { amount: meter.declared.amount(), ..was };
        let told = Limit::clone(&meter.limit);
        self.events.push(Event::LimitContradicted { account: name, declared, told });
        self.revive(grant.account);
    }

    /// Tells what is learnt of a request's account what happened to it.
    #[inline]
    pub(in crate::engine) fn observe(&mut self, now: Time, grant: &Grant, seen: Observation) {
        if grant.ticket.is_none() && grant.entry.is_none() {
            return;
        }
        let account = &mut self.accounts[grant.account.index()];
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let before = account.quota(seat).learnt_room(now, &grant.reserved);
        if let (Some(told), Some(entry)) = (&mut account.told, &grant.entry) {
            match seen {
                Observation::Accepted => told.accepted(),
                Observation::Settled { used } => told.settle(now, entry, &used),
                Observation::NotSent => told.give_back(now, entry),
                Observation::Ended | Observation::Refused { .. } => {}
            }
            if matches!(seen, Observation::Ended | Observation::NotSent) {
                told.ended(entry);
            }
        }
        if let (Some(learnt), Some(ticket)) = (&mut seat.learnt, &grant.ticket) {
            learnt.observe(now, ticket, seen);
        }
        self.is_room_sooner(now, grant, before);
    }

    /// A request was refused for its rate.
    pub(in crate::engine) fn learn_from_refusal(
        &mut self,
        now: Time,
        grant: &mut Grant,
        verdict: Verdict,
        retry_after: Option<Duration>,
    ) -> Refused {
        if !self.learns || !grant.counted {
            return Refused::default();
        }
        let account = &mut self.accounts[grant.account.index()];
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let of_account = account.told.as_mut().zip(grant.entry.as_ref());
        let is_told = of_account.is_some_and(|(told, entry)| told.refused(now, entry, None));
        let is_declared = seat.meters != 0 || !self.keys[grant.key.index()].meters.is_empty();
        // Limits that are known are missed by a little now and then.
        if seat.learnt.is_none() && (is_told || is_declared && !verdict.may_be_wider()) {
            let wait = wait(now, account.quota(seat).learnt_room(now, &grant.reserved));
            return Refused { wait: wait.filter(|_| is_told), ..Refused::default() };
        }
        let learnt = seat.learnt.get_or_insert_with(|| {
            let mut learnt = Learner::new(now, self.initial_concurrency);
            learnt.know();
            Box::new(learnt)
        });
        let (sent, cost) = (grant.sent, grant.reserved);
        let ticket = grant.ticket.get_or_insert_with(|| learnt.take(sent, &cost));
        let elsewhere = match (is_told, is_declared) {
            (true, _) => Elsewhere::Explained,
            (false, true) => Elsewhere::Declared,
            (false, false) => Elsewhere::Nothing,
        };
        let is_known = account.told.as_ref().is_some_and(|told| !told.is_empty());
        let was_known = is_known || learnt.knows_limits(is_declared);
        let was_paced = learnt.is_paced();
        let seen = Observation::Refused { retry_after, elsewhere };
        let lesson = learnt.observe(now, ticket, seen);
        let paced = learnt.paced(now).filter(|_| !was_paced);
        let is_own = was_paced || !was_known;
        let room = account.quota(seat).learnt_room(now, &grant.reserved);
        let wait = match wait(now, room) {
            None if is_own => Some(Duration::ZERO),
            wait => wait.filter(|_| is_own || is_told || !is_declared),
        };
        if let Some(belief) = paced {
            let (account, model) = (account.name.clone(), self.lanes[grant.lane].model.clone());
            self.events.push(match was_known {
                true => Event::RefusedWithinLimits { account, model },
                false => Event::LimitLearnt { account, model, limit: belief.limit },
            });
        }
        Refused { lesson, is_own, wait }
    }

    /// An account of which no limit is known begins with a few requests at once, and with the pace of accounts that
    /// are thought to be like it.
    #[cold]
    fn begin_learning(&mut self, now: Time, grant: &Grant) {
        let mut learnt = Learner::new(now, self.initial_concurrency);
        let lane = &self.lanes[grant.lane];
        let settled = || {
            self.sample().filter_map(|account| {
                let seat = lane.seat(account);
                seat.learnt.as_deref().filter(|learnt| seat.meters == 0 && learnt.is_settled())
            })
        };
        if let Some(first) = settled().next()
            && settled().all(|other| !first.is_unlike(other))
        {
            learnt.seed(now, first);
        }
        self.lanes[grant.lane].seat_mut(grant.account).learnt = Some(Box::new(learnt));
    }

    /// What was learnt has changed. If there is room sooner than before, that is looked at.
    fn is_room_sooner(&mut self, now: Time, grant: &Grant, before: Room) {
        if before <= Room::At(now) {
            return;
        }
        let seat = self.lanes[grant.lane].seat(grant.account);
        let quota = self.accounts[grant.account.index()].quota(seat);
        if quota.learnt_room(now, &grant.reserved) < before {
            self.revive(grant.account);
        }
    }

    /// Whether the limits of the key's account are unknown, for any model.
    #[cfg(feature = "retry")]
    pub(crate) fn is_pacing(&self, key: crate::engine::ids::KeyIx) -> bool {
        let account = self.keys[key.index()].account;
        let told = &self.accounts[account.index()].told;
        let is_known = told.as_ref().is_some_and(|told| !told.is_empty());
        self.lanes.iter().map(|lane| lane.seat(account)).any(|seat| {
            seat.learnt.as_ref().is_some_and(|learnt| {
                learnt.is_paced() || !is_known && !learnt.knows_limits(seat.meters != 0)
            })
        })
    }

    /// What a refusal has taught was about its request, and not about the account.
    pub(in crate::engine) fn unlearn(&mut self, at: At, lesson: &Lesson) {
        let seat = self.lanes[at.lane].seat_mut(at.account);
        seat.learnt.iter_mut().for_each(|learnt| learnt.take_back(lesson));
    }
}

fn told<'a>(grant: &'a Grant, reading: &LimitReading) -> Option<Report<'a>> {
    let (Some(_), Some(remaining)) = (reading.limit, reading.remaining) else { return None };
    Some(Report { remaining, reset: reading.reset, sent: grant.sent, cost: &grant.reserved })
}

/// Whether a response speaks of this limit: providers tell of daily limits under the names of those
/// per minute, but hardly ever with the same amount.
fn is_about(meter: &Meter, reading: &LimitReading) -> bool {
    meter.limit.metered() == reading.metered && Some(meter.limit.amount()) == reading.limit
}

fn wait(now: Time, room: Room) -> Option<Duration> {
    match room {
        Room::At(open) if open > now => Some(now.until(open)),
        _ => None,
    }
}
