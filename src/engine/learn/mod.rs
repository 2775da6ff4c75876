//! What is learned about an account's limits for one model, beyond the declared ones.
//!
//! [`Learnt`] holds the limits that headers reported and the pace that refusals show ([`pace`]).
//! [`period`] infers the period of a reported limit.

pub(crate) mod pace;
pub(crate) mod period;

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        grant::Grant,
        ids::At,
        learn::pace::{Pace, Rates},
        meter::{Meter, Source, round_trip::RoundTrip},
        time::{SECOND, Time},
    },
    limit::Metered,
    verdict::Place,
};

/// No provider reports more limits for one model.
const MAX_REPORTED: usize = 8;
/// The longest time until an account that refuses again and again gets another request.
const MAX_WAIT: u64 = 60 * SECOND;
/// With this many successful requests at once there is no limit to find.
const UNLIMITED_AT: u64 = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Learnt {
    pub(crate) meters: Vec<Meter>,
    pace: Pace,
    /// How many lessons refusals gave.
    lessons: u32,
}

/// What a refusal without a hint taught, kept in case the refusal was about the request and not
/// about a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taught {
    /// The place that rests for it.
    pub(crate) place: Place,
    pub(crate) at: At,
    pub(crate) then: Time,
    before: Pace,
    lessons: u32,
}

/// What a refusal taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// Nothing: limits are known, and a single refusal may have any reason.
    Nothing,
    /// The pace was found or corrected. The next request is due after `wait`, where known.
    Own { wait: Option<Duration>, news: News },
}

/// What an event says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    /// A rate of an account without known limits.
    Found,
    /// A rate below the known limits of an account.
    Contradicted,
}

impl Learnt {
    /// Nothing is known: allows `most` requests at once, and one more for each success.
    pub(crate) fn start(now: Time, most: u64, wall: Timestamp, round_trip: &RoundTrip) -> Self {
        let limit = Limit::concurrent(most);
        let meter = Meter::learnt(limit, Source::Start, wall, now, round_trip);
        Self { meters: vec![meter], pace: Pace::start(now), lessons: 0 }
    }

    /// The provider reported a limit, so the search for others is less urgent.
    pub(crate) fn know(&mut self) {
        self.meters.retain(|meter| meter.source != Source::Start);
        self.pace.watch();
    }

    /// Whether only accepted and refused requests show the limits.
    #[cfg(feature = "retry")]
    pub(crate) fn is_pacing(&self) -> bool {
        !self.pace.knows_limits()
    }

    /// Adds a reported limit if there is room for one more.
    pub(crate) fn add(&mut self, meter: Meter) {
        if self.meters.len() < MAX_REPORTED {
            self.meters.push(meter);
        }
    }

    /// A request was accepted. Returns whether there is more room now.
    pub(crate) fn accepted(&mut self, now: Time, cost: &Cost, round_trip: &RoundTrip) -> bool {
        let is_used =
            |meter: &Meter| meter.source == Source::Paced && meter.used_share(now) >= 1 << 15;
        let is_used = self.meters.iter().any(is_used);
        self.pace.accepted(cost, is_used);
        let raised = if is_used { self.pace.raise(now) } else { None };
        let mut more = false;
        for meter in &mut self.meters {
            let amount = match (&meter.source, raised) {
                (Source::Start, _) => meter.limit.amount() + 1,
                (Source::Paced, Some(rates)) => rates.of(meter.limit.metered()),
                _ => continue,
            };
            meter.set_amount(amount, meter.limit.burst.map(|_| Rates::burst(amount)), round_trip);
            more = true;
        }
        let is_paced = self.pace.is_paced();
        self.meters.retain(|meter| match meter.source {
            Source::Start => meter.limit.amount() < UNLIMITED_AT,
            Source::Paced => is_paced,
            Source::Reported | Source::Declared(_) => true,
        });
        more
    }

    /// An account refused a request for its rate.
    pub(crate) fn refused(
        &mut self,
        now: Time,
        grant: &Grant,
        declared: Rates,
        wall: Timestamp,
        round_trip: &RoundTrip,
    ) -> Lesson {
        let was_known = self.pace.knows_limits();
        let was_paced = self.pace.is_paced();
        let misses = self.pace.missed(now, grant.sent);
        if self.pace.refused(now, grant.sent, declared) {
            self.set_pace(now, wall, round_trip);
        } else if self.pace.knows_limits() {
            return Lesson::Nothing;
        }
        self.lessons += 1;
        let news = match (was_known, was_paced, self.pace.is_paced()) {
            (true, _, true) => News::Contradicted,
            (false, false, true) => News::Found,
            _ => News::None,
        };
        // After repeated refusals the account is left alone for longer each time.
        let paced = self.meters.iter().filter(|meter| meter.source == Source::Paced);
        let span = paced.map(|meter| meter.span(&grant.reserved)).max();
        let wait = span.map(|span| (span.min(SECOND) << misses.min(7)) / 2);
        Lesson::Own { wait: wait.map(|wait| Duration::from_nanos(wait.min(MAX_WAIT))), news }
    }

    /// What is known now, to restore it if the lesson turns out to be wrong.
    pub(crate) fn before_lesson(&self, now: Time, grant: &Grant, place: Place) -> Taught {
        let lessons = self.lessons + 1;
        Taught { place, at: grant.at(), then: now, before: self.pace, lessons }
    }

    /// Takes the last lesson back. Does nothing if another lesson has come since.
    pub(crate) fn take_back(
        &mut self,
        now: Time,
        taught: &Taught,
        wall: Timestamp,
        round_trip: &RoundTrip,
    ) {
        if self.lessons != taught.lessons {
            return;
        }
        self.pace = taught.before;
        match self.pace.is_paced() {
            true => self.set_pace(now, wall, round_trip),
            false => self.meters.retain(|meter| meter.source != Source::Paced),
        }
    }

    fn set_pace(&mut self, now: Time, wall: Timestamp, round_trip: &RoundTrip) {
        self.meters.retain(|meter| meter.source != Source::Start);
        for metered in [Metered::Requests, Metered::Tokens] {
            let amount = self.pace.rates().of(metered);
            let paced = |meter: &&mut Meter| {
                meter.source == Source::Paced && meter.limit.metered() == metered
            };
            match self.meters.iter_mut().find(paced) {
                Some(meter) => meter.set_amount(amount, Some(Rates::burst(amount)), round_trip),
                None if amount == 0 => {}
                None => {
                    let limit = Rates::limit(metered, amount);
                    self.add(Meter::learnt(limit, Source::Paced, wall, now, round_trip));
                }
            }
        }
        // The account has nothing left, whatever was saved up here.
        let paced = self.meters.iter_mut().filter(|meter| meter.source == Source::Paced);
        paced.for_each(|meter| meter.use_up(now, u64::MAX));
    }
}
