//! The pace of an account whose limits no header tells, found from what it refuses.
//!
//! A limiter that nothing tells has two unknowns: a rate and a burst. Between two refusals in flow it accepted what had
//! come back to it meanwhile, whatever kind of limiter it is: that is its rate. A refusal soon after a rest tells the
//! burst instead. So the pace is a token bucket. A refusal in flow corrects its rate, the other kind its capacity.
//!
//! In between the rate grows as in TCP CUBIC: quickly while it is far below the rate that was last refused, slowly near
//! it, and faster and faster beyond it, for then the limit has changed. It grows only while the pace holds requests
//! back: an account that is not asked for more is not tried for more.
//!
//! Long, for every kind of refusal changes the same few figures.

use crate::{
    engine::{
        ask::Cost,
        time::{SECOND, Time},
    },
    limit::Metered,
};

use super::bucket::{Bucket, nanos, seconds};

/// After a refusal in flow the pace begins a little below the rate that was seen, and is back at that rate after
/// `RECOVER` seconds of growth. Each time that the same rate is refused again this doubles, up to `LONGEST_RECOVER`: so
/// growth costs less than one refusal a minute.
const BELOW: f64 = 0.97;
const RECOVER: f64 = 30.0;
const LONGEST_RECOVER: f64 = 120.0;
/// Where an account goes on refusing for a while, each attempt costs several refusals, and is made as much more rarely.
const RECOVER_EACH: f64 = 30.0;
const MOST_RECOVER: f64 = 240.0;
/// Two rates that differ by no more than a tenth are the same.
const SAME: f64 = 0.1;
/// A first refusal tells burst and rate together. A part of what was seen is more likely too slow than too fast. From
/// there it grows e-fold in so many seconds, and in more the more was accepted before, for then the guess is better.
const SEEK: f64 = 0.6;
const SEEK_SECONDS: f64 = 20.0;
const SEEK_SECONDS_EACH: f64 = 2.0;
/// So many accepted requests tell a rate. Fewer correct it by less.
const SAMPLE: f64 = 20.0;
/// After so many seconds of use, what was accepted is a rate, and no longer what had been saved up.
const FLOW: f64 = 21.0;
/// What was accepted in the last minute is counted in slots of this length.
const SLOT: u64 = 20 * SECOND;
const SLOTS: usize = 4;
/// While nothing is accepted, each rest is longer than the last by this factor, up to a minute.
const REST_GROWTH: f64 = 2.0;
const SHORTEST_REST: f64 = 0.25;
const FIRST_REST: f64 = 1.0;
const LONGEST_REST: f64 = 60.0;
/// The burst grows by this factor each time that all of it was used after a rest, up to so many seconds of the rate.
const BURST_GROWTH: f64 = 1.1;
const BURST_SECONDS: f64 = 10.0;
/// Refusals do not say what is limited. The pace takes it to be requests, and tokens as well, but a little later: at so
/// many times their rate, and so many requests more at once. So requests of uneven sizes are not held back by both, and
/// requests that are larger than they used to be still are.
const TOKENS: f64 = 1.1;
const TOKENS_BURST: f64 = 10.0;
/// Refusals that known limits explain, so many in a row and each so soon after the last, show that those limits are not
/// all there is: perhaps others use the account, too.
const STRIKES: u32 = 3;
const OFTEN: u64 = 20 * SECOND;
/// Where fewer requests per second are accepted, as no more are sent, that is no rate at which more would be refused. Only
/// so many refusals as `STRIKES`, each within so long after the last, show that there is one, and it is no lower.
const QUIET: f64 = 0.1;
const MEMORY: u64 = 600 * SECOND;
/// Nothing refuses at so many times the rate that was last refused: there is no limit like that any more. Where limits
/// were declared, these are believed again sooner.
const FREE: f64 = 64.0;
const HELD: f64 = 4.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    stage: Stage,
    requests: Flow,
    tokens: Flow,
    /// When it was first used, or last learnt something.
    since: Time,
    /// How many seconds had led to what it learnt then.
    before: f64,
    /// Seconds since then in which it held requests back, and in which its growth recovers.
    busy: f64,
    recover: f64,
    last_sent: Time,
    /// Whether the bucket was full since its burst was last used up.
    has_rested: bool,
    /// Refusals since something was accepted, and when the last one came.
    misses: u32,
    missed: Time,
    /// Refusals in a row that known limits explained.
    explained: u32,
    /// Refusals of late of an account that was sent little.
    accidents: u32,
    /// Nothing is sent before this.
    hold: Time,
    /// When the newest slot began, and how many there were since the first refusal.
    slot: Time,
    slots: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nothing was refused.
    Free,
    /// Refused once, or begun with another account's pace: it grows from this share of the rate that was seen.
    Seeking {
        from: f64,
    },
    Settled,
}

