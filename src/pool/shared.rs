//! What all handles of a pool share.

use std::{
    fmt,
    hash::RandomState,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use crate::{
    Exhausted,
    affinity::Affinity,
    endpoint::Endpoint,
    engine::{Ask, Engine, Grant, Time, WaiterId},
    error::Reason,
    event::Event,
    provider::{Answer, Provider, Rule, Ruling, Tokenizer},
    usage::{Prices, UsageSink},
};

#[cfg(feature = "balance")]
use super::gates::Gates;
use super::{
    clock::Clock,
    credentials::{Carriers, Credential},
    declared::Declared,
    key_set::{KeySet, Latest},
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
    pub(super) declared: Mutex<Declared>,
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
    /// What goes into the fingerprints of secrets.
    pub(crate) salt: u64,
    pub(crate) tokenizer: Option<Arc<dyn Tokenizer>>,
    pub(crate) core: Mutex<Core>,
}

/// The engine, and who waits for it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// By the slot of the key; none for those that are given to nobody any more.
    pub(super) credentials: Vec<Option<Arc<Credential>>>,
    pub(crate) waiters: Slab<Slot>,
    /// The waiter who holds the timer for all, and for when it is set.
    pub(crate) driver: Option<(WaiterId, Option<Time>)>,
    #[cfg(feature = "balance")]
    pub(crate) gates: Gates,
    /// To be woken once the lock is released.
    wake: Vec<Waker>,
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) waker: Waker,
    pub(crate) outcome: Option<Result<Granted, Exhausted>>,
}

/// A reservation, and what to send with it: the secret that its key had then.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grant: Grant,
    pub(crate) credential: Arc<Credential>,
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
            core.engine.tell_the_time(now);
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

impl Core {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            credentials: Vec::new(),
            waiters: Slab::new(),
            driver: None,
            #[cfg(feature = "balance")]
            gates: Gates::default(),
            wake: Vec::new(),
        }
    }

    /// Admits a request at once, if that can be.
    pub(crate) fn admit(&mut self, now: Time, ask: &Ask) -> Option<Granted> {
        let grant = self.engine.admit(now, ask);
        #[cfg(feature = "balance")]
        let grant = match grant {
            None if self.let_go(now) => self.engine.admit(now, ask),
            grant => grant,
        };
        self.granted(now, grant?)
    }

    /// A grant with the credential of its key. The engine grants only keys that the pool has, and each of
    /// these has a credential. A grant without one is given back.
    fn granted(&mut self, now: Time, grant: Grant) -> Option<Granted> {
        match self.credentials.get(grant.key.index()).cloned().flatten() {
            Some(credential) => Some(Granted { grant, credential }),
            None => {
                self.engine.refund(now, grant);
                None
            }
        }
    }

    /// Serves everybody who can be. Whoever is `awake` is not woken.
    #[inline]
    pub(crate) fn serve(&mut self, now: Time, awake: Option<WaiterId>) {
        if !self.engine.has_nobody_to_serve() {
            self.serve_line(now, awake);
        }
    }

    fn serve_line(&mut self, now: Time, awake: Option<WaiterId>) {
        while let Some((id, outcome)) = self.engine.serve(now) {
            let outcome = outcome.and_then(|grant| {
                self.granted(now, grant).ok_or_else(|| Exhausted::new(Reason::NoKey, None))
            });
            if let Some(slot) = self.waiters.get_mut(id.0) {
                slot.outcome = Some(outcome);
            }
            if self.driver.is_some_and(|(driver, _)| driver == id) {
                self.driver = None;
            }
            self.wake(id, awake);
        }
        #[cfg(feature = "balance")]
        if self.engine.has_waiting() && self.let_go(now) {
            return self.serve(now, awake);
        }
        self.drive(awake);
    }

    /// Wakes those whose gates may have opened.
    #[cfg(feature = "balance")]
    fn open_gates(&mut self) {
        for account in self.engine.take_opened() {
            self.wake.extend(self.gates.opened(account));
        }
    }

    /// Sees to it that one waiter holds a timer, and that it is set early enough.
    fn drive(&mut self, awake: Option<WaiterId>) {
        if !self.engine.has_waiting() {
            return;
        }
        let wake_at = self.engine.wake_at();
        let next = match self.driver {
            Some((driver, set)) => {
                Some(driver).filter(|_| Some(driver) == awake || is_earlier(wake_at, set))
            }
            None => self.engine.next_in_line(),
        };
        if let Some(next) = next {
            // It sets its timer when it is polled.
            self.driver = Some((next, wake_at));
            self.wake(next, awake);
        }
    }

    fn wake(&mut self, id: WaiterId, awake: Option<WaiterId>) {
        if Some(id) != awake {
            self.wake.extend(self.waiters.get(id.0).map(|slot| slot.waker.clone()));
        }
    }
}

/// Whether a timer must be set earlier; `None` is no time at all.
fn is_earlier(wake_at: Option<Time>, set: Option<Time>) -> bool {
    wake_at.is_some_and(|wake_at| set.is_none_or(|set| wake_at < set))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPool")
            .field("name", &self.name)
            .field("origin", &self.origin.to_string())
            .finish_non_exhaustive()
    }
}
