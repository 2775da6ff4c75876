//! A pool of keys: what callers and the middleware ask of it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::{HeaderMap, Request, Uri};
use tokio::time::Instant;

use crate::{
    Demand, Exhausted, KeyId,
    affinity::Kin,
    engine::{Ask, Engine, KeyIx, Time},
    pool::{
        acquire::Acquire,
        ask::Wanted,
        events::Events,
        lease::{
            Lease,
            trail::{Attempt, Trail},
        },
        roster::key_set::KeySet,
        shared::Shared,
    },
    provider::{Answer, Call, Estimate, Provider, Ruling},
    snapshot::Snapshot,
};

/// How long streams are not asked for their usage once the provider has refused the question.
const USAGE_REFUSED: Duration = Duration::from_secs(10 * 60);

/// A set of accounts and keys, and the line in front of them. Clones share one pool.
#[derive(Clone, Debug)]
pub struct KeyPool {
    pub(in crate::pool) shared: Arc<Shared>,
}

impl KeyPool {
    /// The pool's name: the provider's, unless another was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The dialect its keys are spoken with.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    /// Whether keys of this pool may be sent to a URI.
    #[must_use]
    pub fn covers(&self, uri: &Uri) -> bool {
        self.shared.origin.covers(uri)
    }

    /// A lease at once.
    ///
    /// # Errors
    /// [`Exhausted`] if nobody has room, or others wait already. It says when to come back.
    pub fn try_acquire(&self, demand: &Demand) -> Result<Lease, Exhausted> {
        let now = Instant::now();
        let since = demand.since.map_or(now, |since| since.min(now));
        let estimate = &Estimate::default();
        let kin = self.kin(demand, None, estimate);
        let (kin, operation) = (kin.as_ref(), demand.known_operation());
        let (may_wait, tried) = (false, &[][..]);
        let wanted = Wanted { demand, operation, estimate, kin, may_wait, tried, since, now };
        self.lease_or_ask(&wanted)
            .map_err(|ask| self.shared.with(|core, now| core.engine.turned_away(now, &ask)))
    }

    /// A lease as soon as an account has room, first come, first served.
    ///
    /// It waits no longer than the pool's `max_wait` and the demand's deadline, and not at all if it
    /// is already known that this would be too long.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room in time. It says when to come back.
    ///
    /// # Cancel safety
    /// The future may be dropped at any point: its place in the line goes to the next, and what was
    /// reserved for it is free again.
    pub fn acquire(&self, demand: &Demand) -> Acquire {
        let now = Instant::now();
        let since = demand.since.map_or(now, |since| since.min(now));
        self.acquire_after(demand, &[], since, now)
    }

    /// The same for a request that may have been tried before: it keeps its place in the line, and does
    /// not get a key that has refused it, as long as there is another.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room in time. It says when to come back.
    ///
    /// # Cancel safety
    /// As for [`acquire`](Self::acquire).
    pub fn acquire_for(&self, demand: &Demand, trail: &Trail) -> Acquire {
        let now = Instant::now();
        let since = demand.since.unwrap_or_else(|| trail.since()).min(now);
        trail.visit(|tried| self.acquire_after(demand, tried, since, now))
    }

    fn acquire_after(
        &self,
        demand: &Demand,
        tried: &[Attempt],
        since: Instant,
        now: Instant,
    ) -> Acquire {
        let estimate = &Estimate::default();
        let kin = self.kin(demand, None, estimate);
        let (kin, operation) = (kin.as_ref(), demand.known_operation());
        let may_wait = true;
        let wanted = Wanted { demand, operation, estimate, kin, may_wait, tried, since, now };
        self.line_up(self.shared.with_ask(&wanted, |_, _, ask| Box::new(ask)))
    }

    /// What a refusal says: by the pool's own rules, and else by the provider's. It changes nothing.
    #[must_use]
    pub fn classify(&self, answer: &Answer<'_>) -> Ruling {
        self.shared.classify(answer)
    }

