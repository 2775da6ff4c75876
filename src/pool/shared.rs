//! What all handles of a pool share.

use std::{
    collections::HashMap,
    fmt,
    hash::RandomState,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::Duration,
};

use slab::Slab;
use tokio::{sync::broadcast, time::Instant};

use crate::{
    Affinity, Exhausted, KeyId,
    engine::{Engine, Event, Grant, KeyIx, Time, WaiterId},
    origin::Origin,
    provider::{
        Answer, Provider, Rule, Ruling, Tokenizer,
        rule::{Seen, judge},
    },
    usage::{Prices, UsageSink},
};

use super::{
    clock::Clock,
    credentials::{Carriers, Credential},
};

pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) provider: Arc<dyn Provider>,
    /// The user's own, which go before the provider's.
    pub(crate) rules: Vec<Rule>,
    pub(crate) origin: Origin,
    pub(crate) carriers: Carriers,
    pub(crate) max_wait: Duration,
    pub(crate) affinity: Affinity,
    /// For the hashes of what requests are kin by: nobody outside can make two of them alike.
    pub(crate) hash_keys: RandomState,
    /// By the engine's key index.
    pub(crate) credentials: Vec<Credential>,
    pub(crate) by_id: HashMap<KeyId, KeyIx>,
    pub(crate) clock: Clock,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) sink: Option<Arc<dyn UsageSink>>,
    pub(crate) prices: Prices,
    /// What goes into the fingerprints of secrets.
    pub(crate) salt: u64,
    pub(crate) tokenizer: Option<Arc<dyn Tokenizer>>,
    pub(crate) core: Mutex<Core>,
}

/// The engine, and who waits for it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) waiters: Slab<Slot>,
    /// The waiter who holds the timer for all, and for when it is set.
    pub(crate) driver: Option<(WaiterId, Option<Time>)>,
    /// To be woken once the lock is released.
    wake: Vec<Waker>,
}

/// Somebody who waits.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) waker: Waker,
    pub(crate) outcome: Option<Result<Grant, Exhausted>>,
}

impl Shared {
    /// Judges a refusal: by the user's own rules, and else as the provider does.
    pub(crate) fn classify(&self, answer: &Answer<'_>) -> Ruling {
        let by_user = match self.rules.as_slice() {
            [] => None,
            rules => judge(rules, &Seen::new(answer, self.provider.facts())),
        };
        by_user.unwrap_or_else(|| self.provider.classify(answer))
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
            let result = act(&mut core, now);
            core.serve(now, None);
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
        Self { engine, waiters: Slab::new(), driver: None, wake: Vec::new() }
    }

    /// Serves everybody who can be. Whoever is `awake` is not woken.
    pub(crate) fn serve(&mut self, now: Time, awake: Option<WaiterId>) {
        while let Some((id, outcome)) = self.engine.serve(now) {
            if let Some(slot) = self.waiters.get_mut(id.0) {
                slot.outcome = Some(outcome);
            }
            if self.driver.is_some_and(|(driver, _)| driver == id) {
                self.driver = None;
            }
            self.wake(id, awake);
        }
        self.drive(awake);
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
            .field("keys", &self.credentials.len())
            .finish_non_exhaustive()
    }
}
