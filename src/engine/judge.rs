//! What a verdict changes: only what it is about.

use std::time::Duration;

use crate::{Scope, Verdict, provider::Reading};

use super::{
    AccountIx, Engine, Event, Grant, Time,
    standing::{self, Ladder, Progress},
};

impl Engine {
    /// Takes in what a response says.
    pub(crate) fn judge(&mut self, now: Time, grant: &mut Grant, verdict: Verdict) {
        self.counters.count(verdict);
        grant.accepted = verdict == Verdict::Accepted;
        match verdict {
            Verdict::Accepted => self.accepted(grant),
            Verdict::RateLimited { retry_after, scope } => {
                self.cool(now, grant, verdict, scope, retry_after, standing::RATE);
                if verdict.may_be_wider()
                    && self.alike.note(now, grant.account, self.accounts.len())
                {
                    self.brake(now, grant.sent, None);
                }
            }
            Verdict::QuotaExhausted { retry_after, scope } => {
                self.cool(now, grant, verdict, scope, retry_after, standing::QUOTA);
            }
            Verdict::KeyRejected => self.reject_key(grant),
            Verdict::ModelRefused => self.refuse_model(grant),
            Verdict::Overloaded { retry_after } => self.brake(now, grant.sent, retry_after),
            Verdict::Transient => self.failed(now, grant, verdict),
            Verdict::CallerFault => {}
        }
    }

    /// Takes in what a response tells about a limit. It only ever lowers our own view, and only
    /// where it speaks of the same limit: providers report daily limits under the same names.
    pub(crate) fn read(&mut self, now: Time, grant: &Grant, reading: Reading) {
        let (Some(limit), Some(remaining)) = (reading.limit, reading.remaining) else { return };
        let account = &mut self.accounts[grant.account.index()];
        let mut sooner = false;
        for meter in account.counting_mut(grant.meters) {
            if meter.limit.metered() == reading.metered && meter.limit.amount() == limit {
                sooner |= meter.lower(now, remaining, reading.reset);
            }
        }
        if sooner {
            self.revive(grant.account);
        }
    }

    fn accepted(&mut self, grant: &Grant) {
        let lane = &mut self.lanes[grant.lane];
        let account = &mut self.accounts[grant.account.index()];
        account.failures.succeeded();
        let of_seat = lane.seat_mut(grant.account).standing.succeeded(grant.sent);
        let of_account = account.standing.succeeded(grant.sent);
        if of_seat == Progress::Recovered || of_account == Progress::Recovered {
            let model = lane.model.clone().filter(|_| of_account != Progress::Recovered);
            self.events.push(Event::Recovered { account: account.name.clone(), model });
        }
        if of_seat != Progress::Nothing || of_account != Progress::Nothing {
            self.revive(grant.account);
        }
        let of_provider = self.provider.succeeded(grant.sent);
        if of_provider == Progress::Recovered {
            self.events.push(Event::ProviderRecovered);
        }
        if of_provider != Progress::Nothing {
            self.unstall();
        }
    }

    fn cool(
        &mut self,
        now: Time,
        grant: &Grant,
        verdict: Verdict,
        scope: Scope,
        hint: Option<Duration>,
        ladder: Ladder,
    ) {
        let lane = &mut self.lanes[grant.lane];
        let account = &mut self.accounts[grant.account.index()];
        let (standing, model) = match scope {
            Scope::Model => (&mut lane.seat_mut(grant.account).standing, true),
            Scope::Account => (&mut account.standing, false),
        };
        if standing.cool(now, grant.sent, hint, ladder, &mut self.rng) {
            let wait = now.until(standing.until());
            let model = lane.model.clone().filter(|_| model);
            let account = account.name.clone();
            self.events.push(Event::Cooling { account, model, verdict, wait });
        }
        // Whoever waited for this probe's end now waits for a time.
        self.revive(grant.account);
    }

    fn reject_key(&mut self, grant: &Grant) {
        let key = &mut self.keys[grant.key.index()];
        if !std::mem::replace(&mut key.alive, false) {
            return;
        }
        // A dead key is out everywhere; what one model said of it no longer counts.
        self.lanes.iter_mut().for_each(|lane| lane.refused.retain(|refused| *refused != grant.key));
        self.live_keys -= 1;
        self.events.push(Event::KeyRejected {
            key: key.id.clone(),
            account: self.accounts[key.account.index()].name.clone(),
            live: self.live_keys,
            total: self.keys.len(),
        });
        self.unstall();
    }

    fn refuse_model(&mut self, grant: &Grant) {
        if !self.is_usable(grant.lane, grant.key) {
            return;
        }
        let lane = &mut self.lanes[grant.lane];
        lane.refused.push(grant.key);
        let key = self.keys[grant.key.index()].id.clone();
        self.events.push(Event::ModelRefused { key, model: lane.model.clone() });
        lane.stalled = None;
    }

    /// Everybody waits, for requests sent at `sent` have shown that it is not the accounts.
    pub(crate) fn brake(&mut self, now: Time, sent: Time, hint: Option<Duration>) {
        let ladder = standing::OVERLOAD;
        if self.provider.cool(now, sent, hint, ladder, &mut self.rng) {
            let wait = now.until(self.provider.until());
            self.events.push(Event::Overloaded { wait });
        }
        self.unstall();
    }

    fn failed(&mut self, now: Time, grant: &Grant, verdict: Verdict) {
        if self.accounts[grant.account.index()].failures.failed()
            && self.may_rest(now, grant.account)
        {
            self.cool(now, grant, verdict, Scope::Account, None, standing::FAILURE);
        }
    }

    /// Never more than half of the accounts rest for failures nobody is proven to blame for: if most
    /// fail, it is not the accounts.
    fn may_rest(&self, now: Time, account: AccountIx) -> bool {
        let others = self.accounts.iter().enumerate().filter(|(i, _)| *i != account.index());
        let resting = others.filter(|(_, other)| other.standing.is_troubled(now)).count();
        2 * (resting + 1) <= self.accounts.len()
    }
}
