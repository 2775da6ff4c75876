//! A limit that headers tell: which limiter is behind it, found from what it says is left.
//!
//! Three models of the limiter predict what the next answer says is left. From the most cautious on:
//!
//! | model | what was spent comes back |
//! | --- | --- |
//! | sliding window | a period after it was spent |
//! | fixed window | all at once, at the end of the window |
//! | token bucket | continuously |
//!
//! The most cautious one that is left decides. Only one thing proves a model too cautious: more is left than it
//! predicted. (That less is left proves nothing, as others may use the same account. It only lowers the count.) And only
//! one thing proves a model too bold: refusals where it saw room. Then all three are believed again.
//!
//! The parameters come from the same figures, and not from a list of usual ones:
//! - The amount is the most that was ever left, whatever the header calls the limit.
//! - The period is what the dialect says, or the longest reset that was told, or the time between two jumps.
//! - The rate of a bucket is the slope of a [line](super::line): so a bucket is recognised before a more cautious model
//!   has failed.
//!
//! Long, for the three models are judged, corrected and asked by the same figures.

use crate::{
    engine::{
        latch::Latch,
        room::Room,
        time::{SECOND, Time, nanos},
    },
    limit::Metered,
    provider::LimitReading,
};

use super::{
    answer::{Answer, Request},
    bucket::{Bucket, seconds},
    fixed::Fixed,
    line::Line,
    sliding::Sliding,
};

/// So many refusals where a model saw room are no accident of timing. One is forgotten for so many accepted requests.
const MISSES: u8 = 3;
const HITS: u8 = 32;
/// Requests do not arrive as evenly as they leave. A bucket's room is used so much later, which costs nothing of its
/// rate.
const SKEW: u64 = SECOND / 4;
/// All of a reserve is tried again in so many seconds: three hours.
const RETRIED: f64 = 10_800.0;
/// Requests that are accepted at no more than so many times a bucket's rate were refused by this bucket.
const ALIKE: f64 = 1.5;
/// That little is left of a shorter period is an everyday matter. An hour.
const LONG: u64 = 3_600 * SECOND;
/// From this spent share on it is nearly reached.
const NEAR: f64 = 0.8;

#[derive(Clone, Debug)]
pub(super) struct Allowance {
    metered: Metered,
    /// The period that the dialect knows. With what is metered it is the allowance's name.
    label: Option<u64>,
    /// What the header calls the limit.
    limit: Option<u64>,
    amount: u64,
    /// Nanoseconds; 0 as long as it is not known.
    period: u64,
    /// The least that was ever left.
    least: u64,
    /// The answer to the latest request of those that were answered.
    latest: Answer,
    /// The number of the request that was answered last, and what its answer said was left.
    last: (u64, u64),
    model: Model,
    sliding: Sliding,
    fixed: Fixed,
    bucket: Bucket,
    line: Line,
    /// Whether a line has told the rate of the bucket.
    is_drawn: bool,
    /// What is said to be left of a bucket that is smaller than its limit, and cannot be had.
    reserve: Bucket,
    /// When a window last ended, seen by what came back.
    jumped: Option<Time>,
    /// Refusals where the model saw room, requests accepted since one was forgotten, and when it was last refused.
    misses: u8,
    hits: u8,
    missed: Time,
    /// The amount and period that were last said to be known.
    said: Option<(u64, u64)>,
    /// Whether it was told that it is nearly reached.
    near: Latch,
}

/// The most cautious model that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Sliding,
    Fixed,
    Bucket,
}

impl Allowance {
    /// What a first answer tells.
    pub(super) fn new(metered: Metered, answer: &Answer) -> Self {
        let amount = answer.before().max(1);
        let period = answer.label.or(answer.reset).unwrap_or(0);
        let rate = amount as f64 / seconds(period.max(SECOND));
        let mut allowance = Self {
            metered,
            label: answer.label,
            limit: answer.limit,
            amount,
            period,
            least: answer.left,
            latest: *answer,
            last: (answer.request.number, answer.left),
            model: Model::Sliding,
            sliding: Sliding::new(answer, amount, period.max(SECOND), rate),
            fixed: Fixed::new(answer, answer.came),
            bucket: Bucket::new(answer.came, rate, amount as f64),
            line: Line::new(answer),
            is_drawn: false,
            reserve: Bucket::new(answer.came, rate, amount as f64),
            jumped: None,
            misses: 0,
            hits: 0,
            missed: Time::ZERO,
            said: None,
            near: Latch::default(),
        };
        allowance.bucket.set_used(answer.came, (amount - answer.left.min(amount)) as f64);
        allowance
    }

