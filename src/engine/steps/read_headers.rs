//! What response headers teach: less is left than counted, a limit differs from its declaration, or
//! there is a limit that was not declared.

use std::time::Duration;

use crate::{
    Limit,
    engine::{
        Engine,
        grant::Grant,
        ids::MAX_LIMITS,
        learn::period,
        meter::{Meter, Report, Source, round_trip::RoundTrip},
        time::Time,
    },
    event::Event,
    limit::Window as Edges,
    provider::{LimitReading, Refill},
    verdict::Scope,
};

/// No provider has a larger limit.
const MAX_AMOUNT: u64 = 1 << 50;

impl Engine {
    /// Applies what a response reports about a limit.
    ///
    /// It can lower what is left of the same limit, and never raises it. A reported limit that is
    /// lower than the declared one for the same period is believed. A limit that was not declared
    /// is kept from now on.
    pub(crate) fn read(&mut self, now: Time, grant: &Grant, reading: &LimitReading) {
        let (Some(amount), Some(remaining)) = (reading.limit, reading.remaining) else { return };
        if amount == 0 || amount > MAX_AMOUNT {
            return;
        }
        let report =
            Report { remaining, reset: reading.reset, sent: grant.sent, cost: &grant.reserved };
        let round_trip = self.accounts[grant.account.index()].round_trip;
        let (mut is_known, mut sooner, wall) = (false, false, self.wall);
        for meter in self.meters_of(grant).filter(|meter| is_about(meter, reading)) {
            is_known = true;
            if let Some(window) = window_instead(meter, reading) {
                let since = meter.since;
                *meter =
                    reported_meter(now, &window, &report, wall, &round_trip).beginning_with(since);
                sooner = true;
            } else {
                sooner |= meter.lower(now, &report, &round_trip);
            }
        }
        if !is_known && self.learns && grant.counted {
            sooner |= self.learn(now, grant, reading, amount, &report);
        }
        if sooner {
            self.revive(grant.account);
        }
        if self.meters_of(grant).any(|meter| meter.is_watched()) {
            self.announce_near_limits(now, grant);
        }
    }

    /// Learns from a reported limit. Returns whether there is more room now.
    fn learn(
        &mut self,
        now: Time,
        grant: &Grant,
        reading: &LimitReading,
        amount: u64,
        report: &Report<'_>,
    ) -> bool {
        let Some(period) = period::of(reading) else { return false };
        let account = &mut self.accounts[grant.account.index()];
        let (round_trip, name) = (account.round_trip, account.name.clone());
        let same = |meter: &&mut Meter| {
            meter.limit.metered() == reading.metered && is_period(meter.limit.period(), period)
        };
        if let Some(meter) = account.counting_grant(grant).find(same) {
            let most = match &meter.source {
                Source::Declared(limit) => limit.amount(),
                _ => MAX_AMOUNT,
            };
            // The user chose a limit below the provider's.
            if amount >= meter.limit.amount() && meter.limit.amount() == most {
                return false;
            }
            let was = Limit::clone(&meter.limit);
            let amount = amount.min(most);
            meter.set_amount(amount, was.burst.map(|burst| burst.min(amount)), &round_trip);
            meter.lower(now, report, &round_trip);
            let limit = Limit::clone(&meter.limit);
            self.events.push(match meter.source {
                Source::Declared(_) => {
                    let declared = Limit { amount: most, ..was };
                    Event::LimitContradicted { account: name, declared, told: limit }
                }
                _ => Event::LimitLearnt { account: name, model: None, limit },
            });
            return true;
        }
        let limit = limit_of(reading, amount, period);
        // Nothing was counted so far. The provider may not have seen the first requests under way
        // yet.
        let unseen = account.in_flight.saturating_sub(1).min(self.initial_concurrency);
        let unseen = unseen.saturating_mul(report.cost.of(reading.metered));
        let report = Report { remaining: report.remaining.saturating_sub(unseen), ..*report };
        let found = Found { limit, is_guess: reading.period.is_none() };
        match reading.scope {
            Scope::Account => self.learn_of_account(now, grant, found, &report),
            Scope::Model => self.learn_of_model(now, grant, found, &report),
        }
        true
    }

