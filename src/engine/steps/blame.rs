//! Blame that one answer does not prove: it stays pending until the same request was answered with
//! another key.

use std::sync::Arc;

use crate::{
    KeyId,
    engine::{
        Engine,
        grant::Grant,
        ids::{At, KeyIx},
        lane::Lane,
        standing::{Cause, Kind, Outcome, Standing, Suspicion},
        time::{SECOND, Time},
    },
    verdict::Place,
};

/// Narrower places agree if they are refused within this time.
const TOGETHER: u64 = 60 * SECOND;

/// A place that is blamed by a refusal, although the request itself may be at fault.
#[derive(Debug)]
pub(crate) struct Accusation {
    place: Place,
    pub(crate) key: KeyId,
    at: At,
    /// The version of the key's secret that was refused.
    secret: u32,
    suspicion: Suspicion,
    /// The caller: a tag or a tenant.
    caller: Option<Arc<str>>,
    /// Whether the key was accepted recently; then the request is more likely at fault.
    pub(crate) is_vouched: bool,
}

impl Accusation {
    pub(crate) fn kind(&self) -> Kind {
        self.suspicion.cause.kind
    }

    /// Whether the refused request was a probe, so that the key is refused once more.
    pub(crate) fn is_of_probe(&self) -> bool {
        self.suspicion.is_of_probe()
    }

    pub(crate) fn is_of_credential(&self) -> bool {
        self.kind() == Kind::Credential
    }
}

impl Engine {
    /// The caller of a request: its tag, otherwise its tenant.
    pub(in crate::engine) fn caller<'a>(&'a self, grant: &'a Grant) -> Option<&'a Arc<str>> {
        grant.tag.as_ref().or_else(|| self.tenants.name(grant.tenant))
    }

    /// The accused place rests provisionally, so that other requests avoid a key that is probably
    /// dead.
    pub(in crate::engine) fn accuse(
        &mut self,
        now: Time,
        grant: &Grant,
        place: Place,
        cause: Cause,
    ) -> Option<Accusation> {
        let key = &self.keys[grant.key.index()];
        // A refusal of the old secret proves nothing about the new one.
        if key.secret != grant.secret || !self.is_usable(grant.key) {
            return None;
        }
        // One refusal does not prove that a key is dead that was just accepted for another
        // operation. Neither does a refusal for an operation that ordinary keys may not use.
        let is_narrow =
            !grant.generates || key.accepted.is_recent_for_another(now, grant.operation);
        let (place, cause) = match place {
            // The words of the refusal claim more than they prove.
            Place::Key if is_narrow => (Place::Operation, Cause { is_told: false, ..cause }),
            _ => (place, cause),
        };
        let is_vouched = key.accepted.is_recent(now);
        let (at, role) = (grant.at(), grant.roles.of(place));
        let mut rng = self.rng.fork();
        let standing = self.standing_mut(place, at);
        let suspicion = standing.suspect(now, grant.sent, role, cause, &mut rng);
        let until = self.standing(place, at).map_or(now, |standing| standing.until());
        self.in_doubt_until = self.in_doubt_until.max(until);
        self.revive(at.account);
        let (secret, caller) = (grant.secret, self.caller(grant).cloned());
        let key = self.keys[grant.key.index()].id.clone();
        Some(Accusation { place, key, at, secret, suspicion, caller, is_vouched })
    }

    /// Settles an accusation: it is confirmed, withdrawn, or lapses.
    pub(crate) fn settle_accusation(
        &mut self,
        now: Time,
        accusation: &Accusation,
        outcome: Outcome,
    ) {
        let Accusation { place, at, secret, suspicion, .. } = accusation;
        let (place, at) = (*place, *at);
        let key = &self.keys[at.key.index()];
        if key.ix != at.key || key.secret != *secret || self.standing(place, at).is_none() {
            return;
        }
        let mut rng = self.rng.fork();
        let standing = self.standing_mut(place, at);
        let has_grown = standing.settle(now, suspicion, outcome, &mut rng);
        if has_grown {
            self.rests(now, place, at, &suspicion.cause);
            self.widen_credential(now, place, at, &suspicion.cause);
            let until = self.standings(at).map(|(_, standing)| standing.until()).max();
            self.in_doubt_until = self.in_doubt_until.max(until.unwrap_or(now));
        }
        self.opened(place, at);
    }

