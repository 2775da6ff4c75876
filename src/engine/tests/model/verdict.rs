//! What a verdict changes, and what it must not.

use std::time::Duration;

use crate::{Scope, Verdict};

use super::{
    Check, World, ensure,
    standing::{FAILURE, Ladder, OVERLOAD, QUOTA, RATE, Seen},
};

const SECOND: u64 = 1_000_000_000;

impl World {
    /// Takes in a verdict of which the engine made what is `seen`.
    pub(in super::super) fn judge(
        &mut self,
        now: u64,
        id: usize,
        verdict: Verdict,
        seen: Seen,
    ) -> Check {
        let Some(grant) = self.grants.get(&id) else { return Ok(()) };
        let (account, key, lane, sent) = (grant.account, grant.key, grant.lane, grant.sent);
        let secret = grant.secret;
        match verdict {
            Verdict::Accepted => {
                self.accounts[account].failures.push(false);
                self.accounts[account].standing.succeeded(sent);
                self.lanes[lane].seats[account].succeeded(sent);
                self.provider.succeeded(sent);
            }
            Verdict::RateLimited { retry_after, scope } => {
                self.cool(now, id, scope, retry_after, RATE, seen)?;
                // Less than a second says that a limit was just missed.
                let is_wide = retry_after.is_none_or(|wait| wait.as_secs() >= 1);
                if is_wide {
                    self.refusals.push((now, account));
                }
                if is_wide && self.are_refused_alike(now) {
                    self.provider.refused(now, sent, None, OVERLOAD, seen.provider)?;
                }
            }
            Verdict::QuotaExhausted { retry_after, scope } => {
                self.cool(now, id, scope, retry_after, QUOTA, seen)?;
            }
            Verdict::Overloaded { retry_after } => {
                let hint = retry_after.map(|hint| hint.as_nanos() as u64);
                self.provider.refused(now, sent, hint, OVERLOAD, seen.provider)?;
            }
            // Of a secret that was replaced, or a key that is gone, it says nothing.
            Verdict::KeyRejected | Verdict::ModelRefused
                if secret != self.keys[key].secret || !self.keys[key].declared => {}
            Verdict::KeyRejected => {
                self.keys[key].alive = false;
                self.lanes.iter_mut().for_each(|lane| lane.refused.retain(|other| *other != key));
            }
            Verdict::ModelRefused if !self.keys[key].alive => {}
            Verdict::ModelRefused => self.lanes[lane].refused.push(key),
            Verdict::Transient => self.failed(now, id, account, seen)?,
            Verdict::CallerFault => {}
        }
        Ok(())
    }

    /// A caller of the engine knows that it is not the accounts.
    pub(in super::super) fn brake(&mut self, now: u64, seen: u64) -> Check {
        self.provider.refused(now, now, None, OVERLOAD, seen)
    }

    fn cool(
        &mut self,
        now: u64,
        id: usize,
        scope: Scope,
        hint: Option<Duration>,
        ladder: Ladder,
        seen: Seen,
    ) -> Check {
        let grant = &self.grants[&id];
        let hint = hint.map(|hint| hint.as_nanos() as u64);
        let (standing, seen) = match scope {
            Scope::Model => (&mut self.lanes[grant.lane].seats[grant.account], seen.seat),
            Scope::Account => (&mut self.accounts[grant.account].standing, seen.account),
        };
        standing.refused(now, grant.sent, hint, ladder, seen)
    }

    /// Whether at least three accounts, and half of them all, were refused within a second.
    fn are_refused_alike(&self, now: u64) -> bool {
        let within = self.refusals.iter().filter(|(then, _)| now - then <= SECOND);
        let mut accounts: Vec<_> = within.map(|(_, account)| *account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len() >= 3 && 2 * accounts.len() >= self.declared_accounts().count()
    }

    /// It rests if it failed three times in a row and mostly of late, and if no more than half of
    /// all are then out of use.
    fn failed(&mut self, now: u64, id: usize, account: usize, seen: Seen) -> Check {
        self.accounts[account].failures.push(true);
        let failures = &self.accounts[account].failures;
        let share = failures
            .iter()
            .fold(0.0, |share, failed| share * 0.875 + f64::from(u8::from(*failed)) / 8.0);
        let in_a_row = failures.iter().rev().take_while(|failed| **failed).count();
        let total = self.declared_accounts().count();
        let others = self.declared_accounts().filter(|other| *other != account);
        let is_troubled = |other: &usize| self.accounts[*other].standing.is_troubled(now);
        let troubled = others.filter(is_troubled).count();
        let rests = in_a_row >= 3 && share > 0.5 && 2 * (troubled + 1) <= total;
        if rests {
            self.cool(now, id, Scope::Account, None, FAILURE, seen)?;
            self.accounts[account].rests = seen.account;
            let resting =
                self.declared_accounts().filter(|a| self.accounts[*a].rests > now).count();
            ensure!(
                2 * resting <= total,
                "{resting} of {total} accounts rest for failures nobody is proven to blame for"
            );
        }
        Ok(())
    }
}
