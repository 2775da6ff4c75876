//! What all handles of a pool share.

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
    /// The user's own, which go before the provider's.
    pub(crate) rules: Vec<Rule>,
    /// Of keys without an endpoint of their own.
    pub(crate) origin: Endpoint,
    pub(crate) carriers: Carriers,
    pub(crate) max_wait: Duration,
    /// Held by whoever changes it, for as long as that takes.
    pub(in crate::pool) declared: Mutex<Declared>,
    /// For those who keep something for each key. Only the latest set is kept, so nobody who is slow
    /// holds up a change.
    pub(crate) key_set: watch::Sender<Latest>,
    pub(crate) affinity: Affinity,
    /// For the hashes of what requests are kin by: nobody outside can make two of them alike.
    pub(crate) hash_keys: RandomState,
    pub(crate) clock: Clock,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) sink: Option<Arc<dyn UsageSink>>,
    pub(crate) prices: Prices,
    /// Whether any limit counts money, so that requests need a price; as of the last look.
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
    /// The latest set of keys. It is made when it is first asked for, and kept up with from then on.
    pub(crate) fn key_set(&self) -> Arc<KeySet> {
        let made = |latest: &Latest| latest.set.as_ref().map(Arc::clone);
        if let Some(set) = made(&self.key_set.borrow()) {
            return set;
        }
        // As long as this is held there is no later one.
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match &*self.key_set.borrow() {
            Latest { set: Some(set), .. } => return Arc::clone(set),
            Latest { version, set: None } => *version,
        };
        let set = Arc::new(declared.key_set(version));
        self.key_set.send_if_modified(|latest| {
            latest.set = Some(Arc::clone(&set));
            // It is no news to those who wait for another one.
            false
        });
        set
    }

    /// Judges a refusal: by the user's own rules, and else as the provider does.
    pub(crate) fn classify(&self, answer: &Answer<'_>) -> Ruling {
        let by_user = self.provider.spec().judge_by(&self.rules, answer);
        by_user.unwrap_or_else(|| self.provider.classify(answer))
    }

    /// A look that changes nothing.
    #[cfg(feature = "balance")]
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Core, Time) -> R) -> R {
        let now = self.clock.now();
        look(&self.core.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// One step: does something, and serves whoever can be served after it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Core, Time) -> R) -> R {
        self.with_at(Instant::now(), act)
    }

    /// The same for somebody who has just looked at the clock.
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
                // Nobody listening is no error.
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
