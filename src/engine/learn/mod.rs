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
//! right before, the pace. So a limit that is known well does not teach a wrong pace. Where limits were declared, the
//! first refusals are accidents: see [trust](trust).
//!
//! Limits that headers tell of the whole account are [`Allowances`] of their own at the account, which all models share.
//!
//! It is pure: `now` is an argument, and nothing is random. It does a bounded amount of work for each request.

mod allowances;
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
mod trust;

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

use bucket::seconds;
use concurrency::Concurrency;
use pace::Pace;
use trust::Trust;

pub(crate) use allowances::{Allowances, Entry, is_same_period};

/// Two accounts whose rates differ by more than this factor are not alike.
const UNLIKE: f64 = 1.5;

/// The limits of one account for one model, as far as they show.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    told: Allowances,
    inferred: Inferred,
    /// Whether declared limits are thought to be all there are.
    trust: Trust,
    lessons: u32,
}

/// What refusals alone have taught.
#[derive(Clone, Copy, Debug)]
struct Inferred {
    pace: Pace,
    concurrency: Concurrency,
}

/// What a request is remembered by until it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    entry: Entry,
    /// How many others were under way when it was sent.
    others: u32,
}

/// What happens to a request. Each is observed when it is known, in any order, and at most once; headers once for each
/// limit that they tell, before what they came with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Observation {
    /// An answer has begun that is no refusal.
    Accepted,
    /// It was refused for its rate. `retry_after` is what the provider said.
    Refused { retry_after: Option<Duration>, elsewhere: Elsewhere },
    /// What it did cost. Not of one that was refused: that costs nothing.
    Settled { used: Cost },
    /// It has ended, accepted or not.
    Ended,
    /// It was not sent after all, and has ended.
    NotSent,
}

/// What is known of a refusal by others than the learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Nothing,
    /// Limits were declared, and it was within them.
    Declared,
    /// Headers tell a limit of the whole account, and that explains it.
    Explained,
}

/// What was believed before a refusal, in case that it was about the request and not about a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lesson {
    before: Inferred,
    trust: Trust,
    number: u32,
}

/// A limit that is believed in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Belief {
    pub(crate) limit: Limit,
    pub(crate) source: Source,
    /// How much may be spent at once, now.
    pub(crate) left: u64,
    /// The spent share of what may be spent at once; above 1 when in debt.
    pub(crate) used_share: f64,
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

impl Source {
    /// What people are shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Inferred => "inferred",
            Self::Paced => "pace",
        }
    }
}

impl Learner {
    /// Nothing is known. `start` requests may be sent at once, and one more for each answer.
    pub(crate) fn new(now: Time, start: u32) -> Self {
        Self {
            told: Allowances::default(),
            inferred: Inferred { pace: Pace::new(now), concurrency: Concurrency::new(start) },
            trust: Trust::default(),
            lessons: 0,
        }
    }

    /// Other limits are known: there is no need to begin slowly.
    pub(crate) fn know(&mut self) {
        self.inferred.concurrency.know();
    }

    /// When a request fits that costs this much.
    pub(crate) fn room(&self, now: Time, cost: &Cost) -> Room {
        self.opens(now, cost).max(self.inferred.concurrency.room())
    }

    /// When a request fits, as far as time alone tells: what is under way may end at any moment.
    pub(crate) fn opens(&self, now: Time, cost: &Cost) -> Room {
        Room::At(self.inferred.pace.room(cost)).max(self.told.room(now, cost))
    }

    /// A request is sent now.
    pub(crate) fn take(&mut self, now: Time, cost: &Cost) -> Ticket {
        let entry = self.told.take(now, cost);
        self.inferred.pace.take(now, cost);
        Ticket { entry, others: self.inferred.concurrency.take(now) }
    }

    /// The amount that headers told before of the limit that an answer tells.
    pub(crate) fn told_before(&self, reading: &LimitReading) -> Option<u64> {
        self.told.told_before(reading)
    }

    /// An answer tells a limit. The limit, if it is one that was not known, or another than before.
    pub(crate) fn read(
        &mut self,
        now: Time,
        ticket: &Ticket,
        reading: &LimitReading,
    ) -> Option<Limit> {
        let news = self.told.read(now, &ticket.entry, reading);
        if !self.told.is_empty() {
            self.inferred.concurrency.know();
        }
        news
    }

    /// Takes in what happened to a request. A refusal that taught something about pace or concurrency returns what was
    /// believed before.
    pub(crate) fn observe(
        &mut self,
        now: Time,
        ticket: &Ticket,
        observation: Observation,
    ) -> Option<Lesson> {
        let Ticket { entry, others } = ticket;
        match observation {
            Observation::Accepted => {
                self.told.accepted();
                self.inferred.pace.accepted(now, entry.sent, &entry.cost);
                self.inferred.concurrency.accepted(*others);
                if self.inferred.pace.is_outgrown(self.trust.is_lost()) {
                    // Nothing is refused that declared limits do not explain: they are all there are.
                    (self.trust, self.inferred.pace) = (Trust::default(), Pace::new(now));
                }
            }
            Observation::Refused { retry_after, elsewhere } => {
                return self.refused(now, ticket, retry_after.map(nanos), elsewhere);
            }
            Observation::Settled { used } => {
                self.told.settle(now, entry, &used);
                self.inferred.pace.settle(now, &entry.cost, &used);
            }
            Observation::Ended => self.ended(entry),
            Observation::NotSent => {
                self.told.give_back(now, entry);
                self.inferred.pace.give_back(now, &entry.cost);
                self.ended(entry);
            }
        }
        None
    }