/// The pace of requests, or of tokens.
#[derive(Clone, Copy, Debug)]
struct Flow {
    bucket: Bucket,
    /// Units per second that were last refused.
    ceiling: f64,
    /// Accepted since the pace last learnt something, and before that.
    accepted: u64,
    before: u64,
    /// The newest slot first.
    lately: [u64; SLOTS],
}

/// Accepted per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    requests: f64,
    tokens: f64,
}

impl Seen {
    pub(super) fn of(&self, metered: Metered) -> f64 {
        if metered == Metered::Requests { self.requests } else { self.tokens }
    }
}

impl Pace {
    pub(super) fn new(now: Time) -> Self {
        let bucket = Bucket::new(now, 1.0, 1.0);
        let flow = Flow { bucket, ceiling: 0.0, accepted: 0, before: 0, lately: [0; SLOTS] };
        Self {
            stage: Stage::Free,
            requests: flow,
            tokens: flow,
            since: now,
            before: 0.0,
            busy: 0.0,
            recover: RECOVER,
            last_sent: now,
            has_rested: false,
            misses: 0,
            missed: now,
            explained: 0,
            accidents: 0,
            hold: Time::ZERO,
            slot: now,
            slots: 0,
        }
    }

    /// Begins with the pace of an account that is thought to be like this one, if nothing is known of it yet.
    pub(super) fn seed(&mut self, now: Time, other: &Self) {
        if self.stage != Stage::Free || other.stage == Stage::Free {
            return;
        }
        self.stage = Stage::Seeking { from: BELOW };
        self.requests.ceiling = other.requests.ceiling;
        self.tokens.ceiling = other.tokens.ceiling;
        (self.since, self.busy) = (now, 0.0);
        self.set(now, other.requests.bucket.capacity());
    }

    /// From when on a request fits.
    pub(super) fn room(&self, cost: &Cost) -> Time {
        if self.stage == Stage::Free {
            return self.hold;
        }
        let requests = self.requests.bucket.room(1.0);
        let tokens = self.tokens.bucket.room(cost.tokens() as f64);
        let has_tokens = self.tokens.ceiling > 0.0 && cost.tokens() > 0;
        let open = if has_tokens { requests.max(tokens) } else { requests };
        open.max(self.hold)
    }

    pub(super) fn take(&mut self, now: Time, cost: &Cost) {
        if self.stage != Stage::Free {
            self.grow(now, cost);
        }
        if self.misses > 1 || self.misses == 1 && self.stage == Stage::Free {
            // Half-open: one request finds out whether that is over.
            self.hold(now, self.rest());
        }
        self.last_sent = now;
        self.requests.bucket.take(now, 1.0);
        self.tokens.bucket.take(now, cost.tokens() as f64);
    }

    /// Moves the count from what was reserved to what was used.
    pub(super) fn settle(&mut self, now: Time, reserved: &Cost, used: &Cost) {
        let more = used.tokens() as f64 - reserved.tokens() as f64;
        match more >= 0.0 {
            true => self.tokens.bucket.take(now, more),
            false => self.tokens.bucket.give_back(now, -more),
        }
    }

    /// A request was not sent after all.
    pub(super) fn give_back(&mut self, now: Time, cost: &Cost) {
        self.requests.bucket.give_back(now, 1.0);
        self.tokens.bucket.give_back(now, cost.tokens() as f64);
    }

    /// Nothing is sent for so long.
    pub(super) fn hold(&mut self, now: Time, wait: u64) {
        self.hold = self.hold.max(now.plus(wait));
    }

