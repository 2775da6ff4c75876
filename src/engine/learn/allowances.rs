//! The limits that headers tell of one place: an account for one model, or an account as a whole.
//!
//! It counts all that is sent there, so that each answer can be compared with what was sent before and after its
//! request.

use std::time::Duration;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        room::Room,
        time::{Time, nanos},
    },
    limit::{Metered, Window as Edges},
    provider::LimitReading,
};

use super::{
    Belief, Source,
    answer::{Answer, Request},
    bucket_of,
    pace::Seen,
    rounded,
    told::{Allowance, Model},
};

/// No provider tells of more limits for one place.
const MOST_TOLD: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct Allowances {
    /// How many requests were ever sent.
    number: u64,
    /// All that was sent and not given back, and what of it is under way.
    sent: Tally,
    under_way: Tally,
    told: Vec<Allowance>,
}

/// What a request is remembered by until it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(super) sent: Time,
    number: u64,
    pub(super) cost: Cost,
    /// What was under way when it was sent.
    beside: Tally,
    /// All that had been sent up to it, itself included.
    then: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    input: u64,
    output: u64,
}

impl Allowances {
    /// Whether no header told of any limit.
    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// When a request fits that costs this much.
    pub(crate) fn room(&self, now: Time, cost: &Cost) -> Room {
        let rooms = self.told.iter().map(|allowance| {
            let metered = allowance.metered();
            allowance.room(now, cost.of(metered), self.sent.of(metered))
        });
        rooms.fold(Room::At(Time::ZERO), Room::max)
    }

    /// A request is sent now.
    pub(crate) fn take(&mut self, now: Time, cost: &Cost) -> Entry {
        self.number += 1;
        for allowance in &mut self.told {
            let metered = allowance.metered();
            allowance.take(now, self.number, cost.of(metered), self.sent.of(metered));
        }
        let beside = self.under_way;
        self.under_way.add(cost);
        self.sent.add(cost);
        Entry { sent: now, number: self.number, cost: *cost, beside, then: self.sent }
    }

    /// The amount that headers told before of the limit that an answer tells.
    pub(crate) fn told_before(&self, reading: &LimitReading) -> Option<u64> {
        let same = self.told.iter().find(|allowance| allowance.is_of(reading))?;
        Some(same.limit().unwrap_or(same.amount()))
    }

    /// An answer tells a limit. The limit, if it is one that was not known, or another than before.
    pub(crate) fn read(
        &mut self,
        now: Time,
        entry: &Entry,
        reading: &LimitReading,
    ) -> Option<Limit> {
        let answer = Answer::new(now, reading, self.request(entry, reading.metered))?;
        let known = self.told.iter_mut().find(|allowance| allowance.is_of(reading));
        if let Some(allowance) = known {
            allowance.read(&answer);
            return allowance.is_news().then(|| limit_of(allowance));
        }
        if self.told.len() >= MOST_TOLD {
            return None;
        }
        let mut allowance = Allowance::new(reading.metered, &answer);
        let news = allowance.is_news().then(|| limit_of(&allowance));
        self.told.push(allowance);
        news
    }

    /// An answer has begun that is no refusal.
    pub(crate) fn accepted(&mut self) {
        self.told.iter_mut().for_each(Allowance::accepted);
    }

    /// A request was refused for its rate, where so much is accepted per second as far as that is known. Whether a
    /// limit that is told explains it.
    pub(crate) fn refused(&mut self, now: Time, entry: &Entry, seen: Option<&Seen>) -> bool {
        let mut is_explained = false;
        for place in 0..self.told.len() {
            let metered = self.told[place].metered();
            let request = self.request(entry, metered);
            let accepted = seen.map_or(f64::MAX, |seen| seen.of(metered));
            is_explained |= self.told[place].refused(now, &request, accepted);
        }
        // Most providers do not count what they refuse. Those that do say so by what is left.
        self.give_back(now, entry);
        is_explained
    }

