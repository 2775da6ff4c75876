//! What must hold after every step.

use crate::{Exhausted, error::Reason};

use super::{
    super::model::{Check, View, Want, When, ensure},
    play::Play,
};

/// How many places of a line are looked at.
const LOOKED_AT: usize = 16;
/// The error of a forecast: a millisecond.
const LATE: u64 = 2_000_000;

/// A request that was passed, and when it has room at the latest.
type Passed = (usize, Want, When);

impl Play {
    /// Serves all requests that the engine serves, and checks their order against the model.
    pub(super) fn serve(&mut self) -> Check {
        let most = self.world.waiting();
        for _ in 0..=most {
            let now = self.time();
            let Some((id, outcome)) = self.engine.serve(now) else { return Ok(()) };
            let (lane, place) = self.find(id.0).ok_or("a request was served that does not wait")?;
            let (_, want) = self.world.lanes[lane].line.remove(place);
            match outcome {
                Ok(grant) => {
                    let before = self.passed(lane, place, &want)?;
                    self.granted(id.0, &want, grant)?;
                    // A request that is passed must not have room later because of that.
                    if let Some((ahead, passed, when)) = before {
                        let then = self.world.earliest(self.now, &passed, View::Maybe);
                        ensure!(then <= when, "{ahead} would have room at {when:?}, now {then:?}");
                    }
                }
                Err(refusal) => self.check_turned_away(&want, &refusal)?,
            }
        }
        Err("the engine serves more than wait".into())
    }

    /// Checks the requests ahead of one that is served: none of them has room. Returns the first of
    /// them, and when it has room at the latest.
    fn passed(&self, lane: usize, place: usize, want: &Want) -> Result<Option<Passed>, String> {
        let ahead = self.world.lanes[lane].line[..place].iter();
        let ahead: Vec<_> = ahead.filter(|(_, other)| other.tenant == want.tenant).collect();
        ensure!(ahead.len() < LOOKED_AT, "served from place {} of the line", ahead.len());
        let Some(((id, first), others)) = ahead.split_first() else { return Ok(None) };
        // Between tenants, only the first of all must not be delayed.
        let alone =
            self.world.lanes[lane].line.iter().all(|(_, other)| other.tenant == want.tenant);
        if !alone {
            return Ok(None);
        }
        let fits = self.world.fits(self.now, first, View::Sure);
        ensure!(!fits, "a request was served before {id}, which has room");
        for (place, (other, next)) in others.iter().enumerate() {
            let spare = self.spare(&ahead[..=place], next);
            ensure!(spare.is_none(), "served before {other}, though key {spare:?} is idle");
        }
        // A request that waits for an untried key delays no other.
        if self.world.fits_excluded(self.now, first, View::Maybe) {
            return Ok(None);
        }
        let when = self.world.earliest(self.now, first, View::Sure);
        Ok(Some((*id, first.clone(), when)))
    }

    fn find(&self, id: usize) -> Option<(usize, usize)> {
        let mut lanes = self.world.lanes.iter().enumerate();
        lanes.find_map(|(lane, l)| Some((lane, l.line.iter().position(|(other, _)| *other == id)?)))
    }

    pub(super) fn check(&mut self) -> Check {
        self.check_standings()?;
        self.check_counts()?;
        self.check_line()
    }

    /// Compares what is under way in the engine and in the model.
    fn check_counts(&mut self) -> Check {
        let count = |counted: &dyn Fn(&(usize, usize, usize)) -> bool| {
            let grants = self.world.grants.values();
            grants.map(|g| (g.account, g.key, g.lane)).filter(counted).count() as u64
        };
        let accounts = 0..self.world.accounts.len();
        for i in accounts.filter(|account| !self.world.is_gone(*account)) {
            let account = &self.engine.accounts[self.accounts[i].index()];
            let open = count(&|(account, ..)| *account == i);
            ensure!(account.in_flight == open, "account {i}: {open}, not {}", account.in_flight);
        }
        for i in (0..self.world.keys.len()).filter(|key| !self.world.is_key_gone(*key)) {
            let key = &self.engine.keys[self.keys[i].index()];
            let open = count(&|(_, key, _)| *key == i);
            ensure!(
                u64::from(key.in_flight) == open,
                "key {i}: {open}, not {} in flight",
                key.in_flight
            );
        }
        let (waiting, ours) = (self.engine.waiting, self.world.waiting());
        ensure!(waiting == ours, "{waiting} wait, not {ours}");
        ensure!(self.engine.has_waiting() == (ours > 0), "has_waiting is wrong");
        self.check_declared()
    }

