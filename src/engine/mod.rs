//! The pure core: which request is sent with which key, and when.
//!
//! No async, no locks, no HTTP, and no clock of its own: `now` is an argument, every decision is a
//! plain function call on a plain struct, and effects are returned as values. The pool wraps it
//! with a lock, timers and wakers.
//!
//! An [`Ask`] describes a request. [`Engine::admit`] reserves its whole demand on one account, or
//! nothing. Without room, [`Engine::line_up`] puts it in line and [`Engine::serve`] admits it
//! later. The [`Grant`] is then judged, settled, and ended. [`Engine`] says which calls there are
//! and in which order to make them.

// The vocabulary that all files share.
mod ask;
mod grant;
mod ids;
mod latch;
mod named;
mod room;
mod setup;
mod time;

// Parts: data with its invariants. A part does not know the engine.
mod affinity;
mod budget;
mod counters;
mod evidence;
#[cfg(feature = "balance")]
mod gate;
mod lane;
mod learn;
mod line;
mod meter;
mod roster;
mod saved;
mod shadow;
mod standing;

// Steps: what happens at each event. A step owns no data.
mod report;
mod steps;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use affinity::Affinities;
use budget::Budgets;
use counters::Counters;
use evidence::{alike::Alike, at_fault::AtFault, opinions::Opinions, serving::Serving};
use grant::Spares;
use jiff::Timestamp;
use lane::{Lane, table::Lanes};
use latch::Latch;
use line::tenants::Tenants;
use roster::{
    account::{Account, Key},
    expiry::Expiries,
    names::Names,
    operations::Operations,
};
use shadow::Shadow;
use standing::Standing;

use crate::{Exhausted, affinity::Kin, event::Event, provider::Operation, strategy::Strategy};

pub(crate) use ask::{Among, Ask, Before, Bond, Cost, Prior, rank};
pub(crate) use budget::Declared as DeclaredBudgets;
#[cfg(feature = "balance")]
pub(crate) use gate::{Gate, Ordinary};
pub(crate) use grant::Grant;
pub(crate) use ids::{AccountIx, KeyIx, LaneIx, MAX_LIMITS, OpIx, TenantIx, WaiterId};
pub(crate) use lane::needs::Needs;
pub(crate) use meter::Meter;
pub(crate) use roster::account::{NewAccount, NewKey};
pub use saved::Saved;
pub(crate) use setup::{Counts, Setup};
pub(crate) use standing::Outcome;
pub(crate) use steps::{Accusation, Judged, Reply, Taught};
pub(crate) use time::Time;

