//! The endpoints of a pool as they come and go.

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
    KeyEndpointInfo, KeyId, KeyPool, KeyRotationLayer, KeySet, pool::News, rotate::Options,
};

use super::endpoint::KeyEndpoint;

/// The endpoints of a pool as they come and go: a [`Discover`](tower::discover::Discover) for tower's
/// balancers.
///
/// It tells the difference between what it has told and the pool's latest [`KeySet`], so whoever asks
/// seldom is told the end of a story and not all of it, and nobody is ever held up for not asking. A
/// key whose endpoint or account has changed is removed and then inserted anew.
///
/// `make` makes the service of each key: with a client, a connection or a bound on concurrency of its
/// own. It is called when a key is told, never for each request, and learns no secret. The key itself is
/// put into each request by the [`KeyEndpoint`] around what it makes.
pub struct KeyEndpoints<F> {
    pool: KeyPool,
    options: Options,
    make: F,
    told: HashMap<KeyId, KeyEndpointInfo>,
    /// What is yet to be told of this set.
    changes: VecDeque<Change<KeyId, KeyEndpointInfo>>,
    set: Option<Arc<KeySet>>,
    news: Option<News>,
}

impl<F> KeyEndpoints<F> {
    /// The endpoints of a pool, and how to make their services.
    pub fn new<S>(pool: &KeyPool, make: F) -> Self
    where
        F: FnMut(&KeyEndpointInfo) -> S,
    {
        Self {
            pool: pool.clone(),
            options: Options::default(),
            make,
            told: HashMap::new(),
            changes: VecDeque::new(),
            set: None,
            news: None,
        }
    }

    /// What a [`KeyRotationLayer`] is told of annotations, usage and times holds here too.
    #[must_use]
    pub fn rotation(mut self, layer: &KeyRotationLayer) -> Self {
        self.options = layer.options();
        self
    }

    pub(super) fn pool(&self) -> &KeyPool {
        &self.pool
    }

    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// The next change, if there is one now.
    pub(super) fn next_change<S>(&mut self) -> Option<Change<KeyId, (KeyEndpointInfo, S)>>
    where
        F: FnMut(&KeyEndpointInfo) -> S,
    {
        if !self.pool.has_key_set(self.set.as_ref()) {
            self.compare();
        }
        Some(match self.changes.pop_front()? {
            Change::Remove(id) => {
                self.told.remove(&id);
                Change::Remove(id)
            }
            Change::Insert(id, info) => {
                let inner = (self.make)(&info);
                self.told.insert(id.clone(), info.clone());
                Change::Insert(id, (info, inner))
            }
        })
    }

    /// A service that is not told of.
    pub(super) fn make<S>(&mut self, info: &KeyEndpointInfo) -> S
    where
        F: FnMut(&KeyEndpointInfo) -> S,
    {
        (self.make)(info)
    }

    /// The service of a key is lost: it is made anew.
    pub(super) fn tell_again(&mut self, key: &KeyId) {
        self.told.remove(key);
        self.set = None;
    }

    /// Lists what is to be told of the latest set, in place of what was yet to be told.
    fn compare(&mut self) {
        let set = self.pool.key_set();
        let is_told = |info: &KeyEndpointInfo| {
            self.told.get(&info.id).is_some_and(|told| is_same(told, info))
        };
        let now: HashMap<_, _> = set.keys().iter().map(|info| (&info.id, info)).collect();
        let is_gone =
            |told: &&KeyEndpointInfo| now.get(&told.id).is_none_or(|info| !is_same(told, info));
        let gone = self.told.values().filter(is_gone);
        let gone = gone.map(|told| Change::Remove(told.id.clone()));
        let new = set.keys().iter().filter(|info| !is_told(info));
        let new = new.map(|info| Change::Insert(info.id.clone(), info.clone()));
        self.changes = gone.chain(new).collect();
        self.set = Some(set);
        self.news = None;
    }
}

/// Whether a key can keep its service.
fn is_same(told: &KeyEndpointInfo, info: &KeyEndpointInfo) -> bool {
    told.endpoint == info.endpoint && told.account == info.account
}

impl<F, S> Stream for KeyEndpoints<F>
where
    F: FnMut(&KeyEndpointInfo) -> S + Unpin,
{
    type Item = Result<Change<KeyId, KeyEndpoint<S>>, Infallible>;

    /// Never ends, as a pool may always change.
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