    pub(super) fn is_of(&self, reading: &LimitReading) -> bool {
        self.metered == reading.metered && self.label == reading.period.map(nanos)
    }

    /// Whether the allowance of another account has the same name.
    pub(super) fn is_named_as(&self, other: &Self) -> bool {
        (self.metered, self.label) == (other.metered, other.label)
    }

    /// Takes in what a later answer tells.
    pub(super) fn read(&mut self, answer: &Answer) {
        self.last = (answer.request.number, answer.left);
        if answer.request.number < self.latest.request.number {
            // Answers come out of order.
            return;
        }
        if answer.limit.is_some() && answer.limit != self.limit {
            // The limit has changed.
            let Self { said, near, .. } = *self;
            *self = Self { said, near, ..Self::new(self.metered, answer) };
            return;
        }
        let was = std::mem::replace(&mut self.latest, *answer);
        if answer.before() > self.amount {
            self.amount = answer.before();
            self.set_rates(answer.came);
        }
        self.least = self.least.min(answer.left);
        let has_jumped = self.note_jump(&was, answer);
        if self.label.is_none() && answer.reset > Some(self.period + self.period / 64) {
            self.set_period(answer.came, answer.reset.unwrap_or(0));
        }
        let is_full = was.full().is_some_and(|full| answer.came >= full);
        match has_jumped || is_full {
            true => self.line = Line::new(answer),
            false => self.line.add(answer),
        }
        self.draw(answer.came);
        self.judge(answer);
        self.count(answer);
    }

    /// Strikes out what predicted that less is left.
    fn judge(&mut self, answer: &Answer) {
        let request = &answer.request;
        // What was under way beside the request may have come after it, though it was sent before.
        let tolerance = (self.amount / 32).max(2 * request.cost).max(2);
        let most =
            |predicted: u64| predicted.saturating_add(tolerance).saturating_add(request.beside);
        match self.model {
            Model::Sliding if answer.left > most(self.sliding.predicted(answer, self.amount)) => {
                self.model = Model::Fixed;
                self.fixed = Fixed::new(answer, self.next_end(answer.came));
            }
            Model::Fixed if self.fixed.has_turned(request) => {}
            Model::Fixed if answer.left > most(self.fixed.predicted(request)) => {
                self.begin_bucket(answer)
            }
            _ => {}
        }
        let knows_end = answer.reset.is_some() || self.jumped.is_some() && self.period > 0;
        if self.drawn().is_some() || self.model == Model::Fixed && !knows_end {
            self.begin_bucket(answer);
        }
    }

    fn begin_bucket(&mut self, answer: &Answer) {
        if self.model != Model::Bucket {
            let spent = self.amount.saturating_sub(answer.left);
            let spent = spent.saturating_add(answer.request.after());
            self.bucket.set_used(answer.came, spent as f64);
            self.model = Model::Bucket;
        }
    }

    /// Brings the counts of all models to what is left: lower at once, and higher only where the model says so.
    fn count(&mut self, answer: &Answer) {
        let Answer { request, came, left, .. } = *answer;
        self.sliding.count(answer, self.amount);
        match self.fixed.has_turned(&request) {
            true => self.fixed = Fixed::new(answer, self.next_end(came)),
            false => self.fixed.count(answer),
        }
        // What has refilled in the bucket since the request was sent is not lost.
        let refilled = self.bucket.rate() * seconds(came.since(request.sent));
        let missing = (self.bucket.capacity() - left as f64 - refilled).max(0.0);
        let least = missing + request.after() as f64;
        let most = least + request.beside as f64;
        let used = self.bucket.used(came);
        let far = (self.bucket.capacity() / 8.0).max(2.0 * request.cost as f64).max(2.0);
        if least > used {
            self.bucket.set_used(came, least);
        } else if most + far < used {
            self.bucket.set_used(came, most);
        }
    }

    fn draw(&mut self, now: Time) {
        if let Some((rate, capacity)) = self.drawn() {
            self.is_drawn = true;
            self.bucket.set_rate(now, rate);
            self.bucket.set_capacity(capacity.min(self.amount as f64));
        } else if !self.is_drawn {
            self.bucket.set_capacity(self.amount as f64);
        }
    }