    /// What an accepted request did cost.
    pub(crate) fn settle(&mut self, now: Time, entry: &Entry, used: &Cost) {
        self.sent.remove(&entry.cost);
        self.sent.add(used);
        for allowance in &mut self.told {
            let metered = allowance.metered();
            allowance.settle(now, entry.sent, entry.cost.of(metered), used.of(metered));
        }
    }

    /// A request cost nothing.
    pub(crate) fn give_back(&mut self, now: Time, entry: &Entry) {
        self.sent.remove(&entry.cost);
        for allowance in &mut self.told {
            allowance.settle(now, entry.sent, entry.cost.of(allowance.metered()), 0);
        }
    }

    pub(crate) fn ended(&mut self, entry: &Entry) {
        self.under_way.remove(&entry.cost);
    }

    /// Whether another account was told of the same limit with another amount.
    pub(super) fn is_unlike(&self, other: &Self) -> bool {
        self.told.iter().any(|one| {
            let same = other.told.iter().find(|two| two.is_named_as(one));
            same.is_some_and(|two| two.limit() != one.limit())
        })
    }

    /// The spent share of the limit that is nearest to its end; above 1 when in debt.
    pub(crate) fn used_share(&self, now: Time) -> f64 {
        let shares = self.told.iter().map(|allowance| self.share_of(allowance, now));
        shares.fold(0.0, f64::max)
    }

    /// How much of what is metered so may be spent until a moment; none if nothing limits it.
    pub(crate) fn free_by(&self, metered: Metered, now: Time, then: Time) -> Option<u64> {
        let sent = self.sent.of(metered);
        self.of(metered).map(|allowance| allowance.free_by(now, then, sent)).min()
    }

    /// The most room that a demand can need: a larger one waits for all of it.
    pub(crate) fn most_at_once(&self, metered: Metered) -> Option<u64> {
        self.of(metered).map(Allowance::most_at_once).min()
    }

    /// The time in which as much comes back as a demand takes, in nanoseconds.
    pub(crate) fn span(&self, cost: &Cost) -> u64 {
        let spans = self.told.iter().map(|allowance| allowance.span(cost.of(allowance.metered())));
        spans.max().unwrap_or(0)
    }

    /// The limits that are known.
    pub(crate) fn limits(&self, now: Time) -> impl Iterator<Item = Belief> {
        let known = self.told.iter().filter(|allowance| allowance.is_known());
        known.map(move |allowance| self.belief(allowance, now))
    }

    /// Limits of an hour or longer that have come near their end, each told once.
    pub(crate) fn near(&mut self, now: Time) -> Vec<Belief> {
        let mut near = Vec::new();
        for place in 0..self.told.len() {
            let share = self.share_of(&self.told[place], now);
            if self.told[place].gets_near(now, share) {
                near.push(self.belief(&self.told[place], now));
            }
        }
        near
    }

    fn of(&self, metered: Metered) -> impl Iterator<Item = &Allowance> {
        self.told.iter().filter(move |allowance| allowance.metered() == metered)
    }

    fn left(&self, allowance: &Allowance, now: Time) -> u64 {
        allowance.left(now, self.sent.of(allowance.metered()))
    }

    fn share_of(&self, allowance: &Allowance, now: Time) -> f64 {
        1.0 - self.left(allowance, now) as f64 / allowance.amount() as f64
    }

    fn belief(&self, allowance: &Allowance, now: Time) -> Belief {
        Belief {
            limit: limit_of(allowance),
            source: Source::Told,
            left: self.left(allowance, now),
            used_share: self.share_of(allowance, now),
        }
    }

    fn request(&self, entry: &Entry, metered: Metered) -> Request {
        Request {
            sent: entry.sent,
            number: entry.number,
            cost: entry.cost.of(metered),
            then: entry.then.of(metered),
            total: self.sent.of(metered),
            beside: entry.beside.of(metered),
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

/// Whether two periods are the same, as far as answers tell them.
pub(crate) fn is_same_period(one: Duration, other: Duration) -> bool {
    let (one, other) = (nanos(one), nanos(other));
    one.max(other) - one.min(other) <= one.min(other) / 10
}
