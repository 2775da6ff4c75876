//! What a verdict must change, and what it must not.

use std::time::Duration;

use crate::{Verdict, verdict::Place};

use super::{
    Check, World, ensure,
    standing::{Cause, Doubt, End, Seen, Wrong},
    world::Spot,
};

const SECOND: u64 = 1_000_000_000;

/// A suspicion, and the place that it is about.
#[derive(Clone, Debug)]
pub(in super::super) struct Accused {
    spot: Spot,
    key: usize,
    secret: u32,
    doubt: Doubt,
}

/// What a response says.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Said {
    pub(in super::super) verdict: Verdict,
    pub(in super::super) place: Place,
    pub(in super::super) is_told: bool,
}

impl World {
    /// Applies a verdict; `seen` is the engine's result at each place. Returns the suspicion, if
    /// the request itself may be at fault.
    pub(in super::super) fn judge(
        &mut self,
        now: u64,
        id: usize,
        said: Said,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Result<Option<Accused>, String> {
        let Some(grant) = self.grants.get(&id) else { return Ok(None) };
        let (account, key, lane, sent) = (grant.account, grant.key, grant.lane, grant.sent);
        let operation = grant.operation;
        let spots = self.spots(lane, operation, key);
        let spot = spots[said.place.index()];
        let cause = |wrong| Cause { wrong, is_told: said.is_told };
        match said.verdict {
            Verdict::Accepted => {
                self.accounts[account].failures.push(false);
                self.keys[key].accepted.push((now, operation));
                self.served.push((now, lane));
                for spot in spots {
                    self.places.get_mut(&spot).into_iter().for_each(|it| it.succeeded(sent));
                }
                if self.place(Spot::Key(key)).is_proven(now) {
                    return Ok(None);
                }
                self.keys[key].rejected = false;
            }
            Verdict::RateLimited { retry_after } => {
                self.cool(now, sent, spot, retry_after, cause(Wrong::Rate), seen)?;
                // A wait of less than a second: a limit was just exceeded.
                let is_wide = retry_after.is_none_or(|wait| wait.as_secs() >= 1);
                if is_wide && said.place <= Place::Account {
                    let about = Some(lane).filter(|_| said.place != Place::Account);
                    let probes = &self.grants[&id].probes;
                    let of_provider = probes.contains(&Spot::Provider);
                    if of_provider || probes.contains(&Spot::ProviderModel(lane)) {
                        self.brake(now, sent, about.filter(|_| !of_provider), seen)?;
                        return Ok(None);
                    }
                    self.refusals.push((now, account, about));
                    if self.are_refused_alike(now, about) {
                        self.brake(now, sent, about, seen)?;
                    }
                }
            }
            Verdict::QuotaExhausted { retry_after } => {
                self.cool(now, sent, spot, retry_after, cause(Wrong::Quota), seen)?;
            }
            Verdict::Overloaded { retry_after } => {
                self.cool(now, sent, spot, retry_after, cause(Wrong::Overload), seen)?;
                if self.is_the_provider(now, lane) {
                    self.cool(now, sent, Spot::Provider, None, cause(Wrong::Overload), seen)?;
                }
            }
            // It proves nothing about a secret that was replaced or a key that is gone.
            Verdict::KeyRejected | Verdict::PermissionRefused
                if self.grants[&id].secret != self.keys[key].secret
                    || !self.keys[key].declared
                    || !self.keys[key].alive => {}
            Verdict::KeyRejected => {
                return self.suspect(now, id, spot, cause(Wrong::Credential), seen).map(Some);
            }
            Verdict::PermissionRefused => {
                return self.suspect(now, id, spot, cause(Wrong::Permission), seen).map(Some);
            }
            Verdict::Transient => self.failed(now, id, account, cause(Wrong::Fault), seen)?,
            Verdict::TooLarge { .. } | Verdict::CallerFault => {}
        }
        Ok(None)
    }

    fn suspect(
        &mut self,
        now: u64,
        id: usize,
        spot: Spot,
        cause: Cause,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Result<Accused, String> {
        let grant = &self.grants[&id];
        let (key, lane, operation, sent) = (grant.key, grant.lane, grant.operation, grant.sent);
        // A key that was accepted for another operation within a minute is not dead.
        let mut accepted = self.keys[key].accepted.iter();
        let serves_others =
            accepted.any(|(then, other)| *other != operation && is_recent(now, *then));
        // Then the words of the refusal claim more than they prove, and count as a bare status.
        let (spot, cause) = match spot {
            Spot::Key(_) if serves_others => {
                (Spot::Operation { lane, key, operation }, Cause { is_told: false, ..cause })
            }
            spot => (spot, cause),
        };
        let was_probe = grant.probes.contains(&spot);
        let standing = self.places.entry(spot).or_default();
        let doubt = standing.suspected(now, (sent, was_probe), cause, seen(spot))?;
        Ok(Accused { spot, key, secret: self.keys[key].secret, doubt })
    }

    /// A suspicion is settled; `seen` is the engine's result.
    pub(in super::super) fn settle_blame(
        &mut self,
        now: u64,
        accused: &Accused,
        end: End,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Check {
        let Accused { spot, key, secret, doubt } = accused;
        let is_other = self.keys[*key].secret != *secret || self.is_key_gone(*key);
        if is_other || !self.places.contains_key(spot) {
            return Ok(());
        }
        let standing = self.places.entry(*spot).or_default();
        let before = standing.until;
        standing.settled(now, doubt, end, seen(*spot))?;
        let has_grown = self.place(*spot).until > before;
        if !has_grown {
            return Ok(());
        }
        let is_credential = doubt.cause.wrong == Wrong::Credential;
        self.keys[*key].rejected |= is_credential && *spot == Spot::Key(*key);
        let (Spot::Operation { .. } | Spot::KeyModel { .. }) = spot else { return Ok(()) };
        let is_accepted = self.keys[*key].accepted.iter().any(|(then, _)| is_recent(now, *then));
        if is_credential && !is_accepted && self.is_rejected_elsewhere(now, *spot, *key) {
            let before = self.place(Spot::Key(*key)).until;
            self.cool(now, now, Spot::Key(*key), None, doubt.cause, seen)?;
            // A key that rests for longer already, for another reason, does not become a rejected one.
            self.keys[*key].rejected |= self.place(Spot::Key(*key)).until > before;
        }
        Ok(())
    }

    /// Whether another operation of a key was also rejected within a minute.
    fn is_rejected_elsewhere(&self, now: u64, spot: Spot, key: usize) -> bool {
        let operation_of = |spot: &Spot| match spot {
            Spot::Operation { key: of, operation, .. } if *of == key => Some(Some(*operation)),
            Spot::KeyModel { key: of, .. } if *of == key => Some(None),
            _ => None,
        };
        let own = self.asked_operation(spot);
        self.places.iter().any(|(other, standing)| {
            operation_of(other).is_some_and(|operation| operation != own)
                && standing.is_for(Wrong::Credential, now)
                && now - standing.began <= 60 * SECOND
        })
    }

    fn asked_operation(&self, spot: Spot) -> Option<usize> {
        match spot {
            Spot::Operation { operation, .. } => Some(operation),
            _ => None,
        }
    }

    /// The limit is wider than the accounts.
    pub(in super::super) fn brake(
        &mut self,
        now: u64,
        sent: u64,
        lane: Option<usize>,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Check {
        let spot = lane.map_or(Spot::Provider, Spot::ProviderModel);
        let cause = Cause { wrong: Wrong::Overload, is_told: false };
        self.cool(now, sent, spot, None, cause, seen)
    }

    fn cool(
        &mut self,
        now: u64,
        sent: u64,
        spot: Spot,
        hint: Option<Duration>,
        cause: Cause,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Check {
        let hint = hint.map(|hint| hint.as_nanos() as u64);
        self.places.entry(spot).or_default().refused(now, sent, hint, cause, seen(spot))
    }

    /// Whether at least three accounts, and half of all, were refused within a second for the same.
    fn are_refused_alike(&self, now: u64, about: Option<usize>) -> bool {
        let alike =
            |(then, _, of): &&(u64, usize, Option<usize>)| now - then <= SECOND && *of == about;
        let within = self.refusals.iter().filter(alike);
        let mut accounts: Vec<_> = within.map(|(_, account, _)| *account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len() >= 3 && 2 * accounts.len() >= self.declared_accounts().count()
    }

    /// Whether two models are overloaded, and the last two that were served are overloaded, too.
    fn is_the_provider(&self, now: u64, lane: usize) -> bool {
        let is_overloaded = |lane: usize| {
            let standing = self.place(Spot::ProviderModel(lane));
            standing.is_for(Wrong::Overload, now) && now - standing.began <= 10 * SECOND
        };
        let others = (0..self.lanes.len()).filter(|other| *other != lane);
        let last = self.served.last().copied();
        let other = last.and_then(|(_, last)| {
            self.served.iter().rev().find(|(_, lane)| *lane != last).copied()
        });
        let mut served = [last, other].into_iter().flatten();
        is_overloaded(lane)
            && others.into_iter().any(is_overloaded)
            && !served.any(|(then, lane)| now - then <= 5 * SECOND && !is_overloaded(lane))
    }

    /// An account rests if it failed three times in a row and mostly of late, and if at most half
    /// of all accounts are then out of use.
    fn failed(
        &mut self,
        now: u64,
        id: usize,
        account: usize,
        cause: Cause,
        seen: &dyn Fn(Spot) -> Seen,
    ) -> Check {
        self.accounts[account].failures.push(true);
        let failures = &self.accounts[account].failures;
        let share = failures
            .iter()
            .fold(0.0, |share, failed| share * 0.875 + f64::from(u8::from(*failed)) / 8.0);
        let in_a_row = failures.iter().rev().take_while(|failed| **failed).count();
        let total = self.declared_accounts().count();
        let others = self.declared_accounts().filter(|other| *other != account);
        let is_troubled = |other: &usize| self.place(Spot::Account(*other)).is_troubled(now);
        let troubled = others.filter(is_troubled).count();
        let rests = in_a_row >= 3 && share > 0.5 && 2 * (troubled + 1) <= total;
        if rests {
            let sent = self.grants[&id].sent;
            self.cool(now, sent, Spot::Account(account), None, cause, seen)?;
            self.accounts[account].rests = self.place(Spot::Account(account)).until;
            let resting =
                self.declared_accounts().filter(|a| self.accounts[*a].rests > now).count();
            ensure!(
                2 * resting <= total,
                "{resting} of {total} accounts rest for failures without a proven cause"
            );
        }
        Ok(())
    }
}

/// Within a minute. Successes are remembered in whole seconds.
fn is_recent(now: u64, then: u64) -> bool {
    now / SECOND - then / SECOND <= 60
}
