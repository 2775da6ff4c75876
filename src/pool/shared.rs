//! The state that all handles of a pool share.

use std::{
    fmt,
    hash::RandomState,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use crate::{
    affinity::Affinity,
    endpoint::Endpoint,
    engine::Time,
    event::Event,
    pool::{
        clock::Clock,
        core::Core,
        credentials::Carriers,
        roster::{
            declared::Declared,
            key_set::{KeySet, Latest},
        },
    },
    provider::{Answer, Provider, Rule, Ruling, Tokenizer},
    usage::{Prices, UsageSink},
};

pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) provider: Arc<dyn Provider>,
    /// The rules of the user, which are checked before those of the provider.
    pub(crate) rules: Vec<Rule>,
    /// The origin for keys without an endpoint of their own.
    pub(crate) origin: Endpoint,
    pub(crate) carriers: Carriers,
    pub(crate) max_wait: Duration,
    /// Locked for the whole time of a change.
    pub(in crate::pool) declared: Mutex<Declared>,
    /// For services that keep state for each key. Only the latest set is kept, so a slow reader does not
    /// delay a change.
    pub(crate) key_set: watch::Sender<Latest>,
    pub(crate) affinity: Affinity,
    /// Keys of the hashes that relate requests, so that callers cannot produce collisions.
    pub(crate) hash_keys: RandomState,
    pub(crate) clock: Clock,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) sink: Option<Arc<dyn UsageSink>>,
    pub(crate) prices: Prices,
    /// Whether any limit counts money, so that requests need a price. It is updated in each step.
    pub(crate) limits_spending: AtomicBool,
    /// Until when streams are not asked for their usage, in nanoseconds of the pool's clock: the provider
    /// refuses the question.
    pub(in crate::pool) usage_refused_until: AtomicU64,
    /// What goes into the fingerprints of secrets.
    pub(crate) salt: u64,
    pub(crate) tokenizer: Option<Arc<dyn Tokenizer>>,
    pub(crate) core: Mutex<Core>,
}

impl Shared {
    /// The latest set of keys. It is made at the first call, and updated with each change from then on.
    pub(crate) fn key_set(&self) -> Arc<KeySet> {
        let made = |latest: &Latest| latest.set.as_ref().map(Arc::clone);
        if let Some(set) = made(&self.key_set.borrow()) {
            return set;
        }
        // While this lock is held, no newer set can be made.
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match &*self.key_set.borrow() {
            Latest { set: Some(set), .. } => return Arc::clone(set),
            Latest { version, set: None } => *version,
        };
        let set = Arc::new(declared.key_set(version));
        self.key_set.send_if_modified(|latest| {
            latest.set = Some(Arc::clone(&set));
            // The keys are the same, so tasks that wait for a change are not woken.
            false
        });
        set
    }

    /// Judges a refusal by the rules of the user, and if none matches, by those of the provider.
    pub(crate) fn classify(&self, answer: &Answer<'_>) -> Ruling {
        let by_user = self.provider.spec().judge_by(&self.rules, answer);
        by_user.unwrap_or_else(|| self.provider.classify(answer))
    }

    /// Reads the state without changing it.
    #[cfg(feature = "balance")]
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Core, Time) -> R) -> R {
        let now = self.clock.now();
        look(&self.core.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// One step: does something, and then serves the waiting requests that can be served.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Core, Time) -> R) -> R {
        self.with_at(Instant::now(), act)
    }

    /// The same for a caller that has just read the clock.
    pub(crate) fn with_at<R>(&self, now: Instant, act: impl FnOnce(&mut Core, Time) -> R) -> R {
        let now = self.clock.time(now);
        let (result, wake) = {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            core.engine.expire_keys(now);
            let result = act(&mut core, now);
            core.serve(now, None);
            self.limits_spending.store(core.engine.limits_spending(), Ordering::Relaxed);
            #[cfg(feature = "balance")]
            if core.engine.has_opened() {
                core.open_gates();
            }
            if core.engine.has_events() {
                // It is no error if there is no subscriber.
                core.engine
                    .take_events()
                    .into_iter()
                    .for_each(|event| drop(self.events.send(event)));
            }
            (result, std::mem::take(&mut core.wake))
        };
        // Outside the lock: a waker may run anything.
        wake.into_iter().for_each(Waker::wake);
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPool")
            .field("name", &self.name)
            .field("origin", &self.origin.to_string())
            .finish_non_exhaustive()
    }
}