    /// Checks that nothing is left after everything has ended.
    pub(super) fn check_rest(&mut self) -> Check {
        self.check_counts()?;
        let lanes = self.engine.lanes.iter();
        let left: u64 = lanes.map(|lane| lane.in_flight).sum();
        ensure!(left == 0, "{left} left in flight");
        ensure!(self.engine.wake_at().is_none(), "a time to wake up, but no request waits");
        Ok(())
    }

    /// No request waits that can be served, and the engine asks to be called when one can be.
    fn check_line(&mut self) -> Check {
        let mut soonest = When::Never;
        for lane in 0..self.world.lanes.len() {
            let mut kinds = 0;
            for (id, want) in self.first(lane) {
                // Accounts may sleep because of a kind of cost that only those ahead have.
                if kinds & !want.cost.kinds() != 0 {
                    break;
                }
                kinds |= want.cost.kinds();
                let when = self.world.earliest(self.now, &want, View::Sure);
                ensure!(when != When::At(self.now), "{id} waits, though there is room");
                ensure!(when != When::Never, "{id} waits for what can never be");
                soonest = soonest.min(when);
                // A request that waits for room may block those behind.
                let may_pass = self.world.fits_excluded(self.now, &want, View::Sure)
                    && !self.world.fits(self.now, &want, View::Maybe);
                if !may_pass {
                    break;
                }
            }
        }
        let wake_at = self.engine.wake_at().map(|at| at.nanos());
        ensure!(wake_at.is_none_or(|at| at > self.now), "the engine wants to be called at once");
        if let When::At(soonest) = soonest {
            let in_time = wake_at.is_some_and(|at| at <= soonest);
            ensure!(
                in_time,
                "there will be room at {soonest}, and the engine sleeps until {wake_at:?}"
            );
        }
        self.check_idle_accounts()
    }

    /// The requests of a lane that are served first, of the tenant that is served first.
    fn first(&mut self, lane: usize) -> Vec<(usize, Want)> {
        let line = self.world.lanes[lane].line.clone();
        let line_length = line.len();
        let served = |tenant: Option<&str>, engine: &mut super::super::super::Engine| {
            let tenant = engine.tenant(tenant);
            engine.tenants.served(tenant)
        };
        let engine = &mut self.engine;
        let Some(least) = line.iter().map(|(_, want)| served(want.tenant, engine)).min() else {
            return line;
        };
        let mut first: Vec<_> = line;
        first.retain(|(_, want)| served(want.tenant, engine) == least);
        // Between equal tenants the first to join is served first; which one that is may be open.
        let tenant = first.first().and_then(|(_, want)| want.tenant);
        let since =
            |want: &Want| i128::from(want.since) - 10_000_000_000 * i128::from(want.priority);
        let rank = first.first().map(|(_, want)| since(want));
        let others = first.iter().filter(|(_, want)| want.tenant != tenant);
        if others.map(|(_, want)| since(want)).any(|other| Some(other) == rank) {
            return Vec::new();
        }
        first.retain(|(_, want)| want.tenant == tenant);
        // Behind the first comes the first of another tenant.
        let alone = line_length == first.len();
        first.truncate(if alone { LOOKED_AT } else { 1 });
        first
    }

    /// An account that could serve the second in line is left alone only if the first may need it.
    fn check_idle_accounts(&self) -> Check {
        for lane in &self.world.lanes {
            let [head, (second, next), ..] = lane.line.as_slice() else { continue };
            let spare = self.spare(&[head], next);
            ensure!(spare.is_none(), "{second} waits, though key {spare:?} is idle");
        }
        Ok(())
    }

    /// A key with room for a request that is not left to a request ahead: at most one account is,
    /// and none that those ahead cannot use.
    fn spare(&self, ahead: &[&(usize, Want)], next: &Want) -> Option<usize> {
        let mut line = self.world.lanes[next.lane].line.iter();
        let alone = line.all(|(_, other)| other.tenant == next.tenant);
        // Accounts may sleep because of a kind of cost that only those ahead have.
        let kinds = ahead.iter().fold(0, |kinds, (_, head)| kinds | head.cost.kinds());
        if !self.world.is_trusted(next.lane) || !alone || kinds & !next.cost.kinds() != 0 {
            return None;
        }
        let account = |key: usize| self.world.keys[key].account;
        let when = |want: &Want, key, view| self.world.when(self.now, want, key, view);
        let free: Vec<_> = self
            .world
            .permitted(next)
            .filter(|key| when(next, *key, View::Sure) == When::At(self.now))
            .collect();
        let is_useful = |key: &usize| {
            ahead.iter().any(|(_, head)| {
                let of_it = self.world.permitted(head);
                let mut of_it = of_it.filter(|other| account(*other) == account(*key));
                of_it.any(|other| when(head, other, View::Maybe) < When::OnChange)
            })
        };
        let first = *free.first()?;
        let another = free.iter().copied().find(|key| account(*key) != account(first));
        another.or_else(|| free.iter().copied().find(|key| !is_useful(key)))
    }

