//! What must hold after every step.

use crate::{Exhausted, Reason};

use super::{
    super::model::{Check, View, Want, When, ensure},
    play::Play,
};

/// So many places of a line are looked at.
const LOOKED_AT: usize = 16;
/// How late a forecast may be: it is exact to a millisecond.
const LATE: u64 = 2_000_000;

impl Play {
    /// Serves everybody whom the engine serves, in an order that the model agrees with.
    pub(super) fn serve(&mut self) -> Check {
        let most = self.world.waiting();
        for _ in 0..=most {
            let now = self.time();
            let Some((id, outcome)) = self.engine.serve(now) else { return Ok(()) };
            let (lane, place) = self.find(id.0).ok_or("somebody was served who does not wait")?;
            ensure!(place < LOOKED_AT, "served from place {place} of the line");
            for (ahead, want) in &self.world.lanes[lane].line[..place] {
                let (fits, excluded) = (
                    self.world.fits(self.now, want, View::Sure),
                    self.world.fits_excluded(self.now, want, View::Maybe),
                );
                ensure!(!fits, "{} was served before {ahead}, for whom there is room", id.0);
                ensure!(excluded, "{} was served before {ahead}, who came first", id.0);
            }
            let (id, want) = self.world.lanes[lane].line.remove(place);
            match outcome {
                Ok(grant) => self.granted(id, &want, grant)?,
                Err(refusal) => self.check_turned_away(&want, refusal)?,
            }
        }
        Err("the engine serves more than wait".into())
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

    /// Nobody is out of use for longer or shorter than the verdicts say.
    fn check_standings(&mut self) -> Check {
        let provider = self.engine.provider.until().nanos();
        ensure!(provider == self.world.provider.until, "the provider's cooldown changed");
        for account in 0..self.world.accounts.len() {
            let until = self.world.accounts[account].standing.until;
            ensure!(self.until_of(account) == until, "the cooldown of account {account} changed");
            for lane in 0..self.world.lanes.len() {
                let until = self.world.lanes[lane].seats[account].until;
                let seen = self.seat_until(lane, account);
                ensure!(seen == until, "the cooldown of account {account} for {lane} changed");
            }
        }
        Ok(())
    }

    /// What is under way, in the engine's books and in ours.
    fn check_counts(&mut self) -> Check {
        let count = |counted: &dyn Fn(&(usize, usize, usize)) -> bool| {
            let grants = self.world.grants.values();
            grants.map(|g| (g.account, g.key, g.lane)).filter(counted).count() as u64
        };
        for (i, account) in self.engine.accounts.iter().enumerate() {
            let open = count(&|(account, ..)| *account == i);
            ensure!(account.in_flight == open, "account {i}: {open}, not {}", account.in_flight);
        }
        for (i, key) in self.engine.keys.iter().enumerate() {
            let open = count(&|(_, key, _)| *key == i);
            ensure!(key.in_flight == open, "key {i}: {open}, not {} in flight", key.in_flight);
            ensure!(key.alive == self.world.keys[i].alive, "key {i} died, or did not");
        }
        let (waiting, ours) = (self.engine.waiting, self.world.waiting());
        ensure!(waiting == ours, "{waiting} wait, not {ours}");
        ensure!(self.engine.has_waiting() == (ours > 0), "has_waiting is wrong");
        Ok(())
    }

    /// After everything has ended.
    pub(super) fn check_rest(&mut self) -> Check {
        self.check_counts()?;
        let lanes = self.engine.lanes.iter();
        let left: u64 = lanes.map(|lane| lane.in_flight).sum();
        ensure!(left == 0, "{left} left in flight");
        ensure!(self.engine.wake_at().is_none(), "a time to wake up, and nobody waits");
        Ok(())
    }

    /// Nobody waits who can be served, and the engine will be called when somebody can be.
    fn check_line(&mut self) -> Check {
        let mut soonest = When::Never;
        for lane in &self.world.lanes {
            for (id, want) in lane.line.iter().take(LOOKED_AT) {
                let when = self.world.earliest(self.now, want, View::Sure);
                ensure!(when != When::At(self.now), "{id} waits, though there is room");
                ensure!(when != When::Never, "{id} waits for what can never be");
                soonest = soonest.min(when);
                // Whoever waits for room holds up those behind.
                let may_pass = self.world.fits_excluded(self.now, want, View::Sure)
                    && !self.world.fits(self.now, want, View::Maybe);
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
        Ok(())
    }

    /// Somebody was let into the line.
    pub(super) fn check_entry(&self, want: &Want) -> Check {
        ensure!(self.world.permitted(want).next().is_some(), "lined up without a key");
        let when = self.world.earliest(self.now, want, View::Sure);
        ensure!(when != When::Never, "lined up for what is never admitted");
        ensure!(self.world.waiting() < self.setting.longest_line, "the line is too long");
        let alone = self.world.earliest_alone(self.now, want, View::Maybe);
        let in_time = alone <= When::At(want.deadline);
        ensure!(in_time, "lined up, and there is no room before {alone:?}");
        Ok(())
    }

    /// Somebody in line was told that it waits in vain.
    fn check_turned_away(&self, want: &Want, refusal: Exhausted) -> Check {
        let keys = self.world.permitted(want).count();
        match refusal.reason() {
            Reason::NoKey => ensure!(keys == 0, "turned away for want of a key: {keys} are left"),
            Reason::TooLarge => {
                let when = self.world.earliest(self.now, want, View::Maybe);
                ensure!(keys > 0 && when == When::Never, "turned away as too large: {when:?}");
            }
            Reason::Busy => {
                ensure!(want.deadline <= self.now, "turned away before its deadline");
                self.check_forecast(want, refusal)?;
            }
            other => return Err(format!("turned away: {other:?}")),
        }
        Ok(())
    }

    /// Somebody was refused at the door.
    pub(super) fn check_refusal(&self, want: &Want, refusal: Exhausted) -> Check {
        let keys = self.world.permitted(want).count();
        let when = self.world.earliest(self.now, want, View::Maybe);
        match refusal.reason() {
            Reason::NoKey => ensure!(keys == 0, "refused for want of a key: {keys} are left"),
            Reason::TooLarge => ensure!(when == When::Never, "refused as too large: {when:?}"),
            Reason::LineFull => {
                ensure!(self.world.waiting() >= self.setting.longest_line, "the line is not full");
                self.check_forecast(want, refusal)?;
            }
            Reason::Busy => {
                self.check_forecast(want, refusal)?;
                let sure = self.world.earliest_alone(self.now, want, View::Sure);
                let in_time = sure <= When::At(want.deadline.saturating_sub(LATE));
                let in_vain = want.deadline <= self.now || self.world.waiting() > 0 || !in_time;
                ensure!(in_vain, "refused as busy, though there is room at {sure:?}");
            }
            Reason::TimedOut => return Err("refused for time, which no engine does".to_owned()),
        }
        Ok(())
    }

    /// The time that somebody is told to come again is not before there is room, nor, if nobody is
    /// ahead, after it.
    pub(super) fn check_forecast(&self, want: &Want, refusal: Exhausted) -> Check {
        let told = refusal.retry_after().map(|after| self.now + after.as_nanos() as u64);
        let maybe = self.world.earliest_alone(self.now, want, View::Maybe);
        let sure = self.world.earliest_alone(self.now, want, View::Sure);
        match (told, sure) {
            (Some(told), _) => {
                ensure!(
                    When::At(told) >= maybe,
                    "told {told}, and there is room at {maybe:?} only"
                );
                let alone = self.world.waiting() == 0;
                let late = When::At(told.saturating_sub(LATE)) > sure;
                ensure!(!(alone && late), "told {told}, and there is room at {sure:?}");
            }
            (None, When::At(sure)) => {
                return Err(format!("told no time, and there is room at {sure}"));
            }
            (None, _) => {}
        }
        Ok(())
    }
}
