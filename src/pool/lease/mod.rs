//! A reservation of a demand on a key.

pub(in crate::pool) mod apply;
pub(in crate::pool) mod contrast;
pub(crate) mod pending;
mod settle;
pub(crate) mod trail;

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::{
    KeyId, Verdict,
    engine::{Grant, Judged, Reply},
    pool::{
        core::Granted,
        credentials::Credential,
        lease::pending::{Open, Pending},
        shared::Shared,
    },
    provider::{Answer, Provider, Ruling, StreamEvent, processing_time},
};

#[cfg(feature = "balance")]
use crate::pool::roster::key_set::KeyInfo;

/// The most limits that are read from one response. No provider reports more.
const MOST_READINGS: usize = 8;

/// A reservation of a demand on a key, until it is dropped.
///
/// Keep it until the body of the answer has ended, because only then limits on concurrency count the request
/// as over. After a drop, rate limits stay charged with the reservation, because the provider may have
/// counted the request. If [`apply`](Self::apply) was never called, the whole reservation is given back.
#[must_use = "a lease that is dropped gives its reservation back"]
pub struct Lease {
    pub(in crate::pool) shared: Arc<Shared>,
    /// None only in `drop`.
    pub(in crate::pool) grant: Option<Grant>,
    /// The credential of the request, even if the key changes meanwhile. It is dropped after the grant has
    /// ended, because a `Drained` future may wait for that.
    credential: Arc<Credential>,
    pub(in crate::pool) applied: bool,
    pub(in crate::pool) settled: bool,
    pub(in crate::pool) heard: Heard,
    waited: Duration,
    /// The blame that is not settled yet.
    open: Open,
}

