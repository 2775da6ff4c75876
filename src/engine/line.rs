//! The line of those who wait: first come, first served, bounded.

use std::collections::VecDeque;

use crate::limit::Metered;

use super::{
    demand::{Ask, Cost},
    time::Time,
};

/// Who waits, as the pool knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(pub(crate) usize);

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) ask: Ask,
}

/// The waiters of one lane, by when they first asked.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiters: VecDeque<Waiter>,
    requests: u64,
    input: u64,
    output: u64,
}

/// What a line asks for in sum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) tokens: Cost,
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Waiter> {
        self.waiters.get(place)
    }

    /// Joins behind everybody who asked before.
    pub(crate) fn join(&mut self, waiter: Waiter) {
        self.requests += 1;
        self.input = self.input.saturating_add(waiter.ask.cost.input);
        self.output = self.output.saturating_add(waiter.ask.cost.output);
        let place = self.waiters.partition_point(|other| other.ask.since <= waiter.ask.since);
        self.waiters.insert(place, waiter);
    }

    pub(crate) fn take(&mut self, place: usize) -> Option<Waiter> {
        let waiter = self.waiters.remove(place)?;
        self.requests -= 1;
        self.input = self.input.saturating_sub(waiter.ask.cost.input);
        self.output = self.output.saturating_sub(waiter.ask.cost.output);
        Some(waiter)
    }

    pub(crate) fn leave(&mut self, id: WaiterId, since: Time) -> Option<Waiter> {
        let first = self.waiters.partition_point(|waiter| waiter.ask.since < since);
        let beyond = self.waiters.iter().skip(first).position(|waiter| waiter.id == id)?;
        self.take(first + beyond)
    }

    pub(crate) fn sum(&self) -> Sum {
        Sum { requests: self.requests, tokens: Cost { input: self.input, output: self.output } }
    }
}

impl Sum {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            tokens: Cost {
                input: self.tokens.input.saturating_add(other.tokens.input),
                output: self.tokens.output.saturating_add(other.tokens.output),
            },
        }
    }

    pub(crate) fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => self.requests,
            _ => self.tokens.of(metered),
        }
    }
}