    fn learn_of_model(&mut self, now: Time, grant: &Grant, found: Found, report: &Report<'_>) {
        let account = &self.accounts[grant.account.index()];
        let lane = &mut self.lanes[grant.lane];
        let model = lane.model.clone();
        let learnt = lane.seat_mut(grant.account).learnt.get_or_insert_default();
        learnt.know();
        let round_trip = &account.round_trip;
        let Found { limit, .. } = &found;
        match learnt.meters.iter_mut().find(|meter| found.replaces(meter)) {
            Some(meter) if meter.limit.period() == limit.period() => {
                meter.set_amount(limit.amount(), None, round_trip);
                meter.lower(now, report, round_trip);
            }
            // The window is longer than assumed.
            Some(meter) => *meter = reported_meter(now, limit, report, self.wall, round_trip),
            None => learnt.add(reported_meter(now, limit, report, self.wall, round_trip)),
        }
        let (account, limit) = (account.name.clone(), found.limit);
        self.events.push(Event::LimitLearnt { account, model, limit });
    }

    fn learn_of_account(&mut self, now: Time, grant: &Grant, found: Found, report: &Report<'_>) {
        let account = &mut self.accounts[grant.account.index()];
        if account.meters.len() >= MAX_LIMITS {
            return;
        }
        let meter = reported_meter(now, &found.limit, report, self.wall, &account.round_trip);
        let old = account.meters.iter().position(|meter| found.replaces(meter));
        let place = old.unwrap_or(account.meters.len());
        match account.meters.get_mut(place) {
            Some(old) => *old = meter,
            None => account.meters.push(meter),
        }
        let (account, limit) = (account.name.clone(), found.limit);
        self.events.push(Event::LimitLearnt { account, model: None, limit });
        for lane in self.lanes.iter_mut() {
            let seat = lane.seat_mut(grant.account);
            seat.meters |= 1 << place;
            seat.learnt.iter_mut().for_each(|learnt| learnt.know());
        }
    }
}

/// A limit that was not declared.
struct Found {
    limit: Limit,
    /// Whether its period is a guess.
    is_guess: bool,
}

impl Found {
    /// Whether it replaces an earlier learned limit: a window may be longer than guessed.
    fn replaces(&self, meter: &Meter) -> bool {
        let may_differ = self.is_guess && meter.limit.window != Edges::Rolling;
        meter.source == Source::Reported
            && meter.limit.metered() == self.limit.metered()
            && meter.limit.window == self.limit.window
            && (may_differ || meter.limit.period() == self.limit.period())
    }
}

/// Whether a response is about this limit. Some providers report daily limits under the names of
/// those per minute, but rarely with the same amount.
fn is_about(meter: &Meter, reading: &LimitReading) -> bool {
    let lasts_longer = meter.source == Source::Reported
        && meter.limit.window != Edges::Rolling
        && reading.reset > Some(meter.limit.period() + Duration::from_secs(1));
    meter.limit.metered() == reading.metered
        && Some(meter.limit.amount()) == reading.limit
        && meter.source != Source::Paced
        && !lasts_longer
}

/// The fixed window that the figures show, in place of a limit that was taken for a rolling one.
fn window_instead(meter: &Meter, reading: &LimitReading) -> Option<Limit> {
    let is_rolling = meter.source == Source::Reported && meter.limit.window == Edges::Rolling;
    if !is_rolling || !period::contradicts(reading, meter.limit.period()) {
        return None;
    }
    let period = period::at_least(reading.reset?)?;
    Some(Limit { period, ..Limit::clone(&meter.limit) }.fixed())
}

fn is_period(one: Duration, other: Duration) -> bool {
    one.max(other) < one.min(other).mul_f32(1.1)
}

fn limit_of(reading: &LimitReading, amount: u64, period: Duration) -> Limit {
    let window = match reading.refill {
        Refill::Rolling => Edges::Rolling,
        Refill::Fixed => Edges::Fixed { zone: None },
    };
    Limit { metered: reading.metered, amount, period, burst: None, window, models: None }
}

fn reported_meter(
    now: Time,
    limit: &Limit,
    report: &Report<'_>,
    wall: jiff::Timestamp,
    round_trip: &RoundTrip,
) -> Meter {
    let mut meter = Meter::learnt(limit.clone(), Source::Reported, wall, now, round_trip);
    meter.lower(now, report, round_trip);
    // The used units are also gone from the burst.
    meter.use_up(now, limit.amount().saturating_sub(report.remaining));
    meter
}
