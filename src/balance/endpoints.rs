//! The endpoints of a pool as a stream of changes, for tower's balancers.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use tower::discover::Change;

use crate::{
    KeyId, KeyPool,
    pool::{KeyInfo, KeySet, News},
    rotate::{Options, define_option_setters},
};

use super::endpoint::KeyEndpoint;

/// The endpoints of a pool as a stream of changes: a [`Discover`](tower::discover::Discover) for tower's
/// balancers.
///
/// It yields the difference between what it has yielded so far and the pool's latest [`KeySet`]. If it is
/// polled rarely, it skips changes that cancel each other out. The pool never waits for it. A key whose
/// endpoint or account has changed is removed and then inserted again.
///
/// `make` makes the service of each key, with its own client, connection or concurrency limit. It is
/// called once when a key is inserted, not for each request, and sees no secret. The [`KeyEndpoint`]
/// around the service puts the key into each request.
#[must_use = "streams do nothing unless polled"]
pub struct KeyEndpoints<F> {
    pool: KeyPool,
    options: Options,
    make: F,
    /// The keys that were inserted and not removed.
    inserted: HashMap<KeyId, KeyInfo>,
    /// The changes to `set` that were not yielded yet.
    changes: VecDeque<Change<KeyId, KeyInfo>>,
    set: Option<Arc<KeySet>>,
    news: Option<News>,
}

impl<F> KeyEndpoints<F> {
    /// The endpoints of a pool; `make` makes the service of each key.
    pub fn new<S>(pool: &KeyPool, make: F) -> Self
    where
        F: FnMut(&KeyInfo) -> S,
    {
        Self {
            pool: pool.clone(),
            options: Options::default(),
            make,
            inserted: HashMap::new(),
            changes: VecDeque::new(),
            set: None,
            news: None,
        }
    }

    define_option_setters!();

    pub(super) fn pool(&self) -> &KeyPool {
        &self.pool
    }

    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// The next change, if there is one now.
    pub(super) fn next_change<S>(&mut self) -> Option<Change<KeyId, (KeyInfo, S)>>
    where
        F: FnMut(&KeyInfo) -> S,
    {
        if !self.pool.has_key_set(self.set.as_ref()) {
            self.compare();
        }
        Some(match self.changes.pop_front()? {
            Change::Remove(id) => {
                self.inserted.remove(&id);
                Change::Remove(id)
            }
            Change::Insert(id, info) => {
                let inner = (self.make)(&info);
                self.inserted.insert(id.clone(), info.clone());
                Change::Insert(id, (info, inner))
            }
        })
    }

    /// A service for a single request. It is not yielded.
    pub(super) fn make<S>(&mut self, info: &KeyInfo) -> S
    where
        F: FnMut(&KeyInfo) -> S,
    {
        (self.make)(info)
    }

    /// Makes a new service for a key, because the old one is lost.
    pub(super) fn insert_again(&mut self, key: &KeyId) {
        self.inserted.remove(key);
        self.set = None;
    }

    /// Lists the changes to the latest set, in place of those that were not yielded yet.
    fn compare(&mut self) {
        let set = self.pool.key_set();
        let is_inserted = |info: &KeyInfo| {
            self.inserted.get(&info.id).is_some_and(|inserted| is_same(inserted, info))
        };
        let now: HashMap<_, _> = set.keys().iter().map(|info| (&info.id, info)).collect();
        let is_gone = |old: &&KeyInfo| now.get(&old.id).is_none_or(|info| !is_same(old, info));
        let gone = self.inserted.values().filter(is_gone);
        let gone = gone.map(|old| Change::Remove(old.id.clone()));
        let new = set.keys().iter().filter(|info| !is_inserted(info));
        let new = new.map(|info| Change::Insert(info.id.clone(), info.clone()));
        self.changes = gone.chain(new).collect();
        self.set = Some(set);
        self.news = None;
    }
}

/// Whether a key can keep its service.
fn is_same(old: &KeyInfo, new: &KeyInfo) -> bool {
    old.endpoint == new.endpoint && old.account == new.account
}

impl<F, S> Stream for KeyEndpoints<F>
where
    F: FnMut(&KeyInfo) -> S + Unpin,
{
    type Item = Result<Change<KeyId, KeyEndpoint<S>>, Infallible>;

    /// Never ends, because a pool may always change.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let this = &mut *self;
            if let Some(change) = this.next_change() {
                return Poll::Ready(Some(Ok(match change {
                    Change::Remove(id) => Change::Remove(id),
                    Change::Insert(id, (info, inner)) => {
                        let endpoint = KeyEndpoint::new(inner, &this.pool, &info, this.options);
                        Change::Insert(id, endpoint)
                    }
                })));
            }
            let (pool, set) = (&this.pool, &this.set);
            let news = this.news.get_or_insert_with(|| pool.news_after(set.clone()));
            if news.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.news = None;
        }
    }
}

impl<F> fmt::Debug for KeyEndpoints<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEndpoints").field("pool", &self.pool).finish_non_exhaustive()
    }
}