    /// A request was let into the line.
    pub(super) fn check_entry(&self, want: &Want) -> Check {
        ensure!(self.world.permitted(want).next().is_some(), "lined up without a key");
        let when = self.world.earliest(self.now, want, View::Sure);
        ensure!(when != When::Never, "lined up for what is never admitted");
        let of = |tenant| self.world.of_tenant(tenant);
        let crowded = self.setting.tenants.iter().any(|other| of(*other) > of(want.tenant) + 1);
        let is_full = self.world.waiting() >= self.setting.max_queued;
        ensure!(!is_full || crowded, "the line is too long");
        let alone = self.world.earliest_alone(self.now, want, View::Maybe);
        let in_time = alone <= When::At(want.deadline);
        ensure!(in_time, "lined up, and there is no room before {alone:?}");
        Ok(())
    }

    /// A request in line was rejected because it cannot be served in time.
    fn check_turned_away(&self, want: &Want, refusal: &Exhausted) -> Check {
        let keys = self.world.permitted(want).count();
        match refusal.reason() {
            Reason::NoKey if keys == 0 => {}
            Reason::TooLarge => {
                let when = self.world.earliest(self.now, want, View::Maybe);
                ensure!(keys > 0 && when == When::Never, "turned away as too large: {when:?}");
            }
            Reason::Busy | Reason::Quota | Reason::Overloaded | Reason::NoKey => {
                ensure!(want.deadline <= self.now, "turned away before its deadline");
                self.check_forecast(want, refusal)?;
            }
            Reason::LineFull => {
                let of = |tenant| self.world.of_tenant(tenant);
                let others = self.setting.tenants.iter().filter(|other| **other != want.tenant);
                let fewest = others.map(|other| of(*other)).min();
                let fair = fewest.is_some_and(|fewest| of(want.tenant) + 1 >= fewest);
                ensure!(fair, "had to leave, though others have more places");
                self.check_forecast(want, refusal)?;
            }
            other => return Err(format!("refused for {other:?}, which does not happen here")),
        }
        Ok(())
    }

    /// A request was refused before it joined the line.
    pub(super) fn check_refusal(&self, want: &Want, refusal: &Exhausted) -> Check {
        let keys = self.world.permitted(want).count();
        let when = self.world.earliest(self.now, want, View::Maybe);
        match refusal.reason() {
            Reason::NoKey if keys == 0 => {}
            Reason::TooLarge => ensure!(when == When::Never, "refused as too large: {when:?}"),
            Reason::LineFull => {
                ensure!(self.world.waiting() >= self.setting.max_queued, "the line is not full");
                self.check_forecast(want, refusal)?;
            }
            Reason::Busy | Reason::Quota | Reason::Overloaded | Reason::NoKey => {
                self.check_forecast(want, refusal)?;
                let sure = self.world.earliest_alone(self.now, want, View::Sure);
                let in_time = sure <= When::At(want.deadline.saturating_sub(LATE));
                let in_vain = want.deadline <= self.now || self.world.waiting() > 0 || !in_time;
                ensure!(in_vain, "refused as busy, though there is room at {sure:?}");
            }
            other => return Err(format!("refused for {other:?}, which does not happen here")),
        }
        Ok(())
    }

    /// The reported wait does not end before there is room, nor, with no request ahead, after that.
    pub(super) fn check_forecast(&self, want: &Want, refusal: &Exhausted) -> Check {
        let told = refusal.retry_after().map(|after| self.now + after.as_nanos() as u64);
        let maybe = self.world.earliest_alone(self.now, want, View::Maybe);
        let sure = self.world.earliest_alone(self.now, want, View::Sure);
        match (told, sure) {
            (Some(told), _) => {
                ensure!(
                    When::At(told) >= maybe,
                    "reported {told}, but there is room at {maybe:?} only"
                );
                let alone = self.world.waiting() == 0;
                let late = When::At(told.saturating_sub(LATE)) > sure;
                ensure!(!(alone && late), "reported {told}, but there is room at {sure:?}");
            }
            (None, When::At(sure)) => {
                return Err(format!("reported no time, but there is room at {sure}"));
            }
            (None, _) => {}
        }
        Ok(())
    }
}
