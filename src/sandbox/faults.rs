//! What can be made to go wrong.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{
    limit::Metered,
    sandbox::{
        limits::{Over, Wait},
        refusal::Refusal,
        state::{Directory, Place},
    },
};

/// Something that goes wrong, for [`Sandbox::fail`](crate::sandbox::Sandbox::fail).
///
/// Some faults last until [`Fault::restore`]; others strike the next `n` requests. Where several
/// would strike one request, the lasting ones go first, then those that wait in line.
#[must_use]
pub struct Fault(Kind);

enum Kind {
    Revoke(String),
    Forbid(String, String),
    Exhaust(String),
    Cool(String, Duration),
    Restore(String),
    Refuse(Refusal, u64),
    Answer(Box<Response<Bytes>>, u64),
    Connections(u64),
    Slow(Duration, u64),
    Stream(StreamFault, u64),
}

/// A stream that goes wrong before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFault {
    /// The body fails after so many events.
    Cut(u64),
    /// An error event follows so many events, and nothing else.
    Error(u64),
    /// The same, and it says that the account has no quota left.
    Exhausted(u64),
    /// Nothing comes for a time after so many events.
    Stall(u64, Duration),
}

impl Fault {
    /// The secret is unknown from now on (401; Gemini: 400).
    pub fn revoke(secret: impl Into<String>) -> Self {
        Self(Kind::Revoke(secret.into()))
    }

    /// The secret may not use the model (403).
    pub fn forbid_model(secret: impl Into<String>, model: impl Into<String>) -> Self {
        Self(Kind::Forbid(secret.into(), model.into()))
    }

    /// The account has no quota left (OpenAI: 429 `insufficient_quota`; Anthropic: 400, credit too
    /// low; Gemini: 429, quota per day).
    pub fn exhaust(account: impl Into<String>) -> Self {
        Self(Kind::Exhaust(account.into()))
    }

    /// The account is refused with 429 for this time, and told how much of it is left.
    pub fn cool(account: impl Into<String>, time: Duration) -> Self {
        Self(Kind::Cool(account.into(), time))
    }

    /// Ends every lasting fault of the secret or the account of this name.
    pub fn restore(secret_or_account: impl Into<String>) -> Self {
        Self(Kind::Restore(secret_or_account.into()))
    }

    /// The next `n` requests find the provider overloaded (503; Anthropic: 529).
    pub fn overload(n: u64) -> Self {
        Self(Kind::Refuse(Refusal::Overloaded, n))
    }

    /// The next `n` requests are answered with this status and an error body.
    pub fn error(status: StatusCode, n: u64) -> Self {
        Self(Kind::Refuse(Refusal::Error(status), n))
    }

    /// The next `n` requests with a known secret are answered with exactly this, whatever they ask for and
    /// whatever else is wrong. `date` is added if it has none.
    pub fn answer(response: Response<Bytes>, n: u64) -> Self {
        Self(Kind::Answer(Box::new(response), n))
    }

    /// The next `n` calls end in
    /// [`SandboxError::ConnectionRefused`](crate::sandbox::SandboxError::ConnectionRefused).
    pub fn refuse_connections(n: u64) -> Self {
        Self(Kind::Connections(n))
    }

    /// The next `n` responses come this much later, whatever they are.
    pub fn slow(time: Duration, n: u64) -> Self {
        Self(Kind::Slow(time, n))
    }

