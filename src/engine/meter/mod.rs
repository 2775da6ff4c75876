//! The running count against one limit.

pub(crate) mod claims;
pub(crate) mod quota;
pub(crate) mod recent;
pub(crate) mod rolling;
pub(crate) mod round_trip;
pub(crate) mod spent;
pub(crate) mod window;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    Limit,
    engine::{
        ask::Cost,
        latch::Latch,
        meter::{
            recent::Recent, rolling::Rolling, round_trip::RoundTrip, spent::Spent, window::Window,
        },
        room::Room,
        time::Time,
    },
    limit::{Metered, Window as Edges},
};

/// From this share of what may be spent at once on, in 65,536ths: four fifths.
pub(in crate::engine) const NEAR: u64 = (4 << 16) / 5;

const HALF: u64 = 1 << 15;

/// That little is left of a shorter period is an everyday matter. An hour.
const LONG: Duration = Duration::from_secs(3_600);

/// The running count against one limit of one account.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) limit: Arc<Limit>,
    /// What was declared, before the provider said less.
    pub(crate) declared: Arc<Limit>,
    /// From which change of the declared limits on there is such a limit: what was admitted before is
    /// not counted by it.
    pub(crate) since: u32,
    gauge: Gauge,
    recent: Recent,
    /// Whether it was told that it is nearly reached.
    near: Latch,
}

#[derive(Clone, Debug)]
enum Gauge {
    Rolling(Rolling),
    /// Larger than the others, and rarer.
    Window(Box<Window>),
    InFlight {
        open: u64,
        most: u64,
    },
}

/// What a response tells of a limit, and of which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) remaining: u64,
    pub(crate) reset: Option<Duration>,
    pub(crate) sent: Time,
    pub(crate) cost: &'a Cost,
}

/// A single request is in debt for so many periods at most: figures that are wrong end some time.
const DEBT: u64 = 4;

impl Meter {
    /// `wall` is the time of day at the engine's beginning.
    pub(crate) fn new(limit: Arc<Limit>, wall: Timestamp) -> Self {
        let gauge = match (limit.metered(), &limit.window) {
            (Metered::Concurrent, _) => Gauge::InFlight { open: 0, most: limit.amount() },
            (_, Edges::Rolling) => Gauge::Rolling(Rolling::new(&limit, limit.largest_demand())),
            (_, Edges::Fixed { .. }) => Gauge::Window(Box::new(Window::new(&limit, wall))),
        };
        let declared = Arc::clone(&limit);
        Self { limit, declared, since: 0, gauge, recent: Recent::default(), near: Latch::default() }
    }

    /// Counts what is admitted from a change of the declared limits on.
    pub(crate) fn beginning_with(mut self, epoch: u32) -> Self {
        self.since = epoch;
        self
    }

    /// Whether this is the count against a declared limit, perhaps with another amount.
    pub(crate) fn is_of(&self, limit: &Limit) -> bool {
        self.limit.metered() == limit.metered()
            && self.limit.period() == limit.period()
            && self.limit.window == limit.window
            && self.limit.models == limit.models
    }

    /// Whether the limit was declared with just this amount.
    pub(crate) fn is_declared_as(&self, limit: &Limit) -> bool {
        let is_it = |was: &Limit| (was.amount(), was.burst) == (limit.amount(), limit.burst);
        self.is_of(limit) && is_it(&self.declared)
    }

