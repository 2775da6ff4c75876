//! What stands under the lock of a pool: the engine, and who waits for it.

use std::{sync::Arc, task::Waker};

use slab::Slab;

use crate::{
    Exhausted,
    engine::{Ask, Engine, Grant, Time, WaiterId},
    error::Reason,
    pool::credentials::Credential,
};

#[cfg(feature = "balance")]
use crate::pool::gate::held::Gates;

/// The engine, and who waits for it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// By the slot of the key; none for those that are given to nobody any more.
    pub(in crate::pool) credentials: Vec<Option<Arc<Credential>>>,
    pub(crate) waiters: Slab<Slot>,
    /// The waiter who holds the timer for all, and for when it is set.
    pub(crate) driver: Option<(WaiterId, Option<Time>)>,
    #[cfg(feature = "balance")]
    pub(crate) gates: Gates,
    /// To be woken once the lock is released.
    pub(in crate::pool) wake: Vec<Waker>,
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
            None if self.gates.let_go(&mut self.engine, now) => self.engine.admit(now, ask),
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
        if self.engine.has_waiting() && self.gates.let_go(&mut self.engine, now) {
            return self.serve(now, awake);
        }
        self.drive(awake);
    }

    /// Wakes those whose gates may have opened.
    #[cfg(feature = "balance")]
    pub(in crate::pool) fn open_gates(&mut self) {
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