    /// If two operations of a key are rejected and none was accepted meanwhile, the key itself is
    /// rejected.
    fn widen_credential(&mut self, now: Time, place: Place, at: At, cause: &Cause) {
        let is_narrow = matches!(place, Place::Operation | Place::KeyModel);
        let key = &self.keys[at.key.index()];
        if !is_narrow || cause.kind != Kind::Credential || key.accepted.is_recent(now) {
            return;
        }
        let own = Some(at.operation).filter(|_| place == Place::Operation);
        let rejects = |lane: &Lane| {
            lane.keys_of(at.key).any(|(operation, standing)| {
                let trouble = standing.trouble(now);
                operation != own
                    && trouble.is_some_and(|(cause, since)| {
                        cause.kind == Kind::Credential && now.since(since) <= TOGETHER
                    })
            })
        };
        if self.lanes.iter().any(rejects) {
            let standing = &mut self.keys[at.key.index()].standing;
            if standing.cool(now, now, None, cause, &mut self.rng) {
                self.rests(now, Place::Key, at, cause);
            }
        }
    }

    /// Three keys agreed that the request is at fault: remembers this for its caller.
    pub(crate) fn note_at_fault(&mut self, now: Time, accusation: &Accusation) {
        let Accusation { at, caller, suspicion, .. } = accusation;
        let rule = Arc::clone(&suspicion.cause.rule);
        self.at_fault.note(now, caller.clone(), at.operation, rule);
    }

    /// Whether this caller's requests are known to be at fault under the same rule.
    pub(crate) fn is_at_fault(&self, now: Time, accusation: &Accusation) -> bool {
        let Accusation { at, caller, suspicion, .. } = accusation;
        let rule = &suspicion.cause.rule;
        self.at_fault.is_known(now, caller.clone(), at.operation, rule)
    }

    /// Takes a second opinion from the budget; returns whether there was one.
    pub(crate) fn may_ask_another(&mut self) -> bool {
        self.opinions.ask()
    }

    /// How many accounts are declared.
    pub(crate) fn accounts(&self) -> usize {
        self.order.len()
    }

    /// Gives back second opinions that were needed: another key was accepted.
    pub(crate) fn opinions_were_needed(&mut self, number: usize) {
        self.opinions.give_back(number);
    }

    /// Whether a key is left that was not tried with a request and can be used before the deadline.
    /// A rejected key only counts if `may_be_in_doubt` is set and its rejection is in doubt.
    pub(crate) fn has_another(
        &self,
        now: Time,
        accusation: &Accusation,
        deadline: Time,
        may_be_in_doubt: bool,
        is_tried: impl Fn(KeyIx) -> bool,
    ) -> bool {
        let At { lane, operation, .. } = accusation.at;
        let is_of_key = |cause: &Cause| matches!(cause.kind, Kind::Credential | Kind::Permission);
        let is_refused = |standing: &Standing| {
            standing.is_proven(now) && standing.cause(now).is_some_and(is_of_key)
        };
        let is_left = |key: &KeyIx| {
            let account = self.keys[key.index()].account;
            let at = At { account, key: *key, lane, operation };
            !is_tried(*key)
                && self.is_usable(*key)
                && self.standings(at).all(|(place, standing)| {
                    let is_of_key = place <= Place::Key;
                    may_be_in_doubt && is_of_key && standing.until_in_need() <= now
                        || standing.until() <= deadline && !(is_of_key && is_refused(standing))
                })
        };
        self.order.iter().flat_map(|account| &self.accounts[account.index()].keys).any(is_left)
    }

    /// One account reported an overload of the provider, but another account served the same
    /// request at once. So only that account rests.
    pub(crate) fn overloaded_alone(
        &mut self,
        now: Time,
        account: &str,
        model: Option<&str>,
        rule: &str,
    ) {
        let Some(account) = self.find_account(account) else { return };
        let lane = self.lane(now, model);
        let cause = Cause { kind: Kind::Overload, rule: Arc::from(rule), is_told: false };
        let standing = &mut self.lanes[lane].seat_mut(account).standing;
        standing.cool(now, now, None, &cause, &mut self.rng);
        self.revive(account);
    }
}
