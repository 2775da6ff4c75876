//! What headers and refusals teach about the limits of one account for one model, where no limit was declared.
//!
//! A [`Learner`] is asked for [`room`](Learner::room), as a meter is, and told what happens to each request. It sees the
//! provider's limiters only from outside: how much is said to be left, what is accepted, and what is refused. Everything
//! it believes is a hypothesis about them that is used as long as it predicts:
//!
//! | part | hypothesis | given up when |
//! | --- | --- | --- |
//! | [told](told) | for each limit in the headers: a sliding window, a fixed window, a token bucket | more is left than it predicted, or it was refused where it saw room |
//! | [pace](pace) | a token bucket, whose rate and burst refusals tell | it is refused again, or not for long |
//! | [concurrency](concurrency) | so many requests at once | more of them were accepted |
//!
//! A request has room when every hypothesis has room for it: the most cautious ones that are left decide. A refusal is
//! explained by one of them only, in this order: a limit in the headers that is spent, a limit on concurrency that was
//! right before, the pace. So a limit that is known well does not teach a wrong pace.
//!
//! It is pure: `now` is an argument, and nothing is random. It does a bounded amount of work for each request.

mod answer;
mod bucket;
mod concurrency;
mod fixed;
mod line;
mod log;
mod pace;
mod sliding;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        room::Room,
        time::{SECOND, Time, nanos},
    },
    limit::{Metered, Window as Edges},
    provider::LimitReading,
};

use answer::{Answer, Request};
use bucket::seconds;
use concurrency::Concurrency;
use pace::Pace;
use told::{Allowance, Model};

/// No provider tells of more limits for one model.
const MOST_TOLD: usize = 8;
/// Two accounts whose rates differ by more than this factor are not alike.
const UNLIKE: f64 = 1.5;

/// The limits of one account for one model, as far as they show.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    /// How many requests were ever sent.
    number: u64,
    /// All that was sent and not given back, and what of it is under way.
    sent: Tally,
    under_way: Tally,
    told: Vec<Allowance>,
    inferred: Inferred,
    lessons: u32,
}

/// What refusals alone have taught.
#[derive(Clone, Copy, Debug)]
struct Inferred {
    pace: Pace,
    concurrency: Concurrency,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    input: u64,
    output: u64,
}

/// What a request is remembered by until it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    sent: Time,
    number: u64,
    cost: Cost,
    /// How many others were under way when it was sent, and their cost.
    others: u32,
    beside: Tally,
    /// All that had been sent up to it, itself included.
    then: Tally,
}

/// What happens to a request. Each is observed when it is known, in any order, and at most once; headers once for each
/// limit that they tell, before what they came with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation<'a> {
    /// An answer tells a limit.
    Header(&'a LimitReading),
    /// An answer has begun that is no refusal.
    Accepted,
    /// It was refused for its rate. `retry_after` is what the provider said.
    Refused { retry_after: Option<Duration> },
    /// What it did cost. Not of one that was refused: that costs nothing.
    Settled { used: Cost },
    /// It has ended, accepted or not.
    Ended,
    /// It was not sent after all, and has ended.
    NotSent,
}

/// What was believed before a refusal, in case that it was about the request and not about a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lesson {
    before: Inferred,
    number: u32,
}

/// A limit that is believed in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) limit: Limit,
    pub(crate) source: Source,
    /// How much may be spent at once, now.
    pub(crate) left: u64,
}

/// Where a belief comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Headers.
    Told,
    /// Refusals that only such a limit explains.
    Inferred,
    /// The rate at which requests were accepted between refusals.
    Paced,
}

impl Learner {
    /// Nothing is known. `start` requests may be sent at once, and one more for each answer.
    pub(crate) fn new(now: Time, start: u32) -> Self {
        Self {
            number: 0,
            sent: Tally::default(),
            under_way: Tally::default(),
            told: Vec::new(),
            inferred: Inferred { pace: Pace::new(now), concurrency: Concurrency::new(start) },
            lessons: 0,
        }
    }

    /// When a request fits that costs this much.
    pub(crate) fn room(&self, now: Time, cost: &Cost) -> Room {
        if !self.inferred.concurrency.has_room(now) {
            return Room::OnChange;
        }
        let pace = Room::At(self.inferred.pace.room(cost));
        let told = self.told.iter().map(|allowance| {
            let metered = allowance.metered();
            allowance.room(now, cost.of(metered), self.sent.of(metered))
        });
        told.fold(pace, Room::max)
    }