/// The pure core.
///
/// Its calls come in four groups:
///
/// - **Look**: answer a question and change nothing. About a request: `needs`, `bond`,
///   `latest_start`, `refusal`, `busy`, `is_keyless`, `is_tried_out`, `has_key_by`,
///   `is_served_in_time`, `has_another`. About accounts and keys: `find_account`, `find_key`,
///   `total_keys`. For operators: `snapshot`, `save`. The calls `lane`, `operation`, `tenant` and
///   `budget` turn a name into an id; they add the name if it is new.
/// - **Handle an event**: a request joins (`line_up`) or leaves (`leave`) the line. An answer begins
///   (`answered`), reports a limit (`read`), is judged (`judge`), reports its usage (`settle`,
///   `settle_unpaid`, `learn_needs`) or ends (`end`; `refund` for a request that was not sent).
///   Other attempts at the same request decide about the first (`settle_accusation`, `take_back`).
///   Accounts and keys are added, changed and removed (`steps/change.rs`).
/// - **Serve**: hand out reservations. `admit` serves a new request and `serve` those in line.
///   `take_opened` returns the watched gates that may have opened, and `take_events` the events.
/// - **Next timeout**: `wake_at` says when `serve` is due if nothing else happens, and
///   `next_in_line` which request should hold the timer.
///
/// The order at each moment, where `now` never goes back:
///
/// 1. `expire_keys`.
/// 2. Look, handle events, and `admit`.
/// 3. `serve`, until it returns `None`.
/// 4. `take_opened` and `take_events`.
/// 5. `wake_at`, to set the timer.
///
/// The order for each request: `lane` and the other names; `admit`; without room `line_up` and
/// `serve`. Then, with its grant: `answered` when the head of the answer arrives, `judge` for each
/// verdict, `read` for each reported limit, `settle` once the usage is known (only the first call
/// counts), and last `end`. Each grant must reach `end` or `refund`, otherwise it keeps its
/// reservation.
#[derive(Debug)]
pub(crate) struct Engine {
    /// By slot. A slot is reused once nothing refers to its last account.
    accounts: Vec<Account>,
    keys: Vec<Key>,
    free_accounts: Vec<AccountIx>,
    free_keys: Vec<KeyIx>,
    /// The declared accounts, in order.
    order: Vec<AccountIx>,
    /// Whether `order` is also the order of the slots. That is so until accounts are rearranged or
    /// reuse a slot.
    is_by_slot: bool,
    by_name: Names,
    by_id: Names,
    /// The version of the declared limits: how often they were changed.
    epoch: u32,
    /// The keys with an expiry date.
    expiries: Expiries,
    /// The standing of the provider as a whole.
    provider: Standing,
    alike: Alike,
    serving: Serving,
    at_fault: AtFault,
    opinions: Opinions,
    /// The latest end of the rests that are only suspected or inferred.
    in_doubt_until: Time,
    operations: Operations,
    lanes: Lanes,
    tenants: Tenants,
    affinities: Affinities,
    budgets: Budgets,
    /// Whether any limit counts money.
    limits_spending: bool,
    strategy: Arc<dyn Strategy>,
    /// Only in a dry run.
    shadow: Option<Shadow>,
    /// Whether limits are learned that were not declared.
    learns: bool,
    /// The number of requests at once for an account without a known limit.
    initial_concurrency: u32,
    /// The longest rest that a hint of the provider can set.
    max_cooldown: Duration,
    max_queued: usize,
    waiting: usize,
    /// Requests that left the line in favour of another tenant, and must be rejected.
    crowded_out: Vec<(WaiterId, Exhausted)>,
    live_keys: usize,
    /// Declared keys that are neither expired nor switched off. Rejected keys are included.
    usable_keys: usize,
    total_keys: usize,
    /// The number of live keys at the last report.
    reported_live: usize,
    /// Raised while more accounts fail than may rest for failures.
    all_failing: Latch,
    /// Raised while the pool is exhausted.
    exhausted: Latch,
    /// The wall-clock time at the engine's start.
    wall: Timestamp,
    rng: fastrand::Rng,
    events: Vec<Event>,
    spares: Spares,
    #[cfg(feature = "balance")]
    opened: gate::Opened,
    counters: Counters,
}

impl Engine {
    /// The lane of a model; it is made if needed.
    pub(crate) fn lane(&mut self, now: Time, model: Option<&str>) -> LaneIx {
        self.lanes.resolve(now, model, &self.accounts)
    }

    /// The number of an operation.
    pub(crate) fn operation(&mut self, operation: &Operation<'_>) -> OpIx {
        self.operations.resolve(operation)
    }

    /// What requests of a lane usually need.
    pub(crate) fn needs(&self, lane: LaneIx) -> &Needs {
        &self.lanes[lane].needs
    }

    /// The tenant of a name; it is made if needed.
    pub(crate) fn tenant(&mut self, name: Option<&str>) -> TenantIx {
        self.tenants.resolve(name)
    }

    /// The account that has the beginning of the prompt cached. `None` if the request has no prompt
    /// or affinity is off.
    pub(crate) fn bond(&self, now: Time, kin: &Kin) -> Option<Bond> {
        let mut bond = self.affinities.find(now, kin, |name| self.find_account(name))?;
        bond.account = bond.account.filter(|kin| !self.accounts[kin.index()].is_leaving);
        Some(bond)
    }

    /// The last moment at which it is worth sending a request. Later it would have to wait longer
    /// than allowed, or the answer would usually come after the caller has given up.
    pub(crate) fn latest_start(&self, ask: &Ask) -> Time {
        let usual = self.lanes[ask.lane].answer_time.usual();
        let answered = ask.answer_by.map(|answer_by| answer_by.minus(usual));
        answered.map_or(ask.deadline, |latest| latest.min(ask.deadline))
    }

    /// Admits a request at once, unless others are in line before it or no account has room.
    pub(crate) fn admit(&mut self, now: Time, ask: &Ask) -> Option<Grant> {
        let is_first = self.lanes[ask.lane].line.is_empty();
        if is_first
            && self.forbidden(now, ask).is_none()
            && let Ok((account, key)) = self.choose(now, ask, None)
        {
            self.admitted_at_once(now);
            return Some(self.grant(now, ask, account, key, true));
        }
        self.admit_anyway(now, ask)
    }

    fn waiting_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| !lane.line.is_empty())
    }

    /// Takes the events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        let (live, total) = (self.live_keys, self.total_keys);
        if live < std::mem::replace(&mut self.reported_live, live) {
            self.events.push(Event::PoolShrunk { live, total });
        }
        std::mem::take(&mut self.events)
    }

    /// Adds an event.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty() || self.reported_live != self.live_keys
    }
}
