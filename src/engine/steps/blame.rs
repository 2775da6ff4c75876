//! Blame that one answer does not prove: it is pending until the same request was asked elsewhere.

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

/// So close together narrower places agree.
const TOGETHER: u64 = 60 * SECOND;

/// A place that is accused by a refusal which could also be the request's own fault.
#[derive(Debug)]
pub(crate) struct Accusation {
    place: Place,
    pub(crate) key: KeyId,
    at: At,
    /// Which of the key's secrets was refused.
    secret: u32,
    suspicion: Suspicion,
    /// Who sent the request.
    caller: Option<Arc<str>>,
    /// Whether the key was accepted of late: then it is more likely the request.
    pub(crate) is_vouched: bool,
}

impl Accusation {
    pub(crate) fn kind(&self) -> Kind {
        self.suspicion.cause.kind
    }

    /// Whether a key only repeats what it said before: the refused request was to find out.
    pub(crate) fn is_of_probe(&self) -> bool {
        self.suspicion.is_of_probe()
    }

    pub(crate) fn is_of_credential(&self) -> bool {
        self.kind() == Kind::Credential
    }
}

impl Engine {
    /// Who sent a request: its tag, or else its tenant.
    pub(in crate::engine) fn caller<'a>(&'a self, grant: &'a Grant) -> Option<&'a Arc<str>> {
        grant.tag.as_ref().or_else(|| self.tenants.name(grant.tenant))
    }

    /// The accused place rests provisionally, so that others do not run into a key that is probably dead.
    pub(in crate::engine) fn accuse(
        &mut self,
        now: Time,
        grant: &Grant,
        place: Place,
        cause: Cause,
    ) -> Option<Accusation> {
        let key = &self.keys[grant.key.index()];
        // A refusal of the secret that it had before says nothing about the one that it has now.
        if key.secret != grant.secret || !self.is_usable(grant.key) {
            return None;
        }
        // A key that just served something else is not dead because of one answer; nor is one that is
        // refused for what ordinary keys may not do.
        let is_narrow =
            !grant.generates || key.accepted.is_recent_for_another(now, grant.operation);
        let (place, cause) = match place {
            // Its words say more than they prove.
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

    /// An accusation is confirmed or withdrawn, or it lapses without contrast.
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

    /// Two operations of a key are rejected, and it was accepted for nothing meanwhile: it is the key.
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

    /// A second and a third key have said the same of a request: it is remembered for its caller.
    pub(crate) fn note_at_fault(&mut self, now: Time, accusation: &Accusation) {
        let Accusation { at, caller, suspicion, .. } = accusation;
        let rule = Arc::clone(&suspicion.cause.rule);
        self.at_fault.note(now, caller.clone(), at.operation, rule);
    }

    /// Whether this caller's requests are known to be at fault for it.
    pub(crate) fn is_at_fault(&self, now: Time, accusation: &Accusation) -> bool {
        let Accusation { at, caller, suspicion, .. } = accusation;
        let rule = &suspicion.cause.rule;
        self.at_fault.is_known(now, caller.clone(), at.operation, rule)
    }

    /// Whether a second opinion may be asked for.
    pub(crate) fn may_ask_another(&mut self) -> bool {
        self.opinions.ask()
    }

    /// How many accounts there are.
    pub(crate) fn accounts(&self) -> usize {
        self.order.len()
    }

    /// Those that were asked for were needed: another key did better.
    pub(crate) fn opinions_were_needed(&mut self, number: usize) {
        self.opinions.give_back(number);
    }

    /// Whether any key is left that was not tried with a request, and may be used before its caller gives up:
    /// one that is rejected itself only if that may be in doubt, and is.
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

    /// An account said that the provider is overloaded, and another one served the same request at once:
    /// it is that account.
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
