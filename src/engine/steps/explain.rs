//! Why a request is not admitted: what blocks the keys that it could use.

use std::{fmt::Write, sync::Arc, time::Duration};

use crate::{
    Exhausted, Limit,
    engine::{
        Engine,
        ask::Ask,
        ids::At,
        room::Room,
        standing::{Cause, Kind, Standing},
        time::Time,
    },
    error::Reason,
    verdict::Place,
};

/// What blocks a key.
struct Held<'a> {
    until: Time,
    cause: Option<&'a Cause>,
    place: Place,
}

/// Keys that are blocked by the same kind of trouble.
struct Group {
    kind: Kind,
    keys: usize,
    rule: Option<Arc<str>>,
}

impl Engine {
    /// The refusal of a request that is not admitted, with its reason and the expected wait.
    pub(in crate::engine) fn explain(
        &self,
        now: Time,
        ask: &Ask,
        wait: Option<Duration>,
    ) -> Exhausted {
        let mut groups: Vec<Group> = Vec::new();
        let (mut total, mut at_limits) = (0, 0);
        let mut limit: Option<(Time, Limit)> = None;
        let mut overloaded = None;
        for account in self.sample() {
            let seat = self.lanes[ask.lane].seat(account);
            let state = &self.accounts[account.index()];
            for &key in state.keys.iter().filter(|key| self.is_usable(**key)) {
                total += 1;
                let at = At { account, key, lane: ask.lane, operation: ask.operation };
                if let Some(Held { cause: Some(cause), place, .. }) = self.held(now, at) {
                    if place >= Place::ProviderModel {
                        overloaded = Some((place, cause));
                    }
                    let group = groups.iter_mut().find(|group| group.kind == cause.kind);
                    match group {
                        Some(group) => {
                            group.keys += 1;
                            group.rule.take_if(|rule| **rule != *cause.rule);
                        }
                        None => {
                            let rule = Some(Arc::clone(&cause.rule));
                            groups.push(Group { kind: cause.kind, keys: 1, rule });
                        }
                    }
                    continue;
                }
                at_limits += 1;
                let quota = state.quota(seat);
                let is_first = |limit: &Option<(Time, Limit)>, open: Time| {
                    open > now && limit.as_ref().is_none_or(|(first, _)| open < *first)
                };
                for meter in quota.meters().chain(self.keys[key.index()].quota().meters()) {
                    if let Room::At(open) = meter.room(&ask.cost)
                        && is_first(&limit, open)
                    {
                        limit = Some((open, Limit::clone(&meter.limit)));
                    }
                }
                if let Room::At(open) = quota.learnt_room(now, &ask.cost)
                    && is_first(&limit, open)
                    && let Some(belief) = quota.beliefs(now).next()
                {
                    limit = Some((open, belief.limit));
                }
            }
        }
        let of = |kind: Kind| groups.iter().find(|group| group.kind == kind).map_or(0, |g| g.keys);
        let forbidden = of(Kind::Credential) + of(Kind::Permission);
        let reason = match overloaded {
            Some(_) => Reason::Overloaded,
            None if total > 0 && forbidden == total => Reason::NoKey,
            None if of(Kind::Quota) > 0 && forbidden + of(Kind::Quota) == total => Reason::Quota,
            None => Reason::Busy,
        };
        let mut why = String::new();
        match (reason, overloaded) {
            (Reason::Overloaded, Some((place, cause))) => {
                let model = self.lanes[ask.lane].model.as_deref();
                let model = model.filter(|_| place == Place::ProviderModel);
                // Writing to a string does not fail.
                let _ = match model {
                    Some(model) => write!(why, "the provider is overloaded for model {model:?}"),
                    None => write!(why, "the provider is overloaded"),
                };
                let _ = write!(why, " ({})", cause.rule);
            }
            _ => {
                for group in &groups {
                    say_group(&mut why, group, total);
                }
                if reason == Reason::Busy && at_limits > 0 && !why.is_empty() {
                    let _ = write!(why, ", {at_limits} at their limits");
                }
                if let (Some((_, limit)), Reason::Busy) = (limit, reason) {
                    let start = if why.is_empty() { "every account is at its limits" } else { "" };
                    let _ = write!(why, "{start} ({})", limit);
                }
            }
        }
        Exhausted::new(reason, wait).because(why)
    }

    /// The place that blocks a key longest.
    fn held(&self, now: Time, at: At) -> Option<Held<'_>> {
        let troubled = self.standings(at).filter(|(_, standing)| standing.is_troubled(now));
        let held = troubled.map(|(place, standing)| Held {
            until: standing.until(),
            cause: Standing::cause(standing, now),
            place,
        });
        held.max_by_key(|held| held.until)
    }
}

/// `3 of 4 keys were rejected (openai/invalid-key)`
fn say_group(why: &mut String, group: &Group, total: usize) {
    let Group { kind, keys, rule } = group;
    let (one, many) = match kind {
        Kind::Credential => ("was rejected", "were rejected"),
        Kind::Permission => ("may not do this", "may not do this"),
        Kind::Quota => ("is out of quota", "are out of quota"),
        Kind::Rate => ("is limited by the provider", "are limited by the provider"),
        Kind::Size => ("takes no request of this size", "take no request of this size"),
        Kind::Overload => ("waits for the provider", "wait for the provider"),
        Kind::Fault => ("rests because most requests fail", "rest because most requests fail"),
    };
    let says = if *keys == 1 { one } else { many };
    let _ = match why.is_empty() {
        true => write!(why, "{keys} of {total} keys {says}"),
        false => write!(why, ", {keys} {says}"),
    };
    if let Some(rule) = rule {
        let _ = write!(why, " ({rule})");
    }
}