    /// The state of the pool at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let name = Arc::clone(&self.shared.name);
        self.shared.with(|core, now| core.engine.snapshot(now, name))
    }

    /// What happens in the pool from now on: a bounded subscription.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// Its keys at this moment, dead ones included, and where each is sent. The first call makes the list,
    /// which takes time by the number of keys; from then on it is at hand.
    #[must_use]
    pub fn key_set(&self) -> Arc<KeySet> {
        self.shared.key_set()
    }

    /// How many keys it has, dead ones included.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.shared.with(|core, _| core.engine.total_keys())
    }

    /// The provider refuses a request for what asks its stream for the usage.
    pub(crate) fn note_usage_refused(&self) {
        let until = self.shared.clock.now().after(USAGE_REFUSED);
        self.shared.usage_refused_until.store(until.nanos(), Ordering::Relaxed);
    }

    /// Whether the provider is known to refuse that.
    pub(crate) fn refuses_usage(&self, now: Instant) -> bool {
        let until = self.shared.usage_refused_until.load(Ordering::Relaxed);
        self.shared.clock.time(now).nanos() < until
    }

    /// How long a request waits in line at most.
    #[cfg(feature = "retry")]
    pub(crate) fn max_wait(&self) -> Duration {
        self.shared.max_wait
    }

    /// Whether a second opinion may be asked for.
    #[cfg(feature = "retry")]
    pub(crate) fn may_ask_another(&self) -> bool {
        self.shared.with(|core, _| core.engine.may_ask_another())
    }

    /// A limit has shown itself that is wider than an account: the model of the key's last request waits a
    /// moment.
    #[cfg(feature = "retry")]
    pub(crate) fn brake(&self, model: Option<&str>, place: crate::verdict::Place) {
        self.shared.with(|core, now| core.engine.brake_model(now, model, place));
    }

    /// Says that a key is good: nothing is held against it and its account any more, and both are used at
    /// once. Whether there is such a key.
    pub fn revive(&self, key: impl AsRef<str>) -> bool {
        self.with_key(key.as_ref(), |engine, _, key| engine.revive_key(key)).is_some()
    }

    /// Switches a key off: no new request gets it until it is [enabled](Self::enable); what is under way
    /// ends. It is still off after a restart, if the pool's state is [saved](Self::save). Whether there is
    /// such a key, and it was on.
    pub fn disable(&self, key: impl AsRef<str>) -> bool {
        self.switch(key.as_ref(), false)
    }

    /// Switches a key on again. Whether there is such a key, and it was off.
    pub fn enable(&self, key: impl AsRef<str>) -> bool {
        self.switch(key.as_ref(), true)
    }

    fn switch(&self, key: &str, is_on: bool) -> bool {
        let switched = self.with_key(key, |engine, now, key| engine.switch_key(now, key, is_on));
        switched.unwrap_or(false)
    }

    fn with_key<R>(&self, key: &str, act: impl FnOnce(&mut Engine, Time, KeyIx) -> R) -> Option<R> {
        let id = KeyId::new(key);
        self.shared.with(|core, now| {
            let key = core.engine.find_key(&id)?;
            Some(act(&mut core.engine, now, key))
        })
    }

    /// Whether the account of a key is one whose limits nobody knows.
    #[cfg(feature = "retry")]
    pub(crate) fn is_pacing(&self, key: &KeyId) -> bool {
        self.shared
            .with(|core, _| core.engine.find_key(key).is_some_and(|key| core.engine.is_pacing(key)))
    }

    pub(crate) fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let Shared { provider, tokenizer, .. } = &*self.shared;
        let mut estimate = provider.estimate(call);
        if let (Some(tokenizer), true) = (tokenizer, provider.spec().reads_bodies) {
            let model = estimate.model.as_deref();
            let count = |text: &str| tokenizer.count(model, text);
            let counted = call.json().count(provider.spec().tokens, count);
            estimate.input_tokens = counted.unwrap_or(estimate.input_tokens);
        }
        estimate
    }

    /// By what a request is kin to earlier ones: what its caller says goes before what is read from it.
    pub(crate) fn kin(
        &self,
        demand: &Demand,
        call: Option<&Call<'_>>,
        estimate: &Estimate<'_>,
    ) -> Option<Kin> {
        let Shared { affinity, hash_keys, provider, .. } = &*self.shared;
        if let Some(name) = &demand.affinity {
            return Some(Kin::named(hash_keys, name.as_bytes()));
        }
        let call = call.filter(|_| affinity.prompts)?;
        let model = demand.model.as_deref().or(estimate.model.as_deref());
        provider.spec().kin(hash_keys, call, model)
    }

    /// Removes every header that may hold a key.
    pub(crate) fn strip_headers(&self, headers: &mut HeaderMap) {
        self.shared.carriers.strip_headers(headers);
    }

    /// Removes every credential from a request.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        self.shared.carriers.strip(request);
    }

    /// A lease at once, or else what to wait in line for.
    pub(crate) fn lease_or_ask(&self, wanted: &Wanted<'_>) -> Result<Lease, Box<Ask>> {
        let granted = self.shared.with_ask(wanted, |core, now, ask| {
            core.admit(now, &ask).ok_or_else(|| Box::new(ask))
        })?;
        Ok(Lease::new(Arc::clone(&self.shared), granted, Duration::ZERO))
    }

    /// What to tell a request that does not wait in line.
    pub(crate) fn turned_away(&self, wanted: &Wanted<'_>) -> Exhausted {
        self.shared.with_ask(wanted, |core, now, ask| core.engine.turned_away(now, &ask))
    }

    /// Waits in line.
    pub(crate) fn line_up(&self, ask: Box<Ask>) -> Acquire {
        Acquire::new(Arc::clone(&self.shared), ask)
    }
}