    /// The rate and capacity of the bucket, if the answers lie on a line that leads to all that was ever left.
    fn drawn(&self) -> Option<(f64, f64)> {
        let rate = self.line.slope()?;
        let capacity = self.line.capacity(rate);
        let least = self.amount as f64 * 0.8;
        let most = self.amount.max(self.limit.unwrap_or(0)) as f64 * 1.25 + 1.0;
        (least..=most).contains(&capacity).then_some((rate, capacity))
    }

    /// Whether much came back at once. Two such jumps tell the period, where no header does.
    fn note_jump(&mut self, was: &Answer, answer: &Answer) -> bool {
        let sent = answer.request.then.saturating_sub(was.request.then);
        let predicted = was.left.saturating_sub(sent);
        let missing = self.amount.saturating_sub(predicted);
        let back = answer.left.saturating_sub(predicted);
        if back <= 2 || back < missing - missing / 4 || back < self.amount / 4 {
            return false;
        }
        let last = self.jumped.replace(answer.request.sent);
        if let Some(last) = last.filter(|_| self.label.is_none() && answer.reset.is_none()) {
            self.set_period(answer.came, answer.request.sent.since(last));
        }
        true
    }

    fn set_period(&mut self, now: Time, period: u64) {
        self.period = period;
        self.sliding.set_period(now, period.max(SECOND));
        self.set_rates(now);
    }

    /// The rates that amount and period say, where nothing says better.
    fn set_rates(&mut self, now: Time) {
        let rate = self.amount as f64 / seconds(self.period.max(SECOND));
        self.sliding.set_rate(now, rate);
        if !self.is_drawn {
            self.bucket.set_rate(now, rate);
        }
    }

    /// When a window ends of which no answer says it: counted from the last jump, or, before there was one, it is tried
    /// soon.
    fn next_end(&self, now: Time) -> Time {
        match self.jumped.filter(|_| self.period > 0) {
            Some(last) => last.plus(self.period.saturating_mul(now.since(last) / self.period + 1)),
            None => now.plus(self.patience()),
        }
    }

    /// How long an answer is waited for that may tell of a new window.
    fn patience(&self) -> u64 {
        (self.period / 8).max(SECOND)
    }

    /// When so many units fit. `total` is all that has been sent.
    pub(super) fn room(&self, now: Time, units: u64, total: u64) -> Room {
        if units == 0 {
            return Room::At(Time::ZERO);
        }
        if self.limit.is_some_and(|limit| units > limit.max(self.amount)) {
            return Room::Never;
        }
        // What was ever left may be less than the limit: more than that waits for all of it.
        let units = units.min(self.amount);
        Room::At(match self.model {
            // Nothing says when anything comes back: what is left is used, and then refusals tell.
            Model::Sliding if self.period == 0 => {
                let sent = total.saturating_sub(self.latest.request.then);
                let is_left = units <= self.latest.left.saturating_sub(sent);
                if is_left { Time::ZERO } else { self.latest.request.sent.plus(SKEW) }
            }
            Model::Sliding => self.sliding.room(now, units, self.amount),
            Model::Fixed => self.fixed.room(units, total),
            Model::Bucket => {
                let open = self.bucket.room(units as f64 + self.reserve.used(now));
                if open == Time::ZERO { open } else { open.plus(SKEW) }
            }
        })
    }

    /// A request is sent: the one of this number, before which so much was.
    pub(super) fn take(&mut self, now: Time, number: u64, units: u64, total: u64) {
        self.sliding.take(now, units, self.amount);
        self.fixed.take(now, number, units, total, self.patience());
        self.bucket.take(now, units as f64);
    }

