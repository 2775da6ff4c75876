//! The pure core: who may send what, with which key, and when.
//!
//! No async, no locks, no HTTP, and no clock of its own: `now` is an argument, every decision is a
//! plain function call on a plain struct, and effects come back as values. The pool is the shell
//! around it.
//!
//! A request's life here: an [`Ask`] says what it wants, [`Engine::admit`] reserves all of it
//! on one account or nothing, or else [`Engine::line_up`] and [`Engine::serve`] let it wait. The
//! [`Grant`] is then judged, settled, and ended.

// Words that all of it is spoken in.
mod ask;
mod grant;
mod ids;
mod latch;
mod named;
mod room;
mod setup;
mod time;

// Parts: each with its own invariants; none of them knows the engine.
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

// Steps: what happens to the engine, one file for each; none of them owns data.
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
pub(crate) use learn::Taught;
pub(crate) use meter::Meter;
pub(crate) use roster::account::{NewAccount, NewKey};
pub use saved::Saved;
pub(crate) use setup::{Counts, Setup};
pub(crate) use standing::Outcome;
pub(crate) use steps::{Accusation, Judged, Told};
pub(crate) use time::Time;

/// The pure core.
#[derive(Debug)]
pub(crate) struct Engine {
    /// By slot; a slot is used again once nothing refers any more to what was in it.
    accounts: Vec<Account>,
    keys: Vec<Key>,
    free_accounts: Vec<AccountIx>,
    free_keys: Vec<KeyIx>,
    /// The declared accounts, in order.
    order: Vec<AccountIx>,
    /// Whether that is the order of their slots, too: until accounts are rearranged, or take the slot of
    /// one that is gone.
    is_by_slot: bool,
    by_name: Names,
    by_id: Names,
    /// How often declared limits were changed.
    epoch: u32,
    /// Of keys that are good until a date.
    expiries: Expiries,
    /// Of the provider as a whole.
    provider: Standing,
    alike: Alike,
    serving: Serving,
    at_fault: AtFault,
    opinions: Opinions,
    /// Until when a place may rest that is only suspected or inferred to be out of order.
    in_doubt_until: Time,
    operations: Operations,
    lanes: Lanes,
    tenants: Tenants,
    affinities: Affinities,
    budgets: Budgets,
    /// Whether any limit counts money.
    limits_spending: bool,
    strategy: Arc<dyn Strategy>,
    /// In shadow mode only.
    shadow: Option<Shadow>,
    /// Whether limits are learnt that were not declared.
    learns: bool,
    /// How many requests at once an account gets of which no limit is known.
    start: u64,
    /// No hint of a provider benches anything for longer.
    longest_cooldown: Duration,
    longest_line: usize,
    waiting: usize,
    /// Those who gave up their place to somebody of another tenant, and must be told.
    crowded_out: Vec<(WaiterId, Exhausted)>,
    live_keys: usize,
    /// Those that are declared, in their time, and not switched off, rejected ones included.
    usable_keys: usize,
    total_keys: usize,
    /// How many live keys there were when that was last looked at.
    reported_live: usize,
    /// Since when more accounts fail than may be benched for it.
    panic: Latch,
    /// Whether the pool was found exhausted, until that is over.
    exhausted: Latch,
    /// The time of day at the beginning.
    wall: Timestamp,
    rng: fastrand::Rng,
    events: Vec<Event>,
    spares: Spares,
    #[cfg(feature = "balance")]
    opened: gate::Opened,
    counters: Counters,
}

impl Engine {
    /// The lane of a model.
    pub(crate) fn lane(&mut self, now: Time, model: Option<&str>) -> LaneIx {
        self.lanes.resolve(now, model, &self.accounts)
    }

    /// What a request does, by number.
    pub(crate) fn operation(&mut self, operation: &Operation<'_>) -> OpIx {
        self.operations.resolve(operation)
    }

    /// What requests of a lane turned out to need so far.
    pub(crate) fn needs(&self, lane: LaneIx) -> &Needs {
        &self.lanes[lane].needs
    }

    /// The tenant of a name.
    pub(crate) fn tenant(&mut self, name: Option<&str>) -> TenantIx {
        self.tenants.resolve(name)
    }

    /// Where the kin of a request are; none if it has nothing to be kin by, or affinity is off.
    pub(crate) fn bond(&self, now: Time, kin: &Kin) -> Option<Bond> {
        let mut bond = self.affinities.find(now, kin, |name| self.find_account(name))?;
        bond.account = bond.account.filter(|kin| !self.accounts[kin.index()].is_leaving);
        Some(bond)
    }

    /// The last moment at which a request is worth being sent: it does not wait for longer, and is
    /// usually answered before its caller gives up.
    pub(crate) fn latest_start(&self, ask: &Ask) -> Time {
        let usual = self.lanes[ask.lane].answer_time.usual();
        let answered = ask.answer_by.map(|answer_by| answer_by.minus(usual));
        answered.map_or(ask.deadline, |latest| latest.min(ask.deadline))
    }

    /// Admits at once, unless somebody waits already or nobody has room.
    pub(crate) fn admit(&mut self, now: Time, ask: &Ask) -> Option<Grant> {
        let is_first = self.lanes[ask.lane].line.is_empty();
        if is_first
            && self.forbidden(now, ask).is_none()
            && let Ok((account, key)) = self.choose(now, ask, None)
        {
            self.went_through(now);
            return Some(self.grant(now, ask, account, key, true));
        }
        self.admit_anyway(now, ask)
    }

    fn waiting_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| !lane.line.is_empty())
    }

    /// What has happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        let (live, total) = (self.live_keys, self.total_keys);
        if live < std::mem::replace(&mut self.reported_live, live) {
            self.events.push(Event::PoolShrunk { live, total });
        }
        std::mem::take(&mut self.events)
    }

    /// Something that is told along with what happens here.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty() || self.reported_live != self.live_keys
    }
}