/// What is known of a request since it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Heard {
    Nothing,
    /// The response head of an accepted request.
    Head,
    Accepted,
    /// A refusal, or a failure without an answer.
    Refused,
}

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>, granted: Granted, waited: Duration) -> Self {
        let Granted { grant, credential } = granted;
        let (grant, heard) = (Some(grant), Heard::Nothing);
        let (applied, settled, open) = (false, false, Open::default());
        Self { shared, grant, credential, applied, settled, heard, waited, open }
    }

    /// The label of the key.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.credential.id
    }

    /// The name of the account of the key.
    #[must_use]
    pub fn account(&self) -> &Arc<str> {
        &self.credential.account
    }

    /// How long the request waited in the queue for this lease.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    pub(in crate::pool) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The key as the pool has it, without the secret.
    #[cfg(feature = "balance")]
    pub(crate) fn endpoint_info(&self) -> KeyInfo {
        let Credential { id, account, endpoint, .. } = self.credential();
        let set = self.shared.key_set();
        let declared = set.keys().iter().find(|info| info.id == *id);
        KeyInfo {
            id: id.clone(),
            account: Arc::clone(account),
            weight: declared.map_or(1, |info| info.weight),
            endpoint: endpoint.as_ref().map(|endpoint| endpoint.uri().clone()),
        }
    }

    /// The same text with the key overwritten by asterisks; none if the text does not contain the key.
    pub(crate) fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.credential.redacted(text)
    }

    /// The model of the request.
    pub(crate) fn model(&self) -> Option<Arc<str>> {
        self.grant.as_ref()?.model.clone()
    }

    /// Whether every key may do the operation of the request.
    pub(crate) fn generates(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.generates)
    }

    /// Whether the request is the probe that shows whether the provider, or the model there, has recovered.
    pub(crate) fn is_probe(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.is_probe_of_provider())
    }

    /// The blame that is not settled yet. If it stays in the lease, it lapses when the lease is dropped.
    pub(crate) fn take_open(&mut self) -> Open {
        std::mem::take(&mut self.open)
    }

    /// Reports a response to the pool: its head, and for a refusal the first 64 KiB of the body. Returns the
    /// verdict and the rule that matched.
    ///
    /// The state of the pool has changed when this returns. A ruling that
    /// [needs a second opinion](Ruling::needs_second_opinion) rests the key provisionally. Give it to a
    /// [`Trail`](crate::Trail) and to [`KeyPool::weigh`](crate::KeyPool::weigh) to find the cause. Otherwise
    /// the refusal has only the small effect that one answer justifies.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Ruling {
        let now = Instant::now();
        let answer = Answer::new(status, headers, self.shared.clock.wall(now)).with_body(body);
        let is_error = status.is_client_error() || status.is_server_error();
        let ruling = if is_error { self.shared.classify(&answer) } else { Ruling::accepted() };
        self.take_in(now, Some(&ruling), &answer);
        ruling
    }

    /// Reports an event of an accepted stream to the pool. An error in it is judged like a refusal. The state
    /// of the pool has changed when this returns the ruling.
    pub fn observe_event(&mut self, event: &StreamEvent<'_>) -> Option<Ruling> {
        if !self.provider().is_error(event) {
            return None;
        }
        // The head was that of an accepted answer, so its limits and times to wait do not belong to this
        // error.
        let (status, headers) = (StatusCode::OK, &HeaderMap::new());
        let now = self.shared.clock.wall(Instant::now());
        let ruling = self.shared.classify(&Answer::new(status, headers, now).with_body(event.data));
        self.judge(&ruling);
        Some(ruling)
    }

    /// Reports that the request was sent and failed without a response.
    pub fn failed(&mut self) -> Ruling {
        let was = self.heard;
        let ruling = self.late();
        // An answer that broke off had begun, and may be charged.
        self.heard = if was == Heard::Nothing { Heard::Refused } else { was };
        ruling
    }

    /// Reports that the answer was a stream without content. The provider answered, so the charge stays.
    pub(crate) fn was_empty(&mut self) -> Ruling {
        let ruling = Ruling::empty();
        self.judge(&ruling);
        self.heard = Heard::Accepted;
        ruling
    }

    /// Reports that the request was sent and its caller broke off the body.
    pub(crate) fn broken_off(&mut self) -> Ruling {
        let ruling = Ruling::broken_off();
        self.judge(&ruling);
        ruling
    }

    /// Reports that the request was sent and its caller no longer waits for the response.
    pub(crate) fn late(&mut self) -> Ruling {
        let (was, ruling) = (self.heard, Ruling::unanswered());
        self.judge(&ruling);
        self.heard = was;
        ruling
    }

    /// Reports the head of a response whose body decides the verdict.
    pub(crate) fn observe_head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let now = Instant::now();
        let answer = Answer::new(status, headers, self.shared.clock.wall(now));
        self.take_in(now, None, &answer);
    }

    pub(crate) fn judge(&mut self, ruling: &Ruling) {
        self.hear(ruling.verdict);
        if let Some(grant) = &mut self.grant {
            let judged =
                self.shared.with(|core, now| core.engine.judge(now, grant, &reply(ruling)));
            self.keep_open(judged);
        }
    }

    fn keep_open(&mut self, Judged { accusation, taught, is_about_request }: Judged) {
        if let Some(accusation) = accusation {
            self.open.pending = Some(Pending::new(Arc::clone(&self.shared), accusation));
        }
        self.open.taught = taught.or_else(|| self.open.taught.take());
        self.open.is_about_request |= is_about_request;
    }

    fn hear(&mut self, verdict: Verdict) {
        self.heard = match (verdict, self.heard) {
            (Verdict::Accepted, _) | (_, Heard::Accepted) => Heard::Accepted,
            _ => Heard::Refused,
        };
    }

    /// Notes that the status is a refusal. The body will show the reason.
    pub(crate) fn refused(&mut self) {
        self.heard = Heard::Refused;
    }

    /// Whether the request was refused, or failed without an answer.
    pub(crate) fn is_refused(&self) -> bool {
        self.heard == Heard::Refused
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    fn take_in(&mut self, now: Instant, ruling: Option<&Ruling>, answer: &Answer<'_>) {
        // The headers are read before the lock is taken, because reading many headers takes longer than all
        // work under the lock.
        let mut readings = [None; MOST_READINGS];
        let mut free = readings.iter_mut();
        self.provider().readings(answer, &mut |reading| {
            free.next().into_iter().for_each(|free| *free = Some(reading));
        });
        match ruling {
            Some(ruling) => self.hear(ruling.verdict),
            None => self.heard = Heard::Head,
        }
        let header = self.provider().spec().processing_time.as_ref();
        let processed = processing_time(answer.headers(), header);
        let Some(grant) = &mut self.grant else { return };
        let judged = self.shared.with_at(now, |core, now| {
            core.engine.answered(now, grant, processed);
            // Where headers tell a limit, that may be what a refusal is about.
            for reading in readings.iter().flatten() {
                core.engine.read(now, grant, reading);
            }
            let judged = ruling.map(|ruling| core.engine.judge(now, grant, &reply(ruling)));
            judged.filter(Judged::is_open)
        });
        if let Some(judged) = judged {
            self.keep_open(judged);
        }
    }
}

/// The ruling in the terms of the engine.
fn reply(ruling: &Ruling) -> Reply<'_> {
    let &Ruling { verdict, place, blame, ref rule } = ruling;
    Reply { verdict, place, blame, rule }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.settle_unsettled();
        if let Some(mut grant) = self.grant.take() {
            let is_unpaid = self.applied && self.heard == Heard::Refused;
            self.shared.with(|core, now| match self.applied {
                true if is_unpaid => {
                    core.engine.settle_unpaid(now, &mut grant);
                    core.engine.end(now, grant);
                }
                true => core.engine.end(now, grant),
                false => core.engine.refund(now, grant),
            });
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", self.key()).finish_non_exhaustive()
    }
}