    /// Moves the counts from what was reserved to what was used.
    pub(super) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) {
        self.sliding.settle(now, taken, reserved, used);
        let more = used as f64 - reserved as f64;
        match more >= 0.0 {
            true => self.bucket.take(now, more),
            false => self.bucket.give_back(now, -more),
        }
    }

    pub(super) fn accepted(&mut self) {
        self.hits += 1;
        if self.hits == HITS {
            (self.hits, self.misses) = (0, self.misses.saturating_sub(1));
        }
    }

    /// A request was refused. Whether this limit explains it: its answer says that too little is left, or that enough is
    /// left of a bucket which fills no slower than requests are accepted, so that it must be smaller than it says.
    pub(super) fn refused(&mut self, now: Time, request: &Request, accepted: f64) -> bool {
        let is_new = request.sent >= self.missed;
        if is_new {
            self.misses = self.misses.saturating_add(1);
            self.missed = now;
        }
        let is_spent = self.last.0 == request.number && self.last.1 < request.cost;
        if is_spent && self.misses >= MISSES {
            // The model is too bold. Perhaps it is not even this limit.
            self.misses = 0;
            (self.model, self.is_drawn) = (Model::Sliding, false);
            self.line = Line::new(&self.latest);
            self.set_rates(now);
            return false;
        }
        if is_spent {
            return self.period > 0;
        }
        // The first time, what was accepted before says nothing: all that was saved up is in it.
        let is_first = self.reserve.used(now) < 1.0;
        let is_alike = is_first || accepted <= ALIKE * self.bucket.rate();
        let is_drawn = self.model == Model::Bucket && self.is_drawn;
        if !is_drawn || !is_alike || self.misses >= MISSES {
            return false;
        }
        if is_new {
            // Some of what is used had refilled by now, and had not when it was refused.
            let refilled = self.bucket.rate() * seconds(now.since(request.sent));
            let left = self.bucket.capacity() - self.bucket.used(now) - refilled;
            self.reserve.set_rate(now, self.bucket.capacity() / RETRIED);
            self.reserve.set_used(now, left);
        }
        true
    }

    pub(super) fn metered(&self) -> Metered {
        self.metered
    }

    /// Whether its period or rate is more than a first guess. The reset of a bucket of which little was used, for
    /// example, looks like a short period.
    pub(super) fn is_known(&self) -> bool {
        let is_tested = self.period > 0 && self.least <= self.amount / 2;
        self.label.is_some() || self.is_drawn || self.model != Model::Sliding || is_tested
    }

    /// Whether it is known, and is not what it was last said to be. A period is only said anew where it is another one
    /// clearly: it becomes known little by little.
    pub(super) fn is_news(&mut self) -> bool {
        if !self.is_known() {
            return false;
        }
        let amount = self.limit.unwrap_or(self.amount);
        let period = match self.model {
            Model::Bucket => self.bucket.span(amount as f64),
            Model::Fixed | Model::Sliding => self.period,
        };
        let is_said = self.said.is_some_and(|(said, before)| {
            said == amount && period.abs_diff(before) <= period.min(before) / 10
        });
        if !is_said {
            self.said = Some((amount, period));
        }
        !is_said
    }

    pub(super) fn model(&self) -> Model {
        self.model
    }

    /// What the header calls the limit.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(super) fn amount(&self) -> u64 {
        self.amount
    }

    /// Nanoseconds; 0 if it is not known.
    pub(super) fn period(&self) -> u64 {
        self.period
    }

    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// How much may be spent at once, now.
    pub(super) fn left(&self, now: Time, total: u64) -> u64 {
        match self.model {
            Model::Sliding => self.sliding.left(now, self.amount),
            Model::Fixed => self.fixed.left(now, total, self.amount),
            Model::Bucket => {
                let used = self.bucket.used(now) + self.reserve.used(now);
                (self.bucket.capacity() - used).max(0.0) as u64
            }
        }
    }

    /// How much can be spent from now until then, if others spend nothing.
    pub(super) fn free_by(&self, now: Time, then: Time, total: u64) -> u64 {
        match self.model {
            // Nothing says when anything comes back.
            Model::Sliding if self.period == 0 => u64::MAX,
            Model::Sliding => {
                let back = self.amount as f64 * seconds(then.since(now)) / seconds(self.period);
                self.left(now, total).saturating_add(back as u64)
            }
            Model::Fixed => self.fixed.free_by(now, then, total, self.amount, self.period),
            Model::Bucket => {
                let reserve = self.reserve.used(now) as u64;
                self.bucket.free_by(now, then).saturating_sub(reserve)
            }
        }
    }

    /// The most room that a demand can need.
    pub(super) fn most_at_once(&self) -> u64 {
        match self.model {
            Model::Sliding | Model::Fixed => self.amount,
            Model::Bucket => (self.bucket.capacity() as u64).max(1),
        }
    }

    /// The time in which so many units come back, in nanoseconds.
    pub(super) fn span(&self, units: u64) -> u64 {
        self.bucket.span(units as f64)
    }

    /// Whether it lasts for an hour or longer and has come near its end, and that is news: less than half of it was
    /// spent since it was last told. `share` is what is spent of it.
    pub(super) fn gets_near(&mut self, now: Time, share: f64) -> bool {
        if self.period < LONG || !self.is_known() {
            return false;
        }
        if share < 0.5 {
            self.near.lower();
        }
        share >= NEAR && self.near.raise(now)
    }
}
