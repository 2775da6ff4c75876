//! The running count against one limit: a token bucket, a window, or the number of requests under
//! way.
//!
//! [`Meter`] is the count. [`rolling`] holds the token bucket, [`window`] the fixed window,
//! [`quota`] all meters that count one request, and [`round_trip`] the measured jitter that bounds
//! how exact a count can be.

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

/// A limit is nearly reached from this used share on, in 65,536ths: four fifths.
pub(in crate::engine) const NEAR: u64 = (4 << 16) / 5;

const HALF: u64 = 1 << 15;

/// Only limits with at least this period are announced when nearly reached: one hour. For shorter
/// periods it happens all the time.
const LONG_PERIOD: Duration = Duration::from_secs(3_600);

/// The running count against one limit of one account, key or budget.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) limit: Arc<Limit>,
    /// What was declared, before the provider said less.
    pub(crate) declared: Arc<Limit>,
    /// The version of the declared limits from which on this limit exists. It does not count
    /// requests that were admitted before.
    pub(crate) since: u32,
    gauge: Gauge,
    recent: Recent,
    /// Whether an event has announced that it is nearly reached.
    near: Latch,
}

#[derive(Clone, Debug)]
enum Gauge {
    Rolling(Rolling),
    /// Boxed, because it is larger than the others and rarer.
    Window(Box<Window>),
    InFlight {
        open: u64,
        most: u64,
    },
}

/// What a response reports about a limit, and the request that it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) remaining: u64,
    pub(crate) reset: Option<Duration>,
    pub(crate) sent: Time,
    pub(crate) cost: &'a Cost,
}

/// One request may put a meter into debt for at most this many periods, so that the effect of wrong
/// figures ends.
const MAX_DEBT_PERIODS: u64 = 4;

impl Meter {
    /// `wall` is the wall-clock time at the engine's start.
    pub(crate) fn new(limit: Arc<Limit>, wall: Timestamp) -> Self {
        let gauge = match (limit.metered(), &limit.window) {
            (Metered::Concurrent, _) => Gauge::InFlight { open: 0, most: limit.amount() },
            (_, Edges::Rolling) => Gauge::Rolling(Rolling::new(&limit, limit.largest_demand())),
            (_, Edges::Fixed { .. }) => Gauge::Window(Box::new(Window::new(&limit, wall))),
        };
        let declared = Arc::clone(&limit);
        Self { limit, declared, since: 0, gauge, recent: Recent::default(), near: Latch::default() }
    }

    /// Counts requests from a version of the declared limits on.
    pub(crate) fn beginning_with(mut self, epoch: u32) -> Self {
        self.since = epoch;
        self
    }

    /// Whether this is the count against a declared limit, possibly with another amount.
    pub(crate) fn is_of(&self, limit: &Limit) -> bool {
        self.limit.metered() == limit.metered()
            && self.limit.period() == limit.period()
            && self.limit.window == limit.window
            && self.limit.models == limit.models
    }

    /// Whether the limit was declared with exactly this amount.
    pub(crate) fn is_declared_as(&self, limit: &Limit) -> bool {
        let is_it = |was: &Limit| (was.amount(), was.burst) == (limit.amount(), limit.burst);
        self.is_of(limit) && is_it(&self.declared)
    }

