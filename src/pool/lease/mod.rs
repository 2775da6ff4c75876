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

/// More limits than any provider tells of in one response.
const MOST_READINGS: usize = 8;

/// A reservation of a demand on a key, until it is dropped.
///
/// Keep it until the answer's body has ended: only then is the request over for a limit on
/// concurrency. What it reserved per time stays charged when it is dropped, as the provider may have
/// counted the request; unless it was never [`apply`](Self::apply)'d, then everything is given back.
#[must_use = "a lease that is dropped gives its reservation back"]
pub struct Lease {
    pub(in crate::pool) shared: Arc<Shared>,
    /// Taken by `drop` only.
    pub(in crate::pool) grant: Option<Grant>,
    /// What it is sent with, whatever becomes of the key meanwhile. Dropped after the grant has ended:
    /// somebody may wait for that.
    credential: Arc<Credential>,
    pub(in crate::pool) applied: bool,
    pub(in crate::pool) settled: bool,
    pub(in crate::pool) heard: Heard,
    waited: Duration,
    /// What is still to be settled.
    open: Open,
}

/// What has been heard of a request since it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Heard {
    Nothing,
    /// A head that promises well.
    Head,
    Accepted,
    /// A refusal, or that it got nowhere.
    Refused,
}

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>, granted: Granted, waited: Duration) -> Self {
        let Granted { grant, credential } = granted;
        let (grant, heard) = (Some(grant), Heard::Nothing);
        let (applied, settled, open) = (false, false, Open::default());
        Self { shared, grant, credential, applied, settled, heard, waited, open }
    }

    /// The key's label.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.credential.id
    }

    /// The name of the key's account.
    #[must_use]
    pub fn account(&self) -> &Arc<str> {
        &self.credential.account
    }

    /// How long its request waited in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    pub(in crate::pool) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// What is known of its key but the secret.
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

    /// The same text with the key blotted out, if it is in there.
    pub(crate) fn blotted(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.credential.blotted(text)
    }

    /// The model that its request is for.
    pub(crate) fn model(&self) -> Option<Arc<str>> {
        self.grant.as_ref()?.model.clone()
    }

    /// Whether every key may do what its request does.
    pub(crate) fn generates(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.generates)
    }

    /// Whether its request is the probe that finds out whether the provider, or its model there, is back.
    pub(crate) fn is_probe(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.is_probe_of_provider())
    }

    /// What is still to be settled. Left in the lease, blame lapses when that is dropped.
    pub(crate) fn take_open(&mut self) -> Open {
        std::mem::take(&mut self.open)
    }

    /// Takes in the head of a response, and of a refusal its body too, up to 64 KiB: what it says, and
    /// which rule says so.
    ///
    /// The pool's state has changed when this returns. A ruling that
    /// [needs a second opinion](Ruling::needs_second_opinion) has rested the key provisionally: give it to
    /// a [`Trail`](crate::Trail) and to [`KeyPool::weigh`](crate::KeyPool::weigh) to find out who is to
    /// blame. Otherwise it counts for as little as one answer proves.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Ruling {
        let now = Instant::now();
        let answer = Answer::new(status, headers, self.shared.clock.wall(now)).with_body(body);
        let is_error = status.is_client_error() || status.is_server_error();
        let ruling = if is_error { self.shared.classify(&answer) } else { Ruling::accepted() };
        self.take_in(now, Some(&ruling), &answer);
        ruling
    }

    /// Takes in an event of a stream that began well. If it tells of an error, that is judged as if it
    /// had come in time: the pool's state has changed when this returns what it says.
    pub fn observe_event(&mut self, event: &StreamEvent<'_>) -> Option<Ruling> {
        if !self.provider().is_error(event) {
            return None;
        }
        // The head was of another mind: what it said of limits and waits was not said of this.
        let (status, headers) = (StatusCode::OK, &HeaderMap::new());
        let now = self.shared.clock.wall(Instant::now());
        let ruling = self.shared.classify(&Answer::new(status, headers, now).with_body(event.data));
        self.judge(&ruling);
        Some(ruling)
    }

    /// The request was sent, and failed without a response.
    pub fn failed(&mut self) -> Ruling {
        let was = self.heard;
        let ruling = self.late();
        // What breaks off had begun, and may be charged for.
        self.heard = if was == Heard::Nothing { Heard::Refused } else { was };
        ruling
    }

    /// The answer is a stream with nothing in it. It was given, and is charged for.
    pub(crate) fn was_empty(&mut self) -> Ruling {
        let ruling = Ruling::empty();
        self.judge(&ruling);
        self.heard = Heard::Accepted;
        ruling
    }

    /// The request was sent, and its caller broke off the body.
    pub(crate) fn broken_off(&mut self) -> Ruling {
        let ruling = Ruling::broken_off();
        self.judge(&ruling);
        ruling
    }

    /// The request was sent, and nobody waits for its response any more.
    pub(crate) fn late(&mut self) -> Ruling {
        let (was, ruling) = (self.heard, Ruling::unanswered());
        self.judge(&ruling);
        self.heard = was;
        ruling
    }

    /// Takes in the head of a response whose verdict its body has yet to tell.
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
        self.open.taught = taught.or(self.open.taught);
        self.open.is_about_request |= is_about_request;
    }

    fn hear(&mut self, verdict: Verdict) {
        self.heard = match (verdict, self.heard) {
            (Verdict::Accepted, _) | (_, Heard::Accepted) => Heard::Accepted,
            _ => Heard::Refused,
        };
    }

    /// It was refused by its status. Why, its body has yet to tell.
    pub(crate) fn refused(&mut self) {
        self.heard = Heard::Refused;
    }

    /// Whether it was refused, or got nowhere.
    pub(crate) fn is_refused(&self) -> bool {
        self.heard == Heard::Refused
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    fn take_in(&mut self, now: Instant, ruling: Option<&Ruling>, answer: &Answer<'_>) {
        // Read before the lock is taken: many headers take longer than all that is done under it.
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
            let judged = ruling.map(|ruling| core.engine.judge(now, grant, &reply(ruling)));
            for reading in readings.iter().flatten() {
                core.engine.read(now, grant, reading);
            }
            judged.filter(Judged::is_open)
        });
        if let Some(judged) = judged {
            self.keep_open(judged);
        }
    }
}

/// A ruling as the engine needs to know it.
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
