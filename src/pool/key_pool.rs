//! The handle of a pool of keys, for callers and the middleware.

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
    /// The name of the pool; the name of the provider by default.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The provider of the keys.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    /// Whether keys without an endpoint of their own may be sent to a URI: it must have the pool's origin.
    #[must_use]
    pub fn covers(&self, uri: &Uri) -> bool {
        self.shared.origin.covers(uri)
    }

    /// Takes a lease without waiting.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room, or other requests wait already. It says when to try again, if
    /// that is known.
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

    /// Takes a lease as soon as an account has room. Waiting requests are served by the weight of their
    /// tenant, by priority, and by arrival.
    ///
    /// It waits no longer than the `max_wait` of the pool and the deadline of the demand. It does not wait at
    /// all if it is already known that this is not long enough.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room in time. It says when to try again, if that is known.
    ///
    /// # Cancel safety
    /// The future can be dropped at any point. It leaves the queue, and its reservation is released.
    pub fn acquire(&self, demand: &Demand) -> Acquire {
        let now = Instant::now();
        let since = demand.since.map_or(now, |since| since.min(now));
        self.acquire_after(demand, &[], since, now)
    }

    /// Takes a lease for a request that may have been tried before. The request keeps its place in the queue.
    /// It does not get a key that has refused it, as long as there is another key.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room in time. It says when to try again, if that is known.
    ///
    /// # Cancel safety
    /// As for [`acquire`](Self::acquire): the future can be dropped at any point.
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

    /// Reads a refusal by the rules of the pool, and if none matches, by those of the provider. It does not
    /// change the pool.
    #[must_use]
    pub fn classify(&self, answer: &Answer<'_>) -> Ruling {
        self.shared.classify(answer)
    }

    /// The state of the pool now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let name = Arc::clone(&self.shared.name);
        self.shared.with(|core, now| core.engine.snapshot(now, name))
    }

    /// Subscribes to the events of the pool from now on. At most 256 events are kept for a slow reader.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// The keys of the pool now, including dead ones, and the endpoint of each. The first call makes the
    /// list, in time proportional to the number of keys. Later calls only clone an `Arc`.
    #[must_use]
    pub fn key_set(&self) -> Arc<KeySet> {
        self.shared.key_set()
    }

    /// The number of keys, including dead ones.
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

    /// Whether the budget of second opinions allows one more.
    #[cfg(feature = "retry")]
    pub(crate) fn may_ask_another(&self) -> bool {
        self.shared.with(|core, _| core.engine.may_ask_another())
    }

    /// Notes that a limit applies to more than one account: the model of the last request of this key pauses
    /// briefly.
    #[cfg(feature = "retry")]
    pub(crate) fn brake(&self, model: Option<&str>, place: crate::verdict::Place) {
        self.shared.with(|core, now| core.engine.brake_model(now, model, place));
    }

    /// Declares a key good: the pool forgets all failures of the key and of its account, and uses both at
    /// once. Returns whether the pool has the key.
    pub fn revive(&self, key: impl AsRef<str>) -> bool {
        self.with_key(key.as_ref(), |engine, _, key| engine.revive_key(key)).is_some()
    }

    /// Switches a key off: no new request gets it until it is [enabled](Self::enable). Requests in flight are
    /// not affected. It is still off after a restart if the state of the pool is [saved](Self::save) and
    /// restored. Returns whether the pool has the key and it was on.
    pub fn disable(&self, key: impl AsRef<str>) -> bool {
        self.switch(key.as_ref(), false)
    }

    /// Switches a key on again. Returns whether the pool has the key and it was off.
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

    /// Whether the account of a key has no known limits.
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

    /// What relates a request to earlier ones. The name that the caller sets takes precedence over what is
    /// read from the request.
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

    /// Removes all headers that may contain a key.
    pub(crate) fn strip_headers(&self, headers: &mut HeaderMap) {
        self.shared.carriers.strip_headers(headers);
    }

    /// Removes all credentials from a request.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        self.shared.carriers.strip(request);
    }

    /// A lease at once, or otherwise the ask to wait in the queue with.
    pub(crate) fn lease_or_ask(&self, wanted: &Wanted<'_>) -> Result<Lease, Box<Ask>> {
        let granted = self.shared.with_ask(wanted, |core, now, ask| {
            core.admit(now, &ask).ok_or_else(|| Box::new(ask))
        })?;
        Ok(Lease::new(Arc::clone(&self.shared), granted, Duration::ZERO))
    }

    /// The error for a request that does not wait in the queue.
    pub(crate) fn turned_away(&self, wanted: &Wanted<'_>) -> Exhausted {
        self.shared.with_ask(wanted, |core, now, ask| core.engine.turned_away(now, &ask))
    }

    /// Waits in the queue.
    pub(crate) fn line_up(&self, ask: Box<Ask>) -> Acquire {
        Acquire::new(Arc::clone(&self.shared), ask)
    }
}