    /// A request is sent now.
    pub(crate) fn take(&mut self, now: Time, cost: &Cost) -> Ticket {
        self.number += 1;
        for allowance in &mut self.told {
            let metered = allowance.metered();
            allowance.take(now, self.number, cost.of(metered), self.sent.of(metered));
        }
        self.inferred.pace.take(now, cost);
        let others = self.inferred.concurrency.take(now);
        let beside = self.under_way;
        self.under_way.add(cost);
        self.sent.add(cost);
        let (number, then) = (self.number, self.sent);
        Ticket { sent: now, number, cost: *cost, others, beside, then }
    }

    /// Takes in what happened to a request. A refusal that taught something about pace or concurrency returns what was
    /// believed before.
    pub(crate) fn observe(
        &mut self,
        now: Time,
        ticket: &Ticket,
        observation: Observation<'_>,
    ) -> Option<Lesson> {
        match observation {
            Observation::Header(reading) => self.read(now, ticket, reading),
            Observation::Accepted => {
                self.told.iter_mut().for_each(Allowance::accepted);
                self.inferred.pace.accepted(now, ticket.sent, &ticket.cost);
                self.inferred.concurrency.accepted(ticket.others);
            }
            Observation::Refused { retry_after } => {
                return self.refused(now, ticket, retry_after.map(nanos));
            }
            Observation::Settled { used } => {
                self.settle(now, ticket, &used);
                self.inferred.pace.settle(now, &ticket.cost, &used);
            }
            Observation::Ended => self.ended(ticket),
            Observation::NotSent => {
                self.give_back(now, ticket);
                self.inferred.pace.give_back(now, &ticket.cost);
                self.ended(ticket);
            }
        }
        None
    }

    /// A refusal was about its request: what was believed before it is believed again, unless another one has taught
    /// something since.
    pub(crate) fn take_back(&mut self, lesson: &Lesson) {
        if self.lessons == lesson.number {
            let open = self.inferred.concurrency.open();
            self.inferred = lesson.before;
            self.inferred.concurrency.set_open(open);
        }
    }

    /// Begins with the pace of an account that is thought to be like this one. Nothing changes if this one has a pace.
    pub(crate) fn seed(&mut self, now: Time, other: &Self) {
        self.inferred.pace.seed(now, &other.inferred.pace);
    }

    /// Whether the limits of another account have shown to be different.
    pub(crate) fn is_unlike(&self, other: &Self) -> bool {
        let ceilings = self.inferred.pace.ceiling().zip(other.inferred.pace.ceiling());
        let is_other_pace = ceilings.is_some_and(|(one, two)| one.max(two) > UNLIKE * one.min(two));
        let is_other_limit = |one: &Allowance| {
            let same = other.told.iter().find(|two| two.is_named_as(one));
            same.is_some_and(|two| two.limit() != one.limit())
        };
        is_other_pace || self.told.iter().any(is_other_limit)
    }

    /// The spent share of what may be spent at once, of the limit that is nearest to its end; above 1 when in debt.
    pub(crate) fn used_share(&self, now: Time) -> f64 {
        let told = self.told.iter().map(|allowance| {
            let left = allowance.left(now, self.sent.of(allowance.metered()));
            1.0 - left as f64 / allowance.amount() as f64
        });
        told.fold(self.inferred.pace.used_share(now), f64::max)
    }

    /// The limits that are believed in.
    pub(crate) fn limits(&self, now: Time) -> impl Iterator<Item = Belief> {
        let known = self.told.iter().filter(|allowance| allowance.is_known());
        let told = known.map(move |allowance| {
            let left = allowance.left(now, self.sent.of(allowance.metered()));
            Belief { limit: limit_of(allowance), source: Source::Told, left }
        });
        let Inferred { pace, concurrency } = &self.inferred;
        let most = concurrency.limit().map(|most| Belief {
            limit: Limit::concurrent(most.into()),
            source: Source::Inferred,
            left: most.saturating_sub(concurrency.open()).into(),
        });
        let pace = pace.rate().map(|(rate, burst)| Belief {
            limit: bucket_of(Metered::Requests, (rate * 60.0).round().max(1.0), rate, burst),
            source: Source::Paced,
            left: (burst * (1.0 - pace.used_share(now))).max(0.0) as u64,
        });
        told.chain(most).chain(pace)
    }

