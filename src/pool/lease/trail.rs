//! What was tried for a request: which keys, what came of it, and how long it waited. The layers of
//! `rotate` write it, the policy of `retry` reads it.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use tokio::time::Instant;

use crate::{
    KeyId, Verdict,
    engine::Taught,
    pool::lease::{
        Lease,
        pending::{Open, Pending},
    },
    provider::Ruling,
    verdict::{Blame, Place},
};

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
    /// The narrowest place that its words prove something of.
    pub place: Place,
    /// Whether it names what is wrong, or it was concluded from little more than the status.
    pub blame: Blame,
    /// Why: the name of the [`Rule`](crate::provider::Rule) that fired, such as `openai/insufficient-quota`; else
    /// `accepted`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in line for it.
    pub waited: Duration,
    /// When the request first asked for a key.
    pub since: Instant,
    /// The model it was asked for.
    pub(crate) model: Option<Arc<str>>,
    /// Whether every key may do what the request does.
    pub(crate) generates: bool,
    /// Whether it was the probe that finds out whether the provider, or the model there, is back.
    pub(crate) is_probe: bool,
    /// Whether it refuses what the middleware added to the request: it is sent again without that.
    pub(crate) is_unasked: bool,
    /// What is still to be settled.
    pub(crate) open: Open,
    /// The whole response, if it is a refusal that was read to its end.
    pub(crate) refusal: Option<Arc<Refusal>>,
}

impl KeyUsed {
    /// A response that was asked for now, with this key of this account. To test your own handlers: set
    /// further fields as needed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::{KeyId, KeyUsed, Verdict, provider::Ruling};
    ///
    /// let mut used = KeyUsed::new(KeyId::new("a1"), "org-a", Ruling::new(Verdict::Accepted, "accepted"));
    /// used.waited = Duration::from_secs(2);
    /// ```
    #[must_use]
    pub fn new(key: KeyId, account: impl Into<Arc<str>>, ruling: Ruling) -> Self {
        let Ruling { verdict, place, blame, rule } = ruling;
        Self {
            key,
            account: account.into(),
            verdict,
            place,
            blame,
            rule,
            waited: Duration::ZERO,
            since: Instant::now(),
            model: None,
            generates: false,
            is_probe: false,
            is_unasked: false,
            open: Open::default(),
            refusal: None,
        }
    }
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
    /// The narrowest place that the answer's words prove something of.
    pub place: Place,
    /// Whether it names what is wrong, or it was concluded from little more than the status.
    pub blame: Blame,
    /// Why: the name of the [`Rule`](crate::provider::Rule) that fired; else `accepted`, or `no-answer`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in line for it.
    pub waited: Duration,
    /// The model it was asked for.
    pub(crate) model: Option<Arc<str>>,
    /// Whether every key may do what the request does.
    pub(crate) generates: bool,
    /// Whether it was the probe that finds out whether the provider, or the model there, is back.
    pub(crate) is_probe: bool,
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
    /// Blame that is still open.
    pending: Vec<Arc<Pending>>,
    /// What its refusals have taught of limits.
    taught: Vec<Taught>,
    /// Second opinions that were paid for and not given back.
    opinions: usize,
    /// How many lessons were none: others were accepted.
    refuted: usize,
    /// How often it was refused for its rate by another account that serves others.
    witnesses: usize,
    first_refusal: Option<Arc<Refusal>>,
    last_refusal: Option<Arc<Refusal>>,
    closed: Option<Closed>,
    is_caller_gone: bool,
}

/// Why no further attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The request is at fault: its caller gets the first answer.
    First,
    /// No key is left that is not rejected.
    NoKey,
}

/// A response that was refused to the caller, kept in case that nothing better comes.
#[derive(Clone, Debug)]
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

    /// Notes an attempt that was made with a lease, for a loop of your own
    /// ([`KeyPool::weigh`](crate::KeyPool::weigh)).
    pub fn record(&self, lease: &mut Lease, ruling: &Ruling) {
        let (key, account) = (Some(lease.key().clone()), Some(Arc::clone(lease.account())));
        let open = lease.take_open();
        let Ruling { verdict, place, blame, rule } = ruling.clone();
        let (waited, model) = (lease.waited(), lease.model());
        let (generates, is_probe) = (lease.generates(), lease.is_probe());
        let attempt = Attempt {
            key,
            account,
            verdict,
            place,
            blame,
            rule,
            waited,
            model,
            generates,
            is_probe,
        };
        self.push(attempt, open, None);
    }

    pub(crate) fn push(&self, attempt: Attempt, open: Open, refusal: Option<Arc<Refusal>>) {
        let mut tried = self.tried();
        tried.attempts.push(attempt);
        tried.pending.extend(open.pending);
        tried.taught.extend(open.taught);
        tried.witnesses += usize::from(open.is_about_request);
        if tried.first_refusal.is_none() {
            tried.first_refusal.clone_from(&refusal);
        }
        // A broken connection does not make an earlier answer of the provider any less true.
        tried.last_refusal = refusal.or_else(|| tried.last_refusal.take());
    }

    /// The attempts so far, and the blame that is open.
    pub(in crate::pool) fn look(&self) -> (Vec<Attempt>, Vec<Arc<Pending>>) {
        let tried = self.tried();
        (tried.attempts.clone(), tried.pending.clone())
    }

    /// A second opinion was paid for.
    pub(in crate::pool) fn paid_for_opinion(&self) {
        self.tried().opinions += 1;
    }

    /// How many were; from now on none.
    pub(in crate::pool) fn take_opinions(&self) -> usize {
        std::mem::take(&mut self.tried().opinions)
    }

    /// Forgets what its refusals have taught where that is refuted. How many were, by now.
    pub(in crate::pool) fn refute_taught(
        &self,
        enough: usize,
        mut is_refuted: impl FnMut(&Taught, bool) -> bool,
    ) -> usize {
        let mut tried = self.tried();
        let (before, is_known) = (tried.taught.len(), tried.witnesses >= enough);
        tried.taught.retain(|taught| !is_refuted(taught, is_known));
        if !is_known {
            tried.refuted += before - tried.taught.len();
        }
        tried.refuted
    }

    /// No further attempt is made.
    pub(in crate::pool) fn close(&self, closed: Closed) {
        self.tried().closed = Some(closed);
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.tried().closed
    }

    /// The request's own body broke off: no other attempt can send it, and nobody else is to blame.
    pub(crate) fn break_off(&self) {
        self.tried().is_caller_gone = true;
    }

    #[cfg(feature = "retry")]
    pub(crate) fn is_caller_gone(&self) -> bool {
        self.tried().is_caller_gone
    }

    pub(crate) fn first_refusal(&self) -> Option<Arc<Refusal>> {
        self.tried().first_refusal.clone()
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
        let Ruling { verdict, place, blame, rule } = Ruling::unanswered();
        let (key, account, model) = (None, None, None);
        let (waited, generates, is_probe) = (Duration::ZERO, false, false);
        Self { key, account, verdict, place, blame, rule, waited, model, generates, is_probe }
    }
}

impl From<&KeyUsed> for Attempt {
    fn from(used: &KeyUsed) -> Self {
        Self {
            key: Some(used.key.clone()),
            account: Some(Arc::clone(&used.account)),
            verdict: used.verdict,
            place: used.place,
            blame: used.blame,
            rule: used.rule.clone(),
            waited: used.waited,
            model: used.model.clone(),
            generates: used.generates,
            is_probe: used.is_probe,
        }
    }
}
