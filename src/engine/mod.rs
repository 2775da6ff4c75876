//! The pure core: who may send what, with which key, and when.
//!
//! No async, no locks, no HTTP, and no clock of its own: `now` is an argument, every decision is a
//! plain function call on a plain struct, and effects come back as values. The pool is the shell
//! around it.
//!
//! A request's life here: [`Engine::ask`] says what it wants, [`Engine::admit`] reserves all of it
//! on one account or nothing, or else [`Engine::line_up`] and [`Engine::serve`] let it wait. The
//! [`Grant`] is then judged, settled, and ended.

mod account;
mod alike;
mod answer_time;
mod choice;
mod demand;
mod event;
mod forecast;
mod grant;
mod index;
mod judge;
mod lane;
mod lanes;
mod line;
mod meter;
mod rolling;
mod room;
mod setup;
mod snapshot;
mod standing;
#[cfg(test)]
mod tests;
mod time;
mod window;

pub(crate) use demand::{Ask, Cost, rank};
pub use event::Event;
pub(crate) use grant::Grant;
pub(crate) use index::{AccountIx, KeyIx, MOST_LIMITS};
pub(crate) use line::WaiterId;
pub use snapshot::{AccountState, KeyState, LaneState, MeterState, Snapshot};
pub(crate) use time::Time;

use account::{Account, Key};
use alike::Alike;
use index::LaneIx;
use lane::{Lane, Stall};
use lanes::Lanes;
use line::Waiter;
use snapshot::Counters;
use standing::Standing;

use crate::Exhausted;

/// How many waiters that only wait for a key they have not tried may be passed.
const LOOK_BEHIND: usize = 16;

/// The pure core.
#[derive(Debug)]
pub(crate) struct Engine {
    accounts: Vec<Account>,
    keys: Vec<Key>,
    /// The provider as a whole: all stop while it is overloaded.
    provider: Standing,
    alike: Alike,
    lanes: Lanes,
    longest_line: usize,
    waiting: usize,
    live_keys: usize,
    rng: fastrand::Rng,
    events: Vec<Event>,
    counters: Counters,
}

impl Engine {
    /// The lane of a model.
    pub(crate) fn lane(&mut self, now: Time, model: Option<&str>) -> LaneIx {
        self.lanes.resolve(now, model, &self.accounts)
    }

    /// The last moment at which a request of a lane can be sent to be answered by `deadline`.
    pub(crate) fn latest_start(&self, lane: LaneIx, deadline: Time) -> Time {
        deadline.minus(self.lanes[lane].answer_time.usual())
    }

    /// Admits at once, unless somebody waits already or nobody has room.
    pub(crate) fn admit(&mut self, now: Time, ask: &Ask) -> Option<Grant> {
        if !self.lanes[ask.lane].line.is_empty() {
            return None;
        }
        self.choose(now, ask).ok()
    }

    /// Joins the line, unless it is already clear that it would wait in vain.
    pub(crate) fn line_up(&mut self, now: Time, ask: Ask, id: WaiterId) -> Result<(), Exhausted> {
        if let Some(refusal) = self.refusal(now, &ask) {
            return Err(refusal);
        }
        let lane = &mut self.lanes[ask.lane];
        let place = lane.line.join(Waiter { id, ask });
        if lane.stalled.is_some_and(|stall| place <= stall.place) {
            lane.stalled = None;
        }
        self.waiting += 1;
        Ok(())
    }

    /// Gives up waiting.
    pub(crate) fn leave(&mut self, ask: &Ask, id: WaiterId) {
        let lane = &mut self.lanes[ask.lane];
        if lane.line.leave(id, ask.rank).is_some() {
            lane.stalled = None;
            self.waiting -= 1;
        }
    }

    /// Serves the next waiter who can be, or must be told that it waits in vain. To be called until
    /// it returns `None`, after anything else was, and at [`wake_at`](Self::wake_at).
    pub(crate) fn serve(&mut self, now: Time) -> Option<(WaiterId, Result<Grant, Exhausted>)> {
        if self.waiting == 0 {
            return None;
        }
        // Terminates: a lane that cannot be served is stalled until later.
        loop {
            let rank = |&lane: &LaneIx| self.lanes[lane].line.get(0).map(|head| head.ask.rank);
            let servable = self.lanes.all().filter(|&lane| self.is_servable(now, lane));
            let lane = servable.min_by_key(rank)?;
            if let Some(outcome) = self.serve_lane(now, lane) {
                return Some(outcome);
            }
        }
    }

    fn is_servable(&self, now: Time, lane: LaneIx) -> bool {
        let lane = &self.lanes[lane];
        let stalled = lane.stalled.is_some_and(|stall| stall.until.is_none_or(|until| until > now));
        !lane.line.is_empty() && !stalled
    }

    fn serve_lane(
        &mut self,
        now: Time,
        lane: LaneIx,
    ) -> Option<(WaiterId, Result<Grant, Exhausted>)> {
        let mut stall = Stall::default();
        for place in 0..LOOK_BEHIND {
            stall.place = place;
            let Some(waiter) = self.lanes[lane].line.get(place) else { break };
            let (id, ask) = (waiter.id, waiter.ask.clone());
            let granted = if ask.deadline <= now {
                None
            } else {
                match self.choose(now, &ask) {
                    Ok(grant) => Some(grant),
                    // The keys that could have served it are dead or refused by now.
                    Err(_) if self.hopeless(&ask).is_some() => None,
                    Err(blocked) => {
                        stall.until = [stall.until, blocked.until].into_iter().flatten().min();
                        if blocked.by_exclusion {
                            continue;
                        }
                        break;
                    }
                }
            };
            self.lanes[lane].line.take(place);
            self.waiting -= 1;
            let why = || self.hopeless(&ask).unwrap_or_else(|| self.busy(now, &ask));
            return Some((id, granted.ok_or_else(why)));
        }
        self.lanes[lane].stalled = Some(stall);
        None
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// When [`serve`](Self::serve) should be called next if nothing else happens.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        self.waiting_lanes().filter_map(|lane| lane.stalled?.until).min()
    }

    /// Who will most likely be served then: the one to hold the timer.
    pub(crate) fn next_in_line(&self) -> Option<WaiterId> {
        self.waiting_lanes()
            .min_by_key(|lane| {
                let until = lane.stalled.and_then(|stall| stall.until);
                (until.is_none(), until)
            })
            .and_then(|lane| lane.line.get(0))
            .map(|head| head.id)
    }

    fn waiting_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| !lane.line.is_empty())
    }

    /// What has happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}
