//! The attempts at a request: keys, verdicts and waiting times. The layers of `rotate` write them, and the
//! policy of `retry` reads them.

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

/// The key of a response, and the verdict on it: an extension of each response of the provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyUsed {
    /// The label of the key.
    pub key: KeyId,
    /// The account of the key.
    pub account: Arc<str>,
    /// The verdict on the response.
    pub verdict: Verdict,
    /// The narrowest place that the response proves something about.
    pub place: Place,
    /// Whether the response names what is wrong, or it was inferred from little more than the status.
    pub blame: Blame,
    /// The name of the [`Rule`](crate::provider::Rule) that matched, such as `openai/insufficient-quota`;
    /// otherwise `accepted`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in the queue for the key.
    pub waited: Duration,
    /// When the request first asked for a key.
    pub since: Instant,
    /// The model of the request.
    pub(crate) model: Option<Arc<str>>,
    /// Whether every key may do the operation of the request.
    pub(crate) generates: bool,
    /// Whether it was the probe that shows whether the provider, or the model there, has recovered.
    pub(crate) is_probe: bool,
    /// Whether it refuses what the middleware added to the request: it is sent again without that.
    pub(crate) is_unasked: bool,
    /// What is still to be settled.
    pub(crate) open: Open,
    /// The whole response, if it is a refusal that was read to its end.
    pub(crate) refusal: Option<Arc<Refusal>>,
}

impl KeyUsed {
    /// An accepted response to this key of this account, now. It is useful to test your own handlers; set
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
    /// The label of the key; none if a request without a [`Trail`] failed without a response.
    pub key: Option<KeyId>,
    /// The account of the key.
    pub account: Option<Arc<str>>,
    /// The verdict. A request that failed without a response is [`Verdict::Transient`].
    pub verdict: Verdict,
    /// The narrowest place that the answer proves something about.
    pub place: Place,
    /// Whether the response names what is wrong, or it was inferred from little more than the status.
    pub blame: Blame,
    /// The name of the [`Rule`](crate::provider::Rule) that matched; otherwise `accepted` or `no-answer`.
    pub rule: Cow<'static, str>,
    /// How long the request waited in the queue for the key.
    pub waited: Duration,
    /// The model of the request.
    pub(crate) model: Option<Arc<str>>,
    /// Whether every key may do the operation of the request.
    pub(crate) generates: bool,
    /// Whether it was the probe that shows whether the provider, or the model there, has recovered.
    pub(crate) is_probe: bool,
}

/// All attempts at a request, in order: an extension of requests and responses.
///
/// [`QuotaAwareRetry`](crate::QuotaAwareRetry) adds a trail to a request that it repeats, so a response has
/// one if there was more than one attempt. To see all attempts, even of a request that fails or is given up,
/// put a trail into the request yourself and keep a clone. A trail is for one request. Clones share their
/// attempts.
///
/// ```
/// use tower_key_rotation::Trail;
///
/// let trail = Trail::new();
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(trail.clone());
/// // Send the request, and then:
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
    /// The blame that is not settled yet.
    pending: Vec<Arc<Pending>>,
    /// What was learnt about limits from the refusals.
    taught: Vec<Taught>,
    /// Second opinions that were taken from their budget and not given back.
    opinions: usize,
    /// How many refusals taught nothing about limits, because other requests were accepted.
    refuted: usize,
    /// How often the request was refused for its rate by an account that served other requests.
    witnesses: usize,
    first_refusal: Option<Arc<Refusal>>,
    last_refusal: Option<Arc<Refusal>>,
    closed: Option<Closed>,
    is_caller_gone: bool,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The request is at fault. Its caller gets the first answer.
    First,
    /// All keys are rejected.
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
    /// A trail without attempts, whose request first asks for a key now.
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

    /// Adds an attempt that was made with a lease, for a retry loop of your own
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
        // A broken connection does not invalidate an earlier answer of the provider.
        tried.last_refusal = refusal.or_else(|| tried.last_refusal.take());
    }

    /// The attempts so far, and the blame that is not settled yet.
    pub(in crate::pool) fn look(&self) -> (Vec<Attempt>, Vec<Arc<Pending>>) {
        let tried = self.tried();
        (tried.attempts.clone(), tried.pending.clone())
    }

    /// Notes that a second opinion was taken from its budget.
    pub(in crate::pool) fn paid_for_opinion(&self) {
        self.tried().opinions += 1;
    }

    /// Returns their number, and resets it.
    pub(in crate::pool) fn take_opinions(&self) -> usize {
        std::mem::take(&mut self.tried().opinions)
    }

    /// Forgets what was learnt from refusals that are refuted. Returns how many were refuted so far.
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

    /// Notes that there is no further attempt.
    pub(in crate::pool) fn close(&self, closed: Closed) {
        self.tried().closed = Some(closed);
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.tried().closed
    }

    /// Notes that the body of the request broke off. No other attempt can send it, and the provider is not at
    /// fault.
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
    /// An attempt that was sent and failed without a response. Its key is unknown.
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
