//! The faults that are set, and whom they strike.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::{Fault, Kind, StreamFault, queue::Queue};
use crate::{
    limit::Metered,
    sandbox::{
        limits::{Over, Wait},
        refusal::Refusal,
        state::{Directory, Place},
    },
};

/// The faults that are set.
#[derive(Default)]
pub(in crate::sandbox) struct Faults {
    revoked: HashSet<usize>,
    forbidden: HashMap<usize, Vec<Forbidden>>,
    exhausted: HashSet<usize>,
    /// Until when, by account.
    cooling: HashMap<usize, Duration>,
    /// Until when, by model.
    overloaded: HashMap<String, Duration>,
    /// Until when no key is known.
    outage: Duration,
    /// Names of headers, and parts of their values.
    rejected: Vec<(String, String)>,
    refusals: Queue<Refusal>,
    pub(in crate::sandbox) answers: Queue<Box<Response<Bytes>>>,
    pub(in crate::sandbox) connections: Queue<()>,
    pub(in crate::sandbox) slow: Queue<Duration>,
    pub(in crate::sandbox) streams: Queue<StreamFault>,
}

/// What a key may not be used for.
enum Forbidden {
    Model(String),
    /// Every path that contains it.
    Path(String),
}

/// What a fault knows a request by.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct Struck<'a> {
    pub(in crate::sandbox) place: Place,
    pub(in crate::sandbox) model: Option<&'a str>,
    pub(in crate::sandbox) path: &'a str,
    pub(in crate::sandbox) headers: &'a HeaderMap,
}

impl Faults {
    /// Whether what the fault names is in the directory.
    pub(in crate::sandbox) fn add(
        &mut self,
        fault: Fault,
        directory: &Directory,
        now: Duration,
    ) -> bool {
        let key = |secret: &str| directory.find(secret).map(|place| place.key);
        match fault.0 {
            Kind::Revoke(secret) => key(&secret).map(|key| self.revoked.insert(key)).is_some(),
            Kind::Forbid(secret, model) => self.forbid(key(&secret), Forbidden::Model(model)),
            Kind::ForbidPath(secret, part) => self.forbid(key(&secret), Forbidden::Path(part)),
            Kind::Exhaust(name) => {
                directory.account(&name).map(|account| self.exhausted.insert(account)).is_some()
            }
            Kind::Cool(name, time) => directory
                .account(&name)
                .map(|account| self.cooling.insert(account, now.saturating_add(time)))
                .is_some(),
            Kind::OverloadModel(model, time) => {
                let end = self.overloaded.entry(model).or_default();
                *end = now.saturating_add(time).max(*end);
                true
            }
            Kind::Outage(time) => {
                self.outage = now.saturating_add(time).max(self.outage);
                true
            }
            Kind::RejectHeader(name, part) => {
                self.rejected.push((name, part));
                true
            }
            Kind::Restore(name) => self.restore(key(&name), directory.account(&name)),
            Kind::Refuse(refusal, n) => self.refusals.push(refusal, n),
            Kind::Answer(response, n) => self.answers.push(response, n),
            Kind::Connections(n) => self.connections.push((), n),
            Kind::Slow(time, n) => self.slow.push(time, n),
            Kind::Stream(fault, n) => self.streams.push(fault, n),
        }
    }

    fn forbid(&mut self, key: Option<usize>, what: Forbidden) -> bool {
        key.map(|key| self.forbidden.entry(key).or_default().push(what)).is_some()
    }

    fn restore(&mut self, key: Option<usize>, account: Option<usize>) -> bool {
        if let Some(key) = key {
            self.revoked.remove(&key);
            self.forbidden.remove(&key);
        }
        if let Some(account) = account {
            self.exhausted.remove(&account);
            self.cooling.remove(&account);
        }
        key.is_some() || account.is_some()
    }

    /// What a request with a known key is refused with.
    pub(in crate::sandbox) fn strike(
        &mut self,
        struck: Struck<'_>,
        now: Duration,
    ) -> Option<Refusal> {
        let Struck { place, model, path, headers } = struck;
        if now < self.outage || self.revoked.contains(&place.key) {
            return Some(Refusal::UnknownKey);
        }
        if let Some(refusal) = self.rejected_header(headers) {
            return Some(refusal);
        }
        if self.exhausted.contains(&place.account) {
            return Some(Refusal::Exhausted);
        }
        if let Some(left) = self.cooling.get(&place.account).map(|end| end.saturating_sub(now))
            && !left.is_zero()
        {
            return Some(Refusal::Over(cooling(left)));
        }
        if let Some(what) = self.forbidden(place, model, path) {
            return Some(match what {
                Forbidden::Model(_) => Refusal::ModelForbidden,
                Forbidden::Path(_) => Refusal::PathForbidden,
            });
        }
        if model.and_then(|model| self.overloaded.get(model)).is_some_and(|end| now < *end) {
            return Some(Refusal::Overloaded);
        }
        self.refusals.take()
    }

    fn rejected_header(&self, headers: &HeaderMap) -> Option<Refusal> {
        self.rejected.iter().find_map(|(name, part)| {
            let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
            let value = values.into_iter().find(|value| value.contains(part.as_str()))?;
            Some(Refusal::HeaderRejected(name.clone(), value.to_owned()))
        })
    }

    fn forbidden(&self, place: Place, model: Option<&str>, path: &str) -> Option<&Forbidden> {
        self.forbidden.get(&place.key)?.iter().find(|what| match what {
            Forbidden::Model(name) => model == Some(name),
            Forbidden::Path(part) => path.contains(part.as_str()),
        })
    }
}

/// A 429 with a wait but without a limit behind it.
fn cooling(left: Duration) -> Over {
    Over {
        metered: Metered::Requests,
        amount: 1,
        period: Duration::from_secs(60),
        used: 1,
        requested: 1,
        wait: Wait::For(left),
    }
}