    fn read(&mut self, now: Time, ticket: &Ticket, reading: &LimitReading) {
        let request = self.request(ticket, reading.metered);
        let Some(answer) = Answer::new(now, reading, request) else { return };
        if let Some(known) = self.told.iter_mut().find(|allowance| allowance.is_of(reading)) {
            known.read(&answer);
        } else if self.told.len() < MOST_TOLD {
            self.told.push(Allowance::new(reading.metered, &answer));
            self.inferred.concurrency.know();
        }
    }

    fn refused(&mut self, now: Time, ticket: &Ticket, wait: Option<u64>) -> Option<Lesson> {
        let before = self.inferred;
        let seen = self.inferred.pace.seen(now);
        let mut is_known = false;
        for place in 0..self.told.len() {
            let metered = self.told[place].metered();
            let request = self.request(ticket, metered);
            is_known |= self.told[place].refused(now, &request, seen.of(metered));
        }
        // Most providers do not count what they refuse. Those that do say so by what is left.
        self.give_back(now, ticket);
        let Inferred { pace, concurrency } = &mut self.inferred;
        pace.hold(now, wait.unwrap_or(0));
        if is_known {
            pace.refused_as_known(now, ticket.sent);
        } else if !concurrency.refused(now, ticket.others) {
            pace.refused(now, ticket.sent, wait);
        }
        self.lessons = self.lessons.wrapping_add(1);
        Some(Lesson { before, number: self.lessons }).filter(|_| !is_known)
    }

    fn ended(&mut self, ticket: &Ticket) {
        self.under_way.remove(&ticket.cost);
        self.inferred.concurrency.release();
    }

    fn give_back(&mut self, now: Time, ticket: &Ticket) {
        self.sent.remove(&ticket.cost);
        for allowance in &mut self.told {
            allowance.settle(now, ticket.sent, ticket.cost.of(allowance.metered()), 0);
        }
    }

    fn settle(&mut self, now: Time, ticket: &Ticket, used: &Cost) {
        self.sent.remove(&ticket.cost);
        self.sent.add(used);
        for allowance in &mut self.told {
            let metered = allowance.metered();
            allowance.settle(now, ticket.sent, ticket.cost.of(metered), used.of(metered));
        }
    }

    fn request(&self, ticket: &Ticket, metered: Metered) -> Request {
        Request {
            sent: ticket.sent,
            number: ticket.number,
            cost: ticket.cost.of(metered),
            then: ticket.then.of(metered),
            total: self.sent.of(metered),
            beside: ticket.beside.of(metered),
        }
    }
}

impl Tally {
    fn add(&mut self, cost: &Cost) {
        self.requests = self.requests.saturating_add(1);
        self.input = self.input.saturating_add(cost.input);
        self.output = self.output.saturating_add(cost.output);
    }

    fn remove(&mut self, cost: &Cost) {
        self.requests = self.requests.saturating_sub(1);
        self.input = self.input.saturating_sub(cost.input);
        self.output = self.output.saturating_sub(cost.output);
    }

    fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::InputTokens => self.input,
            Metered::OutputTokens => self.output,
            Metered::Tokens => self.input.saturating_add(self.output),
            Metered::Requests | Metered::Concurrent => self.requests,
            // No header tells of money.
            Metered::Spend => 0,
        }
    }
}

/// A limit in the headers, as it would be declared.
fn limit_of(allowance: &Allowance) -> Limit {
    let (metered, amount) = (allowance.metered(), allowance.limit().unwrap_or(allowance.amount()));
    let window = match allowance.model() {
        Model::Bucket => {
            let bucket = allowance.bucket();
            return bucket_of(metered, amount as f64, bucket.rate(), bucket.capacity());
        }
        Model::Fixed => Edges::Fixed { zone: None },
        Model::Sliding => Edges::Rolling,
    };
    let period = Duration::from_nanos(rounded(allowance.period()));
    // More than the whole amount is never saved up by a sliding window, and less is never refused at rest.
    Limit { metered, amount, period, burst: None, window, models: None }
}

fn bucket_of(metered: Metered, amount: f64, rate: f64, burst: f64) -> Limit {
    let period = Duration::from_nanos(rounded(bucket::nanos(amount / rate)));
    let burst = Some((burst as u64).max(1));
    Limit { metered, amount: amount as u64, period, burst, window: Edges::Rolling, models: None }
}

/// A period in whole seconds, if it is longer than that.
fn rounded(period: u64) -> u64 {
    if seconds(period) < 10.0 { period } else { (period + SECOND / 2) / SECOND * SECOND }
}
