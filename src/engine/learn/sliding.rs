//! A sliding window: what was spent comes back a period after it was.

use crate::engine::time::{SECOND, Time};

use super::{answer::Answer, bucket::Bucket, log::Log};

/// What is said to come back is tried so much later: requests do not arrive as evenly as they leave.
const SKEW: u64 = SECOND / 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Sliding {
    /// What was spent here.
    log: Log,
    /// What others seem to have spent. It comes back over a period, as it is not known when it was spent.
    others: Bucket,
    /// When the provider says that all is back: then one request is tried, whatever the log says.
    probe: Option<Time>,
}

impl Sliding {
    /// `rate` is the amount per second.
    pub(super) fn new(answer: &Answer, amount: u64, period: u64, rate: f64) -> Self {
        let mut log = Log::new(answer.came, period);
        // The answer has counted its own request, and perhaps none that was sent after it.
        log.take(answer.came, answer.request.cost.saturating_add(answer.request.after()));
        let others = Bucket::new(answer.came, rate, amount as f64);
        Self { log, others, probe: probe_of(answer) }
    }

    pub(super) fn set_period(&mut self, now: Time, period: u64) {
        self.log.set_period(now, period);
    }

    pub(super) fn set_rate(&mut self, now: Time, rate: f64) {
        self.others.set_rate(now, rate);
    }

    /// Takes in an answer: what is missing and was not spent here was spent by others.
    pub(super) fn count(&mut self, answer: &Answer, amount: u64) {
        let after = answer.request.after();
        // What was sent after the request may have been counted before it.
        let own = self.log.spent(answer.came).max(after);
        let others = amount.saturating_sub(answer.left).saturating_sub(own) as f64;
        if others > self.others.used(answer.came) {
            self.others.set_used(answer.came, others);
        }
        self.probe = probe_of(answer);
    }

    /// The most that the answer to a request should say is left.
    pub(super) fn predicted(&self, answer: &Answer, amount: u64) -> u64 {
        let spent = self.log.surely_spent(answer.came) as f64 + self.others.used(answer.came);
        ((amount as f64 - spent).max(0.0) as u64).saturating_add(answer.request.after())
    }

    pub(super) fn left(&self, now: Time, amount: u64) -> u64 {
        let spent = self.log.spent(now) as f64 + self.others.used(now);
        (amount as f64 - spent).max(0.0) as u64
    }

    pub(super) fn room(&self, now: Time, units: u64, amount: u64) -> Time {
        let open = self.room_of_log(now, units, amount);
        self.probe.map_or(open, |probe| open.min(probe))
    }

    fn room_of_log(&self, now: Time, units: u64, amount: u64) -> Time {
        let most = amount.saturating_sub(units);
        // When one of the two is low enough, should the other stay as it is.
        let beside = self.log.spent(now).min(most).saturating_add(units);
        let by_others = self.others.room(beside as f64).max(self.log.falls_to(now, most));
        let left_to_own = most as f64 - self.others.used(now);
        match left_to_own >= 0.0 {
            true => by_others.min(self.log.falls_to(now, left_to_own as u64)),
            false => by_others,
        }
    }

    pub(super) fn take(&mut self, now: Time, units: u64, amount: u64) {
        let is_due = self.probe.is_some_and(|probe| probe <= now);
        if is_due && self.room_of_log(now, units, amount) > now {
            self.probe = None;
        }
        self.log.take(now, units);
    }

    pub(super) fn settle(&mut self, now: Time, taken: Time, reserved: u64, used: u64) {
        match used.checked_sub(reserved) {
            Some(more) => self.log.take(now, more),
            None => self.log.give_back(taken, reserved - used),
        }
    }
}

fn probe_of(answer: &Answer) -> Option<Time> {
    answer.full().map(|full| full.plus(SKEW))
}
