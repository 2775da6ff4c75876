//! A simulation of learners at work: callers, one queue for all, accounts, and the way to their provider.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::engine::{
    ask::Cost,
    learn::{Elsewhere, Learner, Observation, Ticket},
    room::Room,
    time::{SECOND, Time},
};

use super::provider::{Account, Answer};

pub(super) const MILLI: u64 = SECOND / 1_000;
/// Callers wait so long.
pub(super) const PATIENCE: u64 = 60 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrivals {
    Steady,
    /// For ten seconds twice as many, for ten seconds none.
    Bursty,
    /// Callers who think for 20 s on the average after each answer.
    Thinking,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    /// Requests per second.
    pub(super) offered: f64,
    pub(super) arrivals: Arrivals,
    /// Nanoseconds; even on a logarithmic scale.
    pub(super) latency: (u64, u64),
    /// Tokens of a request, and how wrong its estimate may be.
    pub(super) tokens: (u64, u64),
    pub(super) error: f64,
    /// Others' requests per second to each account.
    pub(super) foreign: f64,
    /// The limits change by a factor after some seconds.
    pub(super) change: Option<(u64, f64)>,
    pub(super) seconds: u64,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Requests that were accepted in each second, and refused.
    accepted: Vec<u64>,
    refused: Vec<u64>,
    /// Refused by each account from the third minute on.
    settled: Vec<u64>,
    waits: Vec<u64>,
    /// Callers who waited for longer than their patience.
    pub(super) gave_up: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Comes,
    Arrives(usize),
    Answered(usize),
    Ends(usize),
    Other(usize),
    Changes,
    Look,
}

struct Call {
    since: Time,
    account: usize,
    ticket: Option<Ticket>,
    answer: Option<Answer>,
    cost: Cost,
    actual: Cost,
    sent: Time,
}

struct Run<'w> {
    world: &'w mut World,
    rng: fastrand::Rng,
    now: Time,
    steps: BinaryHeap<Reverse<(Time, u64, Step)>>,
    next: u64,
    learners: Vec<Learner>,
    served: Vec<u64>,
    calls: Vec<Call>,
    queue: VecDeque<usize>,
    look: Option<Time>,
    figures: Figures,
}

impl World {
    /// Runs it: what came of it, and what was learnt of each account.
    pub(super) fn run(mut self) -> (Figures, Vec<Learner>) {
        let accounts = self.accounts.len();
        let seconds = self.seconds as usize + 1;
        let mut run = Run {
            rng: fastrand::Rng::with_seed(self.seed),
            now: Time::ZERO,
            steps: BinaryHeap::new(),
            next: 0,
            learners: (0..accounts).map(|_| Learner::new(Time::ZERO, 4)).collect(),
            served: vec![0; accounts],
            calls: Vec::new(),
            queue: VecDeque::new(),
            look: None,
            figures: Figures {
                accepted: vec![0; seconds],
                refused: vec![0; seconds],
                settled: vec![0; accounts],
                ..Figures::default()
            },
            world: &mut self,
        };
        run.begin();
        run.steps();
        (run.figures, run.learners)
    }
}