    pub(super) fn accepted(&mut self, now: Time, sent: Time, cost: &Cost) {
        self.turn_slots(now);
        self.requests.note(1);
        self.tokens.note(cost.tokens());
        // What was sent before a refusal says nothing about whether that is over.
        if sent >= self.missed {
            if self.misses > 1 {
                // It was not over yet at the last attempt before this one.
                self.has_waited(now, seconds(self.missed.since(self.since)));
            }
            (self.misses, self.explained) = (0, 0);
            self.hold = self.hold.min(now);
        }
    }

    /// A request was refused, and nothing that is known explains it. Whether that has taught something.
    pub(super) fn refused(&mut self, now: Time, sent: Time, retry_after: Option<u64>) -> bool {
        // What was under way when another was refused is the same news.
        if sent < self.missed {
            return false;
        }
        let last = std::mem::replace(&mut self.missed, now);
        self.misses += 1;
        let is_news =
            self.misses == 1 && self.requests.accepted > 0 && !self.is_accident(now, last);
        if is_news {
            self.learn(now);
        } else if self.misses > 2 || !matches!(self.stage, Stage::Seeking { .. }) {
            self.recover = (self.recover + RECOVER_EACH).min(MOST_RECOVER);
        }
        match retry_after {
            Some(wait) if is_news => self.has_waited(now, seconds(wait)),
            _ => self.hold(now, self.rest()),
        }
        is_news
    }

    /// Whether a refusal may have any reason: so little was sent that what was accepted tells no rate.
    fn is_accident(&mut self, now: Time, last: Time) -> bool {
        if self.stage != Stage::Free || self.seen(now).requests >= QUIET {
            return false;
        }
        self.accidents = if now.since(last) < MEMORY { self.accidents + 1 } else { 1 };
        self.accidents < STRIKES
    }

    /// A known limit explains a refusal. If that goes on, the limit is not known well: it is tried less and less often,
    /// and the pace is found as if nothing were known.
    pub(super) fn refused_as_known(&mut self, now: Time, sent: Time) {
        if sent < self.missed {
            return;
        }
        self.explained = if now.since(self.missed) < OFTEN { self.explained + 1 } else { 1 };
        if self.explained >= STRIKES {
            self.explained = 0;
            self.refused(now, sent, None);
            return;
        }
        self.misses += 1;
        self.missed = now;
        self.hold(now, longer(SHORTEST_REST, self.misses));
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.misses > 0
    }

    /// What is accepted since the pace last learnt something.
    pub(super) fn seen(&self, now: Time) -> Seen {
        let elapsed = self.elapsed(now);
        let per_second = |flow: &Flow| flow.accepted as f64 / elapsed;
        Seen { requests: per_second(&self.requests), tokens: per_second(&self.tokens) }
    }

    /// Requests per second, and how many at once; nothing if it is not paced.
    pub(super) fn rate(&self) -> Option<(f64, f64)> {
        let bucket = &self.requests.bucket;
        (self.stage != Stage::Free).then(|| (bucket.rate(), bucket.capacity()))
    }

    /// The rate of requests that was refused, once more than one refusal has told it.
    pub(super) fn ceiling(&self) -> Option<f64> {
        (self.stage == Stage::Settled).then_some(self.requests.ceiling)
    }

    pub(super) fn used_share(&self, now: Time) -> f64 {
        let bucket = &self.requests.bucket;
        if self.stage == Stage::Free { 0.0 } else { bucket.used(now) / bucket.capacity() }
    }

    /// Whether it has grown so far beyond the rate that was last refused that declared limits seem to be all there are,
    /// or that there seems to be none at all.
    pub(super) fn is_outgrown(&self, is_declared: bool) -> bool {
        self.stage != Stage::Free && self.factor() >= if is_declared { HELD } else { FREE }
    }

