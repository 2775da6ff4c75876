//! What was tried for a request: which keys, what came of it, and how long it waited.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use tokio::time::Instant;

use crate::{KeyId, Verdict};

/// The key a response was asked for with: an extension of every response of the provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyUsed {
    /// The key's label.
    pub key: KeyId,
    /// Its account.
    pub account: Arc<str>,
    /// What the response says.
    pub verdict: Verdict,
    /// Why: the name of the [`Rule`](crate::Rule) that fired, such as `openai/insufficient-quota`; else
    /// `accepted`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in line for it.
    pub waited: Duration,
    /// When the request first asked for a key.
    pub since: Instant,
    /// The whole response, if it is a refusal that was read to its end.
    pub(crate) refusal: Option<Arc<Refusal>>,
}

/// One attempt at a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The key; unknown if a request without a [`Trail`] failed without a response.
    pub key: Option<KeyId>,
    /// Its account.
    pub account: Option<Arc<str>>,
    /// What came of it. A request that failed without a response is [`Verdict::Transient`].
    pub verdict: Verdict,
    /// Why: the name of the [`Rule`](crate::Rule) that fired; else `accepted`, or `no-answer`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in line for it.
    pub waited: Duration,
}

/// All attempts at a request, in order: an extension of requests and responses.
///
/// [`QuotaAwareRetry`](crate::QuotaAwareRetry) adds one to a request that it repeats, so a response
/// carries one when there was more than one attempt. Put one into the request yourself, and keep a
/// clone, to see every attempt, even those of a request that fails or is given up. A trail is for
/// one request; clones share what they hold.
///
/// ```
/// use tower_key_rotation::Trail;
///
/// let trail = Trail::new();
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(trail.clone());
/// // ... send it, then:
/// assert!(trail.attempts().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Trail {
    since: Instant,
    tried: Arc<Mutex<Tried>>,
}

#[derive(Debug, Default)]
struct Tried {
    attempts: Vec<Attempt>,
    last_refusal: Option<Arc<Refusal>>,
}

/// A response that was refused to the caller, kept in case that nothing better comes.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Trail {
    /// A trail that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Instant::now())
    }

    pub(crate) fn starting_at(since: Instant) -> Self {
        Self { since, tried: Arc::default() }
    }

    /// The attempts so far.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.tried().attempts.clone()
    }

    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn push(&self, attempt: Attempt, refusal: Option<Arc<Refusal>>) {
        let mut tried = self.tried();
        tried.attempts.push(attempt);
        // A broken connection does not make an earlier answer of the provider any less true.
        tried.last_refusal = refusal.or_else(|| tried.last_refusal.take());
    }

    pub(crate) fn last_refusal(&self) -> Option<Arc<Refusal>> {
        self.tried().last_refusal.clone()
    }

    /// Visits the attempts without copying them.
    pub(crate) fn visit<R>(&self, visit: impl FnOnce(&[Attempt]) -> R) -> R {
        visit(&self.tried().attempts)
    }

    fn tried(&self) -> MutexGuard<'_, Tried> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

impl Attempt {
    /// Sent, and failed without a response; nobody saw with which key.
    #[cfg(feature = "retry")]
    pub(crate) fn unanswered() -> Self {
        let crate::Ruling { verdict, rule } = crate::Ruling::unanswered();
        Self { key: None, account: None, verdict, rule, waited: Duration::ZERO }
    }
}

impl From<&KeyUsed> for Attempt {
    fn from(used: &KeyUsed) -> Self {
        Self {
            key: Some(used.key.clone()),
            account: Some(Arc::clone(&used.account)),
            verdict: used.verdict,
            rule: used.rule.clone(),
            waited: used.waited,
        }
    }
}
