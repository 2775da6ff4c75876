//! The gate of one key, for balancers that choose a key before they have a request.
//!
//! A service that is chosen by its readiness must say in advance whether it can take a request. The gate has
//! three states, much like linkerd's `Gate`. With much room left it is open, and readiness costs nothing.
//! With little room left, readiness is a reservation, and the pool takes it back as soon as a waiting request
//! needs it. Otherwise the gate is shut until a known time, or until something changes.

pub(in crate::pool) mod held;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use http::Uri;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    KeyId,
    endpoint::Endpoint,
    engine::{AccountIx, Among, Ask, Cost, Gate, KeyIx, Ordinary, Time},
    pool::{
        ask::{Wanted, exclude},
        core::Core,
        key_pool::KeyPool,
        lease::Lease,
        roster::key_set::{KeyInfo, KeySet},
    },
    provider::Operation,
};

/// The gate of one key.
pub(crate) struct KeyGate {
    pool: KeyPool,
    id: KeyId,
    own_endpoint: Option<Uri>,
    /// The demand of its requests.
    like: Ordinary,
    /// A reservation for the next request.
    held: Option<u64>,
    watcher: Option<(AccountIx, u64)>,
    /// Set while the gate is shut until a known time. A gate has no other timer.
    timer: Option<Pin<Box<Sleep>>>,
    /// Set while the gate is shut, because another key may be added under the same name.
    news: Option<News>,
}

/// Ready when the pool has another set of keys. It is made again for each set, which is rare.
pub(crate) type News = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Whether a key can take a request.
enum Look {
    Open,
    /// Not before this time; `None` if the time is not known.
    Shut(Option<Time>),
    /// The pool does not have the key.
    Gone,
}

impl KeyGate {
    pub(crate) fn new(pool: &KeyPool, info: &KeyInfo) -> Self {
        // Until the first request shows what requests are like.
        let like = pool.shared.with(|core, now| {
            let lane = core.engine.lane(now, None);
            let operation = core.engine.operation(&Operation::UNKNOWN);
            core.engine.ordinary(lane, operation, Cost::default())
        });
        Self {
            pool: pool.clone(),
            id: info.id.clone(),
            own_endpoint: info.endpoint.clone(),
            like,
            held: None,
            watcher: None,
            timer: None,
            news: None,
        }
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) fn own_endpoint(&self) -> Option<&Uri> {
        self.own_endpoint.as_ref()
    }

    /// The slot of the key, as long as it is the key that this gate was made for.
    fn key(&self, core: &Core) -> Option<KeyIx> {
        let key = core.engine.find_key(&self.id)?;
        let endpoint = core.credentials.get(key.index())?.as_ref()?.endpoint.as_deref();
        (endpoint.map(Endpoint::uri) == self.own_endpoint()).then_some(key)
    }

    /// Ready while the key can take a request. With little room left, it reserves room for the next call.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let shared = Arc::clone(&self.pool.shared);
            let set = self.pool.key_set();
            let until = match shared.with(|core, now| self.look(core, now, cx.waker())) {
                Look::Open => {
                    (self.timer, self.news) = (None, None);
                    return Poll::Ready(());
                }
                Look::Shut(until) => until,
                Look::Gone => None,
            };
            // Another key may be added under the same name, and in another account.
            let pool = &self.pool;
            let news = self.news.get_or_insert_with(|| pool.news_after(Some(set)));
            if news.as_mut().poll(cx).is_ready() {
                self.news = None;
                continue;
            }
            let Some(until) = until.map(|until| shared.clock.instant(until)) else {
                self.timer = None;
                return Poll::Pending;
            };
            match &mut self.timer {
                Some(timer) if timer.deadline() == until => {}
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
            if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    }

