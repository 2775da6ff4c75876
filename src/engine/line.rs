//! The line of those who wait: first come, first served within a priority.

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

/// The waiters of one lane, by rank.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiters: VecDeque<Waiter>,
    sum: Sum,
}

/// What a line asks for in sum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) costs: Cost,
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

    /// Joins behind everybody of the same rank, and says in which place.
    pub(crate) fn join(&mut self, waiter: Waiter) -> usize {
        self.sum.add(&waiter.ask.cost);
        let place = self.waiters.partition_point(|other| other.ask.rank <= waiter.ask.rank);
        self.waiters.insert(place, waiter);
        place
    }

    pub(crate) fn take(&mut self, place: usize) -> Option<Waiter> {
        let waiter = self.waiters.remove(place)?;
        self.sum.subtract(&waiter.ask.cost);
        Some(waiter)
    }

    pub(crate) fn leave(&mut self, id: WaiterId, rank: Time) -> Option<Waiter> {
        let first = self.waiters.partition_point(|waiter| waiter.ask.rank < rank);
        let beyond = self.waiters.iter().skip(first).position(|waiter| waiter.id == id)?;
        self.take(first + beyond)
    }

    /// What those ask for who are ahead of somebody of this rank.
    pub(crate) fn ahead_of(&self, rank: Time) -> Sum {
        let mut sum = self.sum;
        let behind = self.waiters.iter().rev().take_while(|waiter| waiter.ask.rank > rank);
        behind.for_each(|waiter| sum.subtract(&waiter.ask.cost));
        sum
    }
}

impl Sum {
    fn add(&mut self, cost: &Cost) {
        self.requests += 1;
        self.costs.input += cost.input;
        self.costs.output += cost.output;
        self.costs.spend += cost.spend;
    }

    fn subtract(&mut self, cost: &Cost) {
        self.requests -= 1;
        self.costs.input -= cost.input;
        self.costs.output -= cost.output;
        self.costs.spend -= cost.spend;
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (mine, theirs) = (self.costs, other.costs);
        let costs = Cost {
            input: mine.input + theirs.input,
            output: mine.output + theirs.output,
            spend: mine.spend + theirs.spend,
        };
        Self { requests: self.requests + other.requests, costs }
    }

    pub(crate) fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => self.requests,
            _ => self.costs.of(metered),
        }
    }
}