    /// Applies a new declaration of the limit. If the amount changed, what the provider reported
    /// about it is dropped. The units taken so far stay taken.
    pub(crate) fn declare(&mut self, now: Time, limit: &Arc<Limit>, round_trip: &RoundTrip) {
        if self.is_declared_as(limit) {
            return;
        }
        self.limit = Arc::clone(limit);
        self.declared = Arc::clone(limit);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => {
                rolling.declare(now, limit, limit.largest_demand(), round_trip.margin());
            }
            Gauge::Window(window) => window.set_amount(limit.amount()),
            Gauge::InFlight { most, .. } => *most = limit.amount(),
        }
    }

    /// Counts against another amount from now on. The units taken so far stay taken.
    pub(crate) fn set_amount(&mut self, amount: u64, burst: Option<u64>, round_trip: &RoundTrip) {
        let limit = Arc::make_mut(&mut self.limit);
        (limit.amount, limit.burst) = (amount, burst);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => {
                rolling.set_largest(self.limit.largest_demand());
                rolling.set(&self.limit, round_trip.margin());
            }
            Gauge::Window(window) => window.set_amount(amount),
            Gauge::InFlight { most, .. } => *most = amount,
        }
    }

    pub(crate) fn set_margin(&mut self, round_trip: &RoundTrip) {
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.set(&self.limit, round_trip.margin()),
            Gauge::Window(window) => window.set_margin(round_trip.margin()),
            Gauge::InFlight { .. } => {}
        }
    }

    /// How many units a demand costs here.
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

    pub(crate) fn take(&mut self, now: Time, cost: &Cost, round_trip: &RoundTrip) {
        let units = self.share_of(cost);
        match &mut self.gauge {
            Gauge::InFlight { open, .. } => *open += units,
            _ if units == 0 => {}
            Gauge::Rolling(rolling) => rolling.take(now, units),
            Gauge::Window(window) => window.take(now, units),
        }
        self.recent.take(now, round_trip.shortest(), units);
    }

    /// Moves the count from the reserved cost to the used cost, and returns whether this gave room
    /// back. Concurrency does not change here: [`release`](Self::release) frees it.
    pub(crate) fn settle(&mut self, now: Time, taken: Time, reserved: &Cost, used: &Cost) -> bool {
        let (reserved, used) = (self.share_of(reserved), self.share_of(used));
        let used = used.min(reserved.max(self.limit.amount().saturating_mul(MAX_DEBT_PERIODS)));
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.settle(now, taken, reserved, used),
            Gauge::Window(window) => window.settle(now, taken, reserved, used),
            Gauge::InFlight { .. } => false,
        }
    }

    /// Gives back a reservation whose request was not sent.
    pub(crate) fn refund(&mut self, now: Time, taken: Time, reserved: &Cost) {
        let reserved = self.share_of(reserved);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.settle(now, taken, reserved, 0),
            Gauge::Window(window) => window.settle(now, taken, reserved, 0),
            Gauge::InFlight { .. } => false,
        };
    }

    /// Ends a request. Returns whether it freed the last unit of concurrency.
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

    /// Takes in what the provider reports as left, and when the limit resets. Requests that the
    /// provider cannot have counted yet are subtracted. Returns whether the limit resets earlier
    /// than expected.
    pub(crate) fn lower(&mut self, now: Time, report: &Report<'_>, round_trip: &RoundTrip) -> bool {
        let own = self.share_of(report.cost);
        let unseen = self.recent.unseen(now, round_trip.shortest(), report.sent, own);
        let remaining = report.remaining.saturating_sub(unseen);
        match &mut self.gauge {
            Gauge::Rolling(rolling) => rolling.lower(now, remaining),
            Gauge::Window(window) => return window.lower(now, remaining, report.reset),
            Gauge::InFlight { .. } => {}
        }
        false
    }

    /// What to save over a restart; `None` if nothing is spent.
    pub(crate) fn spent(&self, now: Time) -> Option<Spent> {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.spent(now),
            Gauge::Window(window) => window.spent(now),
            Gauge::InFlight { .. } => None,
        }
    }

    /// Restores a saved count, where it is higher than the current one.
    pub(crate) fn spend(&mut self, now: Time, spent: Spent) {
        match (&mut self.gauge, spent) {
            (Gauge::Rolling(rolling), Spent::Paid(paid)) => {
                // More than one period is debt, or the saved clock was wrong.
                rolling.spend(now, paid.min(now.after(self.limit.period())));
            }
            (Gauge::Window(window), Spent::Used { amount, ends }) => {
                window.spend(now, amount, ends);
            }
            _ => {}
        }
    }

    /// The spent share of what may be spent at once, in 65,536ths; above 65,536 when in debt.
    pub(crate) fn used_share(&self, now: Time) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.used_share(now),
            Gauge::Window(window) => window.used_share(now),
            Gauge::InFlight { open, most } => (open << 16) / (*most).max(1),
        }
    }

    /// Whether an event announces that it is nearly reached: a limit on spending, or a period of an
    /// hour or longer.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.limit.period() >= LONG_PERIOD || self.limit.metered() == Metered::Spend
    }

    /// Whether it has come near its limit and this is news: it was below half since the last event.
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

    /// The time in which as much refills as a demand takes, in nanoseconds; `None` if time does not
    /// refill it.
    pub(crate) fn span(&self, cost: &Cost) -> u64 {
        match (&self.gauge, self.share_of(cost)) {
            (Gauge::Rolling(rolling), units) => rolling.span(units),
            (Gauge::Window(window), units) => window.span(units),
            (Gauge::InFlight { .. }, _) => 0,
        }
    }

    /// How many units could be spent at once now.
    pub(crate) fn remaining(&self, now: Time) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.free_by(now, now),
            Gauge::Window(window) => window.free_by(now, now),
            Gauge::InFlight { open, most } => most.saturating_sub(*open),
        }
    }

    /// How many units can be taken from `now` until `then` if no other request takes any; `None` if
    /// time does not refill them.
    pub(crate) fn free_by(&self, now: Time, then: Time) -> Option<u64> {
        match &self.gauge {
            Gauge::Rolling(rolling) => Some(rolling.free_by(now, then)),
            Gauge::Window(window) => Some(window.free_by(now, then)),
            Gauge::InFlight { .. } => None,
        }
    }

    /// The most room that a demand can need: a larger one is admitted when the meter is at rest.
    pub(crate) fn most_at_once(&self) -> u64 {
        match &self.gauge {
            Gauge::Rolling(rolling) => rolling.most_at_once(),
            Gauge::Window(_) | Gauge::InFlight { .. } => self.limit.amount(),
        }
    }
}
