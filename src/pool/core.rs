//! The state under the lock of a pool: the engine, the credentials and the waiting requests.

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

/// The state under the lock of a pool.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// By the slot of the key; none for keys that are no longer given out.
    pub(in crate::pool) credentials: Vec<Option<Arc<Credential>>>,
    pub(crate) waiters: Slab<Slot>,
    /// The waiter that holds the timer for all waiters, and the time for which it is set.
    pub(crate) driver: Option<(WaiterId, Option<Time>)>,
    #[cfg(feature = "balance")]
    pub(crate) gates: Gates,
    /// Wakers to call when the lock is released.
    pub(in crate::pool) wake: Vec<Waker>,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) waker: Waker,
    pub(crate) outcome: Option<Result<Granted, Exhausted>>,
}

/// A reservation, with the credential that its key had at that time.
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

    /// Admits a request at once, if there is room.
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

    /// Serves all waiting requests that can be served. The waiter `awake` is polled now and is not woken.
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

    /// Wakes the tasks whose gates may have opened.
    #[cfg(feature = "balance")]
    pub(in crate::pool) fn open_gates(&mut self) {
        for account in self.engine.take_opened() {
            self.wake.extend(self.gates.opened(account));
        }
    }

    /// Ensures that one waiter holds a timer, and that the timer is set early enough.
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

/// Whether a timer must be set earlier; `None` means that it is not set.
fn is_earlier(wake_at: Option<Time>, set: Option<Time>) -> bool {
    wake_at.is_some_and(|wake_at| set.is_none_or(|set| wake_at < set))
}
