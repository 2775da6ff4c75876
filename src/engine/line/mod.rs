//! The line of waiting requests in a lane: first come, first served within a priority, and fair
//! between tenants.
//!
//! [`tenants`] holds the fair shares.

pub(crate) mod tenants;

use std::collections::VecDeque;

use crate::{
    engine::{
        ask::{Ask, Cost},
        ids::{TenantIx, WaiterId},
        line::tenants::Tenants,
        time::Time,
    },
    limit::Metered,
};

/// How many waiting requests a look at the line considers. A request that cannot be served may be
/// passed by one behind it, if this does not delay it.
pub(crate) const LOOK_BEHIND: usize = 16;

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    pub(crate) ask: Ask,
}

/// The waiting requests of one lane: one queue for each tenant, ordered by rank.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queues: Vec<Queue>,
    length: usize,
}

#[derive(Debug)]
struct Queue {
    tenant: TenantIx,
    waiters: VecDeque<Waiter>,
    sum: Sum,
}

/// The sum of what several waiting requests ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) costs: Cost,
}

/// A place in line: the tenant's queue, and how many requests of the same tenant are ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) behind: usize,
    queue: usize,
}

/// The first few places of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    places: [Place; LOOK_BEHIND],
    number: usize,
}

impl Places {
    fn fill(&mut self, places: impl Iterator<Item = Place>) {
        for (free, place) in self.places.iter_mut().zip(places) {
            *free = place;
            self.number += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[Place] {
        &self.places[..self.number]
    }
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Whether requests of more than one tenant wait.
    pub(crate) fn is_shared(&self) -> bool {
        self.queues.len() > 1
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Waiter> {
        self.queues.get(place.queue)?.waiters.get(place.behind)
    }

    /// The places to look at, in the order of service: first the first request of each tenant, the
    /// least served tenant first, then the second of each.
    pub(crate) fn first(&self, tenants: &Tenants) -> Places {
        let mut places = Places { places: [Place::default(); LOOK_BEHIND], number: 0 };
        if let [queue] = self.queues.as_slice() {
            places.fill((0..queue.waiters.len()).map(|behind| Place { behind, queue: 0 }));
            return places;
        }
        let turn = |&queue: &usize| {
            let queue = &self.queues[queue];
            (tenants.served(queue.tenant), queue.waiters.front().map(|waiter| waiter.ask.rank))
        };
        let mut queues: Vec<_> = (0..self.queues.len()).collect();
        if queues.len() > LOOK_BEHIND {
            queues.select_nth_unstable_by_key(LOOK_BEHIND, turn);
            queues.truncate(LOOK_BEHIND);
        }
        queues.sort_by_key(turn);
        let round = |behind| queues.iter().map(move |&queue| Place { behind, queue });
        let all = (0..LOOK_BEHIND).flat_map(round);
        places.fill(all.filter(|place| self.get(*place).is_some()));
        places
    }

    /// The request to serve next, and the virtual time of its tenant.
    pub(crate) fn head(&self, tenants: &Tenants) -> Option<(u128, &Waiter)> {
        let heads = self
            .queues
            .iter()
            .filter_map(|queue| Some((tenants.served(queue.tenant), queue.waiters.front()?)));
        heads.min_by_key(|(served, waiter)| (*served, waiter.ask.rank))
    }

    /// Joins behind all requests of the same tenant and rank; returns how many are ahead.
    pub(crate) fn join(&mut self, waiter: Waiter) -> usize {
        self.length += 1;
        let tenant = waiter.ask.tenant;
        let queue = match self.queues.iter().position(|queue| queue.tenant == tenant) {
            Some(queue) => queue,
            None => {
                let (waiters, sum) = (VecDeque::new(), Sum::default());
                self.queues.push(Queue { tenant, waiters, sum });
                self.queues.len() - 1
            }
        };
        self.queues[queue].join(waiter)
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Waiter> {
        let queue = self.queues.get_mut(place.queue)?;
        let waiter = queue.waiters.remove(place.behind)?;
        queue.sum.subtract(&waiter.ask.cost);
        self.length -= 1;
        // Keeps the last queue and its allocation: most lines have one tenant and are often empty.
        if queue.waiters.is_empty() && self.queues.len() > 1 {
            self.queues.swap_remove(place.queue);
        }
        Some(waiter)
    }

    pub(crate) fn leave(&mut self, id: WaiterId, ask: &Ask) -> Option<Waiter> {
        let queue = self.queues.iter().position(|queue| queue.tenant == ask.tenant)?;
        let behind = self.queues[queue].find(id, ask.rank)?;
        self.take(Place { behind, queue })
    }

    /// The last waiting request of a tenant.
    pub(crate) fn last_of(&self, tenant: TenantIx) -> Option<&Waiter> {
        self.queues.iter().find(|queue| queue.tenant == tenant)?.waiters.back()
    }

    /// What is asked for by the requests that will be served before one that joins now: those of
    /// its own tenant ahead of it, and of each other tenant as many as its weight allows meanwhile.
    pub(crate) fn ahead_of(&self, ask: &Ask, tenants: &Tenants) -> Sum {
        let own = self.queues.iter().find(|queue| queue.tenant == ask.tenant);
        let own = own.map(|queue| queue.ahead_of(ask.rank)).unwrap_or_default();
        if self.queues.len() < 2 && self.queues.iter().all(|queue| queue.tenant == ask.tenant) {
            return own;
        }
        let others = self.queues.iter().filter(|queue| queue.tenant != ask.tenant);
        others.fold(own, |sum, queue| {
            let turns = (own.requests + 1).saturating_mul(tenants.weight(queue.tenant));
            sum.plus(queue.sum.first(turns.div_ceil(tenants.weight(ask.tenant))))
        })
    }
}

impl Queue {
    fn join(&mut self, waiter: Waiter) -> usize {
        self.sum.add(&waiter.ask.cost);
        let place = self.waiters.partition_point(|other| other.ask.rank <= waiter.ask.rank);
        self.waiters.insert(place, waiter);
        place
    }

    fn find(&self, id: WaiterId, rank: Time) -> Option<usize> {
        let first = self.waiters.partition_point(|waiter| waiter.ask.rank < rank);
        let beyond = self.waiters.iter().skip(first).position(|waiter| waiter.id == id)?;
        Some(first + beyond)
    }

    /// What is asked for by the requests ahead of this rank.
    fn ahead_of(&self, rank: Time) -> Sum {
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

    /// The share of the first `requests` requests, as if all asked for the same.
    fn first(self, requests: u64) -> Self {
        if requests >= self.requests {
            return self;
        }
        let part = |amount: u64| {
            (u128::from(amount) * u128::from(requests) / u128::from(self.requests.max(1))) as u64
        };
        let Cost { input, output, spend } = self.costs;
        let costs = Cost { input: part(input), output: part(output), spend: part(spend) };
        Self { requests, costs }
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