    /// How much may be spent from now until then; none if it does not limit that.
    pub(super) fn free_by(&self, metered: Metered, now: Time, then: Time) -> Option<u64> {
        let flow = self.flow(metered)?;
        let from = now.max(self.hold);
        // It grows meanwhile, up to the rate that was accepted, or beyond.
        let growth = (flow.ceiling / flow.bucket.rate()).max(1.0);
        let then = from.plus(nanos(seconds(then.since(from)) * growth));
        Some(if then < from { 0 } else { flow.bucket.free_by(from, then) })
    }

    /// The most room that a demand can need.
    pub(super) fn most_at_once(&self, metered: Metered) -> Option<u64> {
        self.flow(metered).map(|flow| (flow.bucket.capacity() as u64).max(1))
    }

    /// The time in which as much comes back as a demand takes, in nanoseconds.
    pub(super) fn span(&self, cost: &Cost) -> u64 {
        let span = |metered| {
            let units = cost.of(metered) as f64;
            self.flow(metered).map_or(0, |flow| flow.bucket.span(units))
        };
        span(Metered::Requests).max(span(Metered::Tokens))
    }

    fn flow(&self, metered: Metered) -> Option<&Flow> {
        match (self.stage, metered) {
            (Stage::Free, _) => None,
            (_, Metered::Requests) => Some(&self.requests),
            (_, Metered::Tokens) => Some(&self.tokens).filter(|flow| flow.ceiling > 0.0),
            _ => None,
        }
    }

    /// Learns the rate, and perhaps the burst, from a refusal.
    fn learn(&mut self, now: Time) {
        let elapsed = self.elapsed(now);
        let minute = self.turn_slots(now);
        let factor = self.factor();
        let is_in_flow = match self.stage {
            Stage::Free | Stage::Seeking { .. } => true,
            Stage::Settled => self.busy >= elapsed / 2.0,
        };
        // A few requests say little about a rate.
        let correction = (self.requests.accepted as f64 / SAMPLE / 2.0).min(0.5);
        let raise = (QUIET / (self.requests.accepted as f64 / elapsed)).max(1.0);
        let mut is_same = self.stage == Stage::Settled && self.busy >= self.recover / 2.0;
        for flow in [&mut self.requests, &mut self.tokens] {
            let was = flow.ceiling;
            let rate = was * factor;
            let seen = (flow.accepted as f64 / elapsed).max(flow.lately(minute));
            flow.ceiling = match self.stage {
                Stage::Free => seen * raise,
                _ if seen == 0.0 => was,
                _ if is_in_flow => seen.clamp(rate * (1.0 - correction), rate),
                _ => rate,
            };
            is_same &= (flow.ceiling - was).abs() <= was * SAME;
            (flow.before, flow.accepted) = (flow.accepted, 0);
        }
        let burst = self.requests.bucket.capacity();
        let (stage, burst) = match self.stage {
            // The longer it went well, the less of it had been saved up before.
            Stage::Free => (Stage::Seeking { from: (elapsed / FLOW).clamp(SEEK, BELOW) }, 1.0),
            _ if is_in_flow => (Stage::Settled, burst),
            _ => (Stage::Settled, (burst / 2.0).max(1.0)),
        };
        if self.stage == Stage::Free {
            (self.slot, self.slots) = (now, 0);
            (self.requests.lately, self.tokens.lately) = ([0; SLOTS], [0; SLOTS]);
        }
        self.recover = match is_same {
            true => (2.0 * self.recover).min(LONGEST_RECOVER),
            false => (self.recover / 2.0).max(RECOVER),
        };
        self.stage = stage;
        (self.since, self.before, self.busy) = (now, elapsed, 0.0);
        self.set(now, burst);
        // Whatever was saved up, nothing is left of it. How many tokens are, is not known as well.
        let Self { requests, tokens, .. } = self;
        requests.bucket.set_used(now, requests.bucket.capacity());
        tokens.bucket.set_used(now, tokens.bucket.capacity() / 2.0);
    }

    /// Nothing is accepted for so long after the last refusal. So what was accepted before was all for that time, too: a
    /// window may have been spent early.
    fn has_waited(&mut self, now: Time, rest: f64) {
        if self.stage == Stage::Free || rest < self.before / 4.0 {
            return;
        }
        let minute = self.turn_slots(now);
        for flow in [&mut self.requests, &mut self.tokens] {
            let seen = flow.before as f64 / (self.before + rest);
            flow.ceiling = flow.ceiling.min(seen.max(flow.lately(minute)));
        }
        if let Stage::Seeking { from } = &mut self.stage {
            *from = BELOW;
        }
        self.set(now, self.requests.bucket.capacity());
    }