impl Run<'_> {
    fn begin(&mut self) {
        match self.world.arrivals {
            Arrivals::Thinking => {
                let callers = (self.world.offered * 20.5).ceil() as u64;
                for _ in 0..callers {
                    let first = self.exponential(1.0 / 20.0);
                    self.at(first, Step::Comes);
                }
            }
            _ => self.at(0, Step::Comes),
        }
        if self.world.foreign > 0.0 {
            (0..self.learners.len()).for_each(|account| self.at(0, Step::Other(account)));
        }
        if let Some((after, _)) = self.world.change {
            self.at(after * SECOND, Step::Changes);
        }
    }

    fn steps(&mut self) {
        let end = Time::from_nanos(self.world.seconds * SECOND);
        while let Some(Reverse((now, _, step))) = self.steps.pop() {
            if now >= end {
                break;
            }
            self.now = now;
            match step {
                Step::Comes => self.comes(),
                Step::Arrives(call) => self.arrives(call),
                Step::Answered(call) => self.answered(call),
                Step::Ends(call) => self.ends(call),
                Step::Other(account) => {
                    let cost = Cost { input: 500, output: 500, spend: 0 };
                    self.world.accounts[account].spend(now, &cost);
                    let next = self.exponential(self.world.foreign);
                    self.at(next, Step::Other(account));
                }
                Step::Changes => {
                    if let Some((_, factor)) = self.world.change {
                        self.world.accounts.iter_mut().for_each(|a| a.scale(now, factor));
                    }
                }
                Step::Look => self.look = None,
            }
            self.serve();
        }
    }

    fn comes(&mut self) {
        let (least, most) = self.world.tokens;
        let tokens = self.rng.u64(least..=most);
        let error = self.world.error;
        let wrong = error.powf(2.0 * self.rng.f64() - 1.0);
        let actual = Cost { input: tokens / 2, output: tokens / 2, spend: 0 };
        let estimate = (tokens as f64 / 2.0 * wrong) as u64;
        let cost = Cost { input: estimate, output: estimate, spend: 0 };
        self.calls.push(Call {
            since: self.now,
            account: 0,
            ticket: None,
            answer: None,
            cost,
            actual,
            sent: self.now,
        });
        self.queue.push_back(self.calls.len() - 1);
        match self.world.arrivals {
            Arrivals::Steady => {
                let next = self.exponential(self.world.offered);
                self.at(next, Step::Comes);
            }
            Arrivals::Bursty => {
                let next = self.exponential(2.0 * self.world.offered);
                let then = self.now.plus(next).nanos();
                let off = then / (10 * SECOND) % 2 == 1;
                let next = if off { next + 10 * SECOND } else { next };
                self.at(next, Step::Comes);
            }
            Arrivals::Thinking => {}
        }
    }

    fn serve(&mut self) {
        while let Some(&call) = self.queue.front() {
            if self.now.since(self.calls[call].since) > PATIENCE {
                self.queue.pop_front();
                self.figures.gave_up += 1;
                self.thinks();
                continue;
            }
            let cost = self.calls[call].cost;
            let mut first = None;
            let mut best = None;
            for (account, learner) in self.learners.iter().enumerate() {
                match learner.room(self.now, &cost) {
                    Room::At(open) if open <= self.now => {
                        let rank = (learner.used_share(self.now), self.served[account]);
                        if best.is_none_or(|(least, _)| rank < least) {
                            best = Some((rank, account));
                        }
                    }
                    Room::At(open) => {
                        first = Some(first.map_or(open, |first: Time| first.min(open)));
                    }
                    Room::OnChange => {
                        let soon = self.now.plus(SECOND / 4);
                        first = Some(first.map_or(soon, |first: Time| first.min(soon)));
                    }
                    Room::Never => {}
                }
            }
            let Some((_, account)) = best else {
                if let Some(first) = first
                    && self.look.is_none_or(|look| look > first)
                {
                    self.look = Some(first);
                    let wait = first.since(self.now);
                    self.at(wait, Step::Look);
                }
                return;
            };
            self.queue.pop_front();
            self.send(call, account);
        }
    }

    fn send(&mut self, call: usize, account: usize) {
        let state = &mut self.calls[call];
        state.ticket = Some(self.learners[account].take(self.now, &state.cost));
        (state.account, state.sent) = (account, self.now);
        self.served[account] += 1;
        let way = self.rng.u64(5 * MILLI..=80 * MILLI);
        self.at(way, Step::Arrives(call));
    }

    fn arrives(&mut self, call: usize) {
        let state = &mut self.calls[call];
        let answer = self.world.accounts[state.account].ask(self.now, &state.actual);
        let (least, most) = self.world.latency;
        let latency = match answer.accepted {
            true => least as f64 * (most as f64 / least as f64).powf(self.rng.f64()),
            false => (30 * MILLI) as f64,
        };
        state.answer = Some(answer);
        self.at(latency as u64, Step::Answered(call));
    }

    fn answered(&mut self, call: usize) {
        let state = &mut self.calls[call];
        let (Some(answer), Some(ticket)) = (state.answer.take(), state.ticket) else { return };
        let learner = &mut self.learners[state.account];
        for reading in &answer.readings {
            learner.read(self.now, &ticket, reading);
        }
        let second = (self.now.nanos() / SECOND) as usize;
        if answer.accepted {
            learner.observe(self.now, &ticket, Observation::Accepted);
            self.figures.waits.push(state.sent.since(state.since));
            self.figures.accepted[second] += 1;
            self.at(0, Step::Ends(call));
        } else {
            let retry_after = answer.retry_after;
            learner.observe(
                self.now,
                &ticket,
                Observation::Refused { retry_after, elsewhere: Elsewhere::Nothing },
            );
            learner.observe(self.now, &ticket, Observation::Ended);
            self.figures.refused[second] += 1;
            if second >= 120 {
                self.figures.settled[state.account] += 1;
            }
            self.queue.push_front(call);
        }
    }

    fn ends(&mut self, call: usize) {
        let state = &self.calls[call];
        let Some(ticket) = state.ticket else { return };
        let learner = &mut self.learners[state.account];
        self.world.accounts[state.account].end();
        learner.observe(self.now, &ticket, Observation::Settled { used: state.actual });
        learner.observe(self.now, &ticket, Observation::Ended);
        self.thinks();
    }

    fn thinks(&mut self) {
        if self.world.arrivals == Arrivals::Thinking {
            let next = self.exponential(1.0 / 20.0);
            self.at(next, Step::Comes);
        }
    }

    fn exponential(&mut self, rate: f64) -> u64 {
        let seconds = -(1.0 - self.rng.f64()).ln() / rate;
        (seconds * SECOND as f64) as u64
    }

    fn at(&mut self, wait: u64, step: Step) {
        self.next += 1;
        self.steps.push(Reverse((self.now.plus(wait), self.next, step)));
    }
}

impl Figures {
    /// Refusals for each answer.
    pub(super) fn share_refused(&self, seconds: std::ops::Range<usize>) -> f64 {
        let refused: u64 = self.refused[seconds.clone()].iter().sum();
        refused as f64 / self.accepted(seconds).max(1) as f64
    }

    pub(super) fn accepted(&self, seconds: std::ops::Range<usize>) -> u64 {
        self.accepted[seconds].iter().sum()
    }

    /// Refusals a minute once settled, of an account on the average.
    pub(super) fn settled(&self) -> f64 {
        let minutes = (self.refused.len() - 1) as f64 / 60.0 - 2.0;
        self.settled.iter().sum::<u64>() as f64 / self.settled.len() as f64 / minutes
    }

    /// The wait that 99 % of the answered callers do not exceed, in seconds.
    pub(super) fn p99(&self) -> f64 {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let wait = waits.get(waits.len() * 99 / 100).copied().unwrap_or(0);
        wait as f64 / SECOND as f64
    }
}