    /// The limit was declared anew. Where its amount is another, what the provider said of it is
    /// forgotten, and what was taken stays taken.
    pub(crate) fn declare(&mut self, now: Time, limit: &Arc<Limit>, way: &RoundTrip) {
        if self.is_declared_as(limit) {
            return;
        }
        self.limit = Arc::clone(limit);
        self.declared = Arc::clone(limit);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => {
                rolling.declare(now, limit, limit.largest_demand(), way.margin());
            }
            Gauge::Window(window) => window.set_amount(limit.amount()),
            Gauge::InFlight { most, .. } => *most = limit.amount(),
        }
    }

    /// Counts against another amount from now on; what was taken stays taken.
    pub(crate) fn set_amount(&mut self, amount: u64, burst: Option<u64>, way: &RoundTrip) {
        let limit = Arc::make_mut(&mut self.limit);
        (limit.amount, limit.burst) = (amount, burst);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => {
                rolling.set_largest(self.limit.largest_demand());
                rolling.set(&self.limit, way.margin());
            }
            Gauge::Window(window) => window.set_amount(amount),
            Gauge::InFlight { most, .. } => *most = amount,
        }
    }

    pub(crate) fn set_margin(&mut self, way: &RoundTrip) {
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.set(&self.limit, way.margin()),
            Gauge::Window(window) => window.set_margin(way.margin()),
            Gauge::InFlight { .. } => {}
        }
    }

    /// What a demand costs here.
    fn share_of(&self, cost: &Cost) -> u64 {
        cost.of(self.limit.metered())
    }

    pub(crate) fn room(&self, cost: &Cost) -> Room {
        match (&self.gauge, self.share_of(cost)) {
            (_, 0) => Room::At(Time::ZERO),
            (Gauge::Rolling(rolling), units) => rolling.room(units),
            (Gauge::Window(window), units) => window.room(units),
            (Gauge::InFlight { open, most }, _) if open < most => Room::At(Time::ZERO),
            (Gauge::InFlight { .. }, _) => Room::OnChange,
        }
    }

    pub(crate) fn take(&mut self, now: Time, cost: &Cost, way: &RoundTrip) {
        let units = self.share_of(cost);
        match &mut self.gauge {
            Gauge::InFlight { open, .. } => *open += units,
            _ if units == 0 => {}
            Gauge::Rolling(rolling) => rolling.take(now, units),
            Gauge::Window(window) => window.take(now, units),
        }
        self.recent.take(now, way.least(), units);
    }

    /// Moves the count from what was reserved to what was used. Concurrency is not touched: it is
    /// freed by [`release`](Self::release). Whether room was given back.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: &Cost, used: &Cost) -> bool {
        let (reserved, used) = (self.share_of(reserved), self.share_of(used));
        let used = used.min(reserved.max(self.limit.amount().saturating_mul(DEBT)));
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.settle(now, taken, reserved, used),
            Gauge::Window(window) => window.settle(now, taken, reserved, used),
            Gauge::InFlight { .. } => false,
        }
    }

    /// A request was not sent after all.
    pub(crate) fn refund(&mut self, now: Time, taken: Time, reserved: &Cost) {
        let reserved = self.share_of(reserved);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.settle(now, taken, reserved, 0),
            Gauge::Window(window) => window.settle(now, taken, reserved, 0),
            Gauge::InFlight { .. } => false,
        };
    }

    /// A request has ended. Whether it gave back the last of the room.
    pub(crate) fn release(&mut self) -> bool {
        match &mut self.gauge {
            Gauge::Rolling(_) | Gauge::Window(_) => false,
            Gauge::InFlight { open, most } => {
                let was_full = *open >= *most;
                *open = open.saturating_sub(1);
                was_full
            }
        }
    }

    /// The provider says that only so much is left of such a limit, and when all of it is back. What is
    /// still on its way there is left out of that. Whether it is back sooner than it was thought to be.
    pub(crate) fn lower(&mut self, now: Time, told: &Told<'_>, way: &RoundTrip) -> bool {
        let own = self.share_of(told.cost);
        let unseen = self.recent.unseen(now, way.least(), told.sent, own);
        let remaining = told.remaining.saturating_sub(unseen);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.lower(now, remaining),
            Gauge::Window(window) => return window.lower(now, remaining, told.reset),
            Gauge::InFlight { .. } => {}
        }
        false
    }

    /// What must not be forgotten of it; nothing if nothing is spent.
    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.spent(now),
            Gauge::Window(window) => window.spent(now),
            Gauge::InFlight { .. } => None,
        }
    }

    /// So much was spent before: it counts as far as it is more than what is known.
    pub(crate) fn spend(&mut self, now: Time, spent: Spent) {
        match (&mut self.gauge, spent) {
            (Gauge::Rolling(rolling), Spent::Paid(paid)) => {
                // What takes longer than a period to come back is debt, or a clock that was wrong.
                rolling.spend(now, paid.min(now.after(self.limit.period())));
            }
            (Gauge::Window(window), Spent::Used { amount, ends }) => {
                window.spend(now, amount, ends);
            }
            _ => {}
        }
    }

    /// How much of what may be spent at once is spent, in 65,536ths; more when in debt.
    pub(crate) fn used_share(&self, now: Time) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.used_share(now),
            Gauge::Window(window) => window.used_share(now),
            Gauge::InFlight { open, most } => (open << 16) / (*most).max(1),
        }
    }

    /// Whether it is told of before it is reached: a limit on spending, or one of an hour or longer.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.limit.period() >= LONG || self.limit.metered() == Metered::Spend
    }

    /// Whether it has come near its limit, and that is news: it was below half since it was last told.
    pub(crate) fn gets_near(&mut self, now: Time) -> bool {
        if !self.is_watched() {
            return false;
        }
        let share = self.used_share(now);
        if share < HALF {
            self.near.lower();
        }
        share >= NEAR && self.near.raise(now)
    }

    /// The time in which as much comes back as a demand takes, in nanoseconds; nothing if time is not
    /// what frees it.
    pub(crate) fn span(&self, cost: &Cost) -> u64 {
        match (&self.gauge, self.share_of(cost)) {
            (Gauge::Rolling(rolling), units) => rolling.span(units),
            (Gauge::Window(window), units) => window.span(units),
            (Gauge::InFlight { .. }, _) => 0,
        }
    }

    /// How much could be spent at once, now.
    pub(crate) fn remaining(&self, now: Time) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.free_by(now, now),
            Gauge::Window(window) => window.free_by(now, now),
            Gauge::InFlight { open, most } => most.saturating_sub(*open),
        }
    }

    /// How many units can be taken from now until then, if nobody else takes any; `None` if time is
    /// not what frees them.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> Option<u64> {
        match &self.gauge {
            Gauge::Rolling(rolling) => Some(rolling.free_by(now, then)),
            Gauge::Window(window) => Some(window.free_by(now, then)),
            Gauge::InFlight { .. } => None,
        }
    }

    /// The most room that a demand can need: a larger one is admitted at rest.
    pub(crate) fn most_at_once(&self) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.most_at_once(),
            Gauge::Window(_) | Gauge::InFlight { .. } => self.limit.amount(),
        }
    }
}