    /// How long it rests after a refusal.
    fn rest(&self) -> u64 {
        let unit = 1.0 / self.requests.bucket.rate();
        let first = match self.stage {
            Stage::Free => 1.0,
            // It may be a window: then its end is about as far away as its beginning. But a first refusal may be an
            // accident.
            Stage::Seeking { .. } if self.misses > 1 => {
                return longer(unit.max(self.before / 5.0), self.misses - 1);
            }
            Stage::Seeking { .. } => unit.max((self.before / 5.0).min(FIRST_REST)),
            Stage::Settled => unit,
        };
        longer(first.max(SHORTEST_REST), self.misses)
    }

    /// The pace beside the rate that was last refused.
    fn factor(&self) -> f64 {
        match self.stage {
            Stage::Free => 1.0,
            Stage::Seeking { from } => {
                let sample = (self.requests.before as f64).min(SAMPLE);
                from * (self.busy / (SEEK_SECONDS + sample * SEEK_SECONDS_EACH)).exp()
            }
            Stage::Settled => 1.0 + (1.0 - BELOW) * (self.busy / self.recover - 1.0).powi(3),
        }
    }

    fn grow(&mut self, now: Time, cost: &Cost) {
        let mut burst = self.requests.bucket.capacity();
        let used = self.requests.bucket.used(now);
        self.has_rested |= used == 0.0;
        if self.has_rested && used + 1.5 > burst {
            self.has_rested = false;
            burst *= BURST_GROWTH;
        }
        // A request that leaves as soon as it may has waited for that.
        let soon = nanos(0.25 / self.requests.bucket.rate()).max(SECOND / 20);
        if now.since(self.room(cost)) <= soon {
            let gap = now.since(self.last_sent.max(self.since).max(self.hold));
            self.busy += seconds(gap).min(10.0);
        }
        self.set(now, burst);
    }

    fn set(&mut self, now: Time, burst: f64) {
        let factor = self.factor();
        let requests = self.requests.ceiling * factor;
        let tokens = self.tokens.ceiling * factor;
        let burst = burst.min((requests * BURST_SECONDS).max(1.0));
        self.requests.bucket.set_rate(now, requests);
        self.requests.bucket.set_capacity(burst);
        self.tokens.bucket.set_rate(now, tokens * TOKENS);
        self.tokens.bucket.set_capacity(tokens / requests * (burst + TOKENS_BURST));
    }

    fn elapsed(&self, now: Time) -> f64 {
        seconds(now.since(self.since)).max(1.0)
    }

    /// How many seconds the slots hold, if that is a minute or more.
    fn turn_slots(&mut self, now: Time) -> Option<f64> {
        let passed = now.since(self.slot) / SLOT;
        for _ in 0..passed.min(SLOTS as u64) {
            for flow in [&mut self.requests, &mut self.tokens] {
                flow.lately.rotate_right(1);
                flow.lately[0] = 0;
            }
            self.slots = (self.slots + 1).min(SLOTS);
        }
        self.slot = self.slot.plus(passed * SLOT);
        let older = SLOT * (SLOTS as u64 - 1);
        (self.slots == SLOTS).then(|| seconds(older + now.since(self.slot)))
    }
}

impl Flow {
    fn note(&mut self, units: u64) {
        self.accepted += units;
        self.lately[0] += units;
    }

    /// Accepted per second in the last minute, which had so many seconds.
    fn lately(&self, minute: Option<f64>) -> f64 {
        minute.map_or(0.0, |minute| self.lately.iter().sum::<u64>() as f64 / minute)
    }
}

/// A rest in seconds, after so many refusals in a row, in nanoseconds.
fn longer(first: f64, misses: u32) -> u64 {
    let times = misses.saturating_sub(1).min(16) as i32;
    nanos((first * REST_GROWTH.powi(times)).min(LONGEST_REST))
}