    fn look(&mut self, core: &mut Core, now: Time, waker: &Waker) -> Look {
        // Its own reservation is no reason to be shut.
        core.gates.let_go_of(&mut core.engine, now, self.held.take());
        let Some(key) = self.key(core) else { return Look::Gone };
        match core.engine.gate(now, &mut self.like, key) {
            Gate::Open => Look::Open,
            Gate::Scarce => {
                // If other requests wait already, the call waits in the queue too.
                self.held = core.gates.hold(&mut core.engine, now, &self.like, key);
                Look::Open
            }
            Gate::Shut(until) => {
                let account = core.engine.watch(key);
                self.watcher = Some(core.gates.watch(account, self.watcher, waker));
                Look::Shut(until)
            }
        }
    }

    /// A lease on this key at once, or otherwise the ask to wait in the queue with. The reservation of the
    /// gate is used for it.
    pub(crate) fn lease_or_ask(&mut self, wanted: &Wanted<'_>) -> Result<Lease, Box<Ask>> {
        let shared = Arc::clone(&self.pool.shared);
        let prices = self.pool.shared.prices_of(wanted);
        let grant = shared.with_at(wanted.now, |core, now| {
            core.gates.let_go_of(&mut core.engine, now, self.held.take());
            let key = self.key(core);
            let ask =
                self.pool.shared.ask_among(core, now, wanted, prices, |among| match (among, key) {
                    (Among::All, Some(key)) => Among::One(key),
                    (Among::One(only), Some(key)) if only == key => among,
                    _ => Among::None,
                });
            self.like = core.engine.ordinary(ask.lane, ask.operation, ask.cost);
            core.admit(now, &ask).ok_or_else(|| Box::new(ask))
        })?;
        Ok(Lease::new(shared, grant, std::time::Duration::ZERO))
    }

    /// The load of the key.
    pub(crate) fn load(&self) -> u128 {
        self.pool.shared.look(|core, now| {
            let key = self.key(core);
            key.map_or(u128::MAX, |key| core.engine.load_of(now, self.like.lane, key))
        })
    }
}

impl Clone for KeyGate {
    /// The reservation stays with the original.
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            id: self.id.clone(),
            own_endpoint: self.own_endpoint.clone(),
            like: self.like.clone(),
            held: None,
            watcher: None,
            timer: None,
            news: None,
        }
    }
}

impl Drop for KeyGate {
    fn drop(&mut self) {
        let (held, watcher) = (self.held.take(), self.watcher.take());
        if held.is_some() || watcher.is_some() {
            self.pool.shared.with(|core, now| {
                core.gates.let_go_of(&mut core.engine, now, held);
                core.gates.forget(watcher);
            });
        }
    }
}

impl fmt::Debug for KeyGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyGate").field("key", &self.id).finish_non_exhaustive()
    }
}

impl KeyPool {
    /// A lease at once on a key that is not busy; none if no such key has room.
    pub(crate) fn lease_without(&self, wanted: &Wanted<'_>, busy: &[KeyId]) -> Option<Lease> {
        let granted = self.shared.with_ask(wanted, |core, now, mut ask| {
            exclude(&core.engine, &mut ask, busy.iter());
            core.admit(now, &ask)
        })?;
        Some(Lease::new(Arc::clone(&self.shared), granted, std::time::Duration::ZERO))
    }

    /// Whether a set is the latest one.
    pub(crate) fn has_key_set(&self, known: Option<&Arc<KeySet>>) -> bool {
        self.shared.key_set.borrow().is(known)
    }

    /// Ready when there is another set than this one.
    pub(crate) fn news_after(&self, known: Option<Arc<KeySet>>) -> News {
        let mut sets = self.shared.key_set.subscribe();
        Box::pin(async move {
            // The pool holds the other end, and the caller holds the pool.
            drop(sets.wait_for(|latest| !latest.is(known.as_ref())).await);
        })
    }

    /// When a request that first asked at `since` stops waiting.
    pub(crate) fn patience(&self, since: Instant) -> Instant {
        since + self.shared.max_wait
    }
}