    /// The next `n` streams fail with
    /// [`SandboxError::StreamCut`](crate::sandbox::SandboxError::StreamCut) after so many events,
    /// where they have more. Every event counts, also those that carry no text.
    pub fn cut_streams(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Cut(after_events), n))
    }

    /// The next `n` streams, begun with a 200, end in an error event after so many events, where
    /// they have more. Every event counts, also those that carry no text.
    pub fn stream_error(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Error(after_events), n))
    }

    /// The next `n` streams, begun with a 200, end after so many events in an error event that says that
    /// the account has no quota left, in the words of [`exhaust`](Self::exhaust).
    pub fn stream_exhausted(after_events: u64, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Exhausted(after_events), n))
    }

    /// The next `n` streams stop for this long after so many events, and then go on.
    pub fn stall_streams(after_events: u64, time: Duration, n: u64) -> Self {
        Self(Kind::Stream(StreamFault::Stall(after_events, time), n))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Revoke(_) => f.write_str("Revoke(..)"),
            Kind::Forbid(_, model) => write!(f, "ForbidModel(.., {model:?})"),
            Kind::Exhaust(account) => write!(f, "Exhaust({account:?})"),
            Kind::Cool(account, time) => write!(f, "Cool({account:?}, {time:?})"),
            // It may be a secret.
            Kind::Restore(_) => f.write_str("Restore(..)"),
            Kind::Refuse(refusal, n) => write!(f, "{refusal:?} x {n}"),
            Kind::Answer(response, n) => write!(f, "Answer({}) x {n}", response.status()),
            Kind::Connections(n) => write!(f, "RefuseConnections x {n}"),
            Kind::Slow(time, n) => write!(f, "Slow({time:?}) x {n}"),
            Kind::Stream(fault, n) => write!(f, "Stream{fault:?} x {n}"),
        }
    }
}

/// The faults that are set.
#[derive(Default)]
pub(super) struct Faults {
    revoked: HashSet<usize>,
    forbidden: HashMap<usize, Vec<String>>,
    exhausted: HashSet<usize>,
    /// Until when, by account.
    cooling: HashMap<usize, Duration>,
    refusals: Queue<Refusal>,
    pub(super) answers: Queue<Box<Response<Bytes>>>,
    pub(super) connections: Queue<()>,
    pub(super) slow: Queue<Duration>,
    pub(super) streams: Queue<StreamFault>,
}

impl Faults {
    /// Whether what the fault names is in the directory.
    pub(super) fn add(&mut self, fault: Fault, directory: &Directory, now: Duration) -> bool {
        let key = |secret: &str| directory.find(secret).map(|place| place.key);
        match fault.0 {
            Kind::Revoke(secret) => key(&secret).map(|key| self.revoked.insert(key)).is_some(),
            Kind::Forbid(secret, model) => {
                key(&secret).map(|key| self.forbidden.entry(key).or_default().push(model)).is_some()
            }
            Kind::Exhaust(name) => {
                directory.account(&name).map(|account| self.exhausted.insert(account)).is_some()
            }
            Kind::Cool(name, time) => directory
                .account(&name)
                .map(|account| self.cooling.insert(account, now.saturating_add(time)))
                .is_some(),
            Kind::Restore(name) => self.restore(key(&name), directory.account(&name)),
            Kind::Refuse(refusal, n) => self.refusals.push(refusal, n),
            Kind::Answer(response, n) => self.answers.push(response, n),
            Kind::Connections(n) => self.connections.push((), n),
            Kind::Slow(time, n) => self.slow.push(time, n),
            Kind::Stream(fault, n) => self.streams.push(fault, n),
        }
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

    /// What a request with this key, for this model, is refused with.
    pub(super) fn strike(
        &mut self,
        place: Place,
        model: Option<&str>,
        now: Duration,
    ) -> Option<Refusal> {
        if self.revoked.contains(&place.key) {
            return Some(Refusal::UnknownKey);
        }
        if self.exhausted.contains(&place.account) {
            return Some(Refusal::Exhausted);
        }
        if let Some(left) = self.cooling.get(&place.account).map(|end| end.saturating_sub(now))
            && !left.is_zero()
        {
            return Some(Refusal::Over(cooling(left)));
        }
        let forbidden = self.forbidden.get(&place.key);
        if let Some(model) = model
            && forbidden.is_some_and(|models| models.iter().any(|one| one == model))
        {
            return Some(Refusal::ModelForbidden);
        }
        self.refusals.take()
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

/// Things that happen in turn, each a number of times.
pub(super) struct Queue<T>(VecDeque<(T, u64)>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Queue<T> {
    /// Always true, as nothing is named that could be missing.
    fn push(&mut self, thing: T, times: u64) -> bool {
        if times > 0 {
            self.0.push_back((thing, times));
        }
        true
    }

    pub(super) fn take(&mut self) -> Option<T> {
        let (thing, times) = self.0.front_mut()?;
        let thing = thing.clone();
        *times -= 1;
        if *times == 0 {
            self.0.pop_front();
        }
        Some(thing)
    }
}
