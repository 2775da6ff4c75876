//! The faults that are in force, and which requests they affect.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::{
    limit::Metered,
    sandbox::{
        directory::{Directory, KeyIndex},
        faults::fault::{Fault, Kind, StreamFault},
        limits::{Exceeded, Wait},
        refusal::Refusal,
    },
};

/// The faults that are in force.
#[derive(Default)]
pub(in crate::sandbox) struct ActiveFaults {
    /// Indices of keys.
    revoked: HashSet<usize>,
    /// By index of the key.
    forbidden: HashMap<usize, Vec<Forbidden>>,
    /// Indices of accounts.
    exhausted: HashSet<usize>,
    /// The end of the fault, by index of the account.
    rate_limited: HashMap<usize, Duration>,
    /// The end of the fault, by model.
    overloaded: HashMap<String, Duration>,
    /// Until when no key is known.
    auth_outage: Duration,
    /// Names of headers, and parts of their values.
    rejected_headers: Vec<(String, String)>,
    refusals: Queue<Refusal>,
    pub(in crate::sandbox) responses: Queue<Box<Response<Bytes>>>,
    pub(in crate::sandbox) connections: Queue<()>,
    pub(in crate::sandbox) delays: Queue<Duration>,
    pub(in crate::sandbox) streams: Queue<StreamFault>,
}

/// What a key may not be used for.
enum Forbidden {
    Model(String),
    /// Every path that contains this part.
    Path(String),
}

/// What faults look at in a request.
#[derive(Clone, Copy)]
pub(in crate::sandbox) struct RequestFacts<'a> {
    pub(in crate::sandbox) key: KeyIndex,
    pub(in crate::sandbox) model: Option<&'a str>,
    pub(in crate::sandbox) path: &'a str,
    pub(in crate::sandbox) headers: &'a HeaderMap,
}

impl ActiveFaults {
    /// Puts a fault in force. Returns whether the directory has the key or account that it names.
    pub(in crate::sandbox) fn add(
        &mut self,
        fault: Fault,
        directory: &Directory,
        now: Duration,
    ) -> bool {
        let key = |secret: &str| directory.find(secret).map(|index| index.key);
        match fault.0 {
            Kind::Revoke(secret) => key(&secret).map(|key| self.revoked.insert(key)).is_some(),
            Kind::ForbidModel(secret, model) => self.forbid(key(&secret), Forbidden::Model(model)),
            Kind::ForbidPath(secret, part) => self.forbid(key(&secret), Forbidden::Path(part)),
            Kind::ExhaustQuota(name) => {
                directory.account(&name).map(|account| self.exhausted.insert(account)).is_some()
            }
            Kind::RateLimit(name, time) => directory
                .account(&name)
                .map(|account| self.rate_limited.insert(account, now.saturating_add(time)))
                .is_some(),
            Kind::OverloadModel(model, time) => {
                let end = self.overloaded.entry(model).or_default();
                *end = now.saturating_add(time).max(*end);
                true
            }
            Kind::AuthOutage(time) => {
                self.auth_outage = now.saturating_add(time).max(self.auth_outage);
                true
            }
            Kind::RejectHeader(name, part) => {
                self.rejected_headers.push((name, part));
                true
            }
            Kind::Restore(name) => self.restore(key(&name), directory.account(&name)),
            Kind::Refuse(refusal, n) => self.refusals.push(refusal, n),
            Kind::RespondWith(response, n) => self.responses.push(response, n),
            Kind::RefuseConnections(n) => self.connections.push((), n),
            Kind::Delay(time, n) => self.delays.push(time, n),
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
            self.rate_limited.remove(&account);
        }
        key.is_some() || account.is_some()
    }

    /// The refusal of a request with a known key, if a fault affects it.
    pub(in crate::sandbox) fn refuse(
        &mut self,
        request: RequestFacts<'_>,
        now: Duration,
    ) -> Option<Refusal> {
        let RequestFacts { key, model, path, headers } = request;
        if now < self.auth_outage || self.revoked.contains(&key.key) {
            return Some(Refusal::UnknownKey);
        }
        if let Some(refusal) = self.rejected_header(headers) {
            return Some(refusal);
        }
        if self.exhausted.contains(&key.account) {
            return Some(Refusal::QuotaExhausted);
        }
        if let Some(left) = self.rate_limited.get(&key.account).map(|end| end.saturating_sub(now))
            && !left.is_zero()
        {
            return Some(Refusal::LimitExceeded(exceeded_for(left)));
        }
        if let Some(what) = self.forbidden(key, model, path) {
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
        self.rejected_headers.iter().find_map(|(name, part)| {
            let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
            let value = values.into_iter().find(|value| value.contains(part.as_str()))?;
            Some(Refusal::HeaderRejected(name.clone(), value.to_owned()))
        })
    }

    fn forbidden(&self, key: KeyIndex, model: Option<&str>, path: &str) -> Option<&Forbidden> {
        self.forbidden.get(&key.key)?.iter().find(|what| match what {
            Forbidden::Model(name) => model == Some(name),
            Forbidden::Path(part) => path.contains(part.as_str()),
        })
    }
}

/// A 429 that states a wait, without a real limit behind it.
fn exceeded_for(left: Duration) -> Exceeded {
    Exceeded {
        metered: Metered::Requests,
        amount: 1,
        period: Duration::from_secs(60),
        used: 1,
        requested: 1,
        wait: Wait::For(left),
    }
}

/// Faults that take effect one after the other, each a number of times.
pub(in crate::sandbox) struct Queue<T>(VecDeque<(T, u64)>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Queue<T> {
    /// Always true: such a fault names no key or account that could be missing.
    fn push(&mut self, fault: T, times: u64) -> bool {
        if times > 0 {
            self.0.push_back((fault, times));
        }
        true
    }

    pub(in crate::sandbox) fn take(&mut self) -> Option<T> {
        let (fault, times) = self.0.front_mut()?;
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.0.pop_front();
        }
        Some(fault)
    }
}