    /// A refusal was about its request: what was believed before it is believed again, unless another one has taught
    /// something since.
    pub(crate) fn take_back(&mut self, lesson: &Lesson) {
        if self.lessons == lesson.number {
            let open = self.inferred.concurrency.open();
            (self.inferred, self.trust) = (lesson.before, lesson.trust);
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
        is_other_pace || self.told.is_unlike(&other.told)
    }

    /// Whether more than one refusal has told its pace.
    pub(crate) fn is_settled(&self) -> bool {
        self.inferred.pace.ceiling().is_some()
    }

    /// Whether it was refused and nothing was accepted since: one request at a time finds out whether that is over.
    pub(crate) fn is_half_open(&self) -> bool {
        self.inferred.pace.is_half_open()
    }

    /// Whether refusals have told a pace.
    pub(crate) fn is_paced(&self) -> bool {
        self.inferred.pace.rate().is_some()
    }

    /// Whether its limits are thought to be known: headers tell them, or they were declared and hold.
    pub(crate) fn knows_limits(&self, is_declared: bool) -> bool {
        !self.told.is_empty() || is_declared && !self.trust.is_lost()
    }

    /// The spent share of what may be spent at once, of the limit that is nearest to its end; above 1 when in debt.
    pub(crate) fn used_share(&self, now: Time) -> f64 {
        self.inferred.pace.used_share(now).max(self.told.used_share(now))
    }

    /// How much of what is metered so may be spent until a moment; none if nothing limits it.
    pub(crate) fn free_by(&self, metered: Metered, now: Time, then: Time) -> Option<u64> {
        let told = self.told.free_by(metered, now, then);
        told.into_iter().chain(self.inferred.pace.free_by(metered, now, then)).min()
    }

    /// The most room that a demand can need: a larger one waits for all of it.
    pub(crate) fn most_at_once(&self, metered: Metered) -> Option<u64> {
        let told = self.told.most_at_once(metered);
        told.into_iter().chain(self.inferred.pace.most_at_once(metered)).min()
    }

    /// The time in which as much comes back as a demand takes, in nanoseconds.
    pub(crate) fn span(&self, cost: &Cost) -> u64 {
        self.told.span(cost).max(self.inferred.pace.span(cost))
    }

    /// How many more requests may be sent at once, now; none if nothing limits that.
    #[cfg(feature = "balance")]
    pub(crate) fn left(&self, now: Time) -> Option<u64> {
        let told = self.told.free_by(Metered::Requests, now, now);
        let pace = self.inferred.pace.free_by(Metered::Requests, now, now);
        [told, pace, self.inferred.concurrency.left()].into_iter().flatten().min()
    }

    /// Limits of an hour or longer that have come near their end, each told once.
    pub(crate) fn near(&mut self, now: Time) -> Vec<Belief> {
        self.told.near(now)
    }

    /// The limits that are believed in.
    pub(crate) fn limits(&self, now: Time) -> impl Iterator<Item = Belief> {
        let Inferred { concurrency, .. } = &self.inferred;
        let most = concurrency.limit().map(|most| Belief {
            limit: Limit::concurrent(most.into()),
            source: Source::Inferred,
            left: most.saturating_sub(concurrency.open()).into(),
            used_share: f64::from(concurrency.open()) / f64::from(most.max(1)),
        });
        self.told.limits(now).chain(most).chain(self.paced(now))
    }

    /// The pace, as the limit that it stands for.
    pub(crate) fn paced(&self, now: Time) -> Option<Belief> {
        let (rate, burst) = self.inferred.pace.rate()?;
        let used_share = self.inferred.pace.used_share(now);
        Some(Belief {
            limit: bucket_of(Metered::Requests, (rate * 60.0).round().max(1.0), rate, burst),
            source: Source::Paced,
            left: (burst * (1.0 - used_share)).max(0.0) as u64,
            used_share,
        })
    }

    fn refused(
        &mut self,
        now: Time,
        ticket: &Ticket,
        wait: Option<u64>,
        elsewhere: Elsewhere,
    ) -> Option<Lesson> {
        let lesson = Lesson {
            before: self.inferred,
            trust: self.trust,
            number: self.lessons.wrapping_add(1),
        };
        let sent = ticket.entry.sent;
        let seen = self.inferred.pace.seen(now);
        let is_told = self.told.refused(now, &ticket.entry, Some(&seen));
        let is_explained = is_told || elsewhere == Elsewhere::Explained;
        if !is_explained && elsewhere == Elsewhere::Declared {
            self.trust.strike(now, sent);
        }
        let is_accident = elsewhere == Elsewhere::Declared && !self.trust.is_lost();
        let Inferred { pace, concurrency } = &mut self.inferred;
        pace.hold(now, wait.unwrap_or(0));
        if is_explained {
            pace.refused_as_known(now, sent);
        } else if !is_accident && !concurrency.refused(now, sent, ticket.others) {
            pace.refused(now, sent, wait);
        }
        self.lessons = lesson.number;
        Some(lesson).filter(|_| !is_explained)
    }

    fn ended(&mut self, entry: &Entry) {
        self.told.ended(entry);
        self.inferred.concurrency.release();
    }
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
