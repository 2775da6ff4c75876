//! A reservation of a demand on a key.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Request, StatusCode};
use tokio::time::Instant;

use crate::{
    KeyId, Ruling, Usage,
    engine::{Cost, Grant},
    provider::{Answer, Provider, StreamEvent, processing_time},
    usage::Spent,
};

use super::{credentials::Credential, shared::Shared};

/// More limits than any provider tells of in one response.
const MOST_READINGS: usize = 8;

/// A reservation of a demand on a key, until it is dropped.
///
/// Keep it until the answer's body has ended: only then is the request over for a limit on
/// concurrency. What it reserved per time stays charged when it is dropped, as the provider may have
/// counted the request; unless it was never [`apply`](Self::apply)'d, then everything is given back.
#[must_use = "a lease that is dropped gives its reservation back"]
pub struct Lease {
    shared: Arc<Shared>,
    /// Taken by `drop` only.
    grant: Option<Grant>,
    applied: bool,
    settled: bool,
    waited: Duration,
}

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>, grant: Grant, waited: Duration) -> Self {
        Self { shared, grant: Some(grant), applied: false, settled: false, waited }
    }

    /// The key's label.
    #[must_use]
    pub fn key(&self) -> Option<&KeyId> {
        self.credential().map(|credential| &credential.id)
    }

    /// The name of the key's account.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.credential().map(|credential| &credential.account)
    }

    /// How long its request waited in line.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn credential(&self) -> Option<&Credential> {
        let grant = self.grant.as_ref()?;
        self.shared.credentials.get(grant.key.index())
    }

    /// The same text with the key blotted out, if it is in there.
    pub(crate) fn blotted(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.credential()?.blotted(text)
    }

    /// Removes every credential from a request, inserts the key's, and adds the headers that the
    /// provider demands where they are missing.
    ///
    /// # Errors
    /// [`ForeignOrigin`] if the request leads to another origin than the pool's. Its credentials are
    /// removed all the same.
    pub fn apply<B>(&mut self, request: &mut Request<B>) -> Result<(), ForeignOrigin> {
        self.shared.carriers.strip(request);
        if !self.shared.origin.covers(request.uri()) {
            return Err(ForeignOrigin(self.shared.origin.to_string()));
        }
        let carrier = self.shared.provider.facts().carrier_of(request.uri());
        if let Some(credential) = self.credential() {
            credential.insert(carrier, request.headers_mut());
            self.applied = true;
        }
        for (name, value) in &self.shared.provider.facts().headers {
            if !request.headers().contains_key(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        Ok(())
    }

    /// Takes in the head of a response, and of a refusal its body too, up to 64 KiB: what it says, and
    /// which rule says so.
    ///
    /// The pool's state has changed when this returns.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Ruling {
        let now = Instant::now();
        let answer = Answer { status, headers, body, now: self.shared.clock.wall(now) };
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
        let ruling = self.shared.classify(&Answer { status, headers, body: event.data, now });
        self.judge(&ruling);
        Some(ruling)
    }

    /// The request was sent, and failed without a response.
    pub fn failed(&mut self) -> Ruling {
        let ruling = Ruling::unanswered();
        self.judge(&ruling);
        ruling
    }

    /// Takes in the head of a response whose verdict its body has yet to tell.
    pub(crate) fn observe_head(&mut self, status: StatusCode, headers: &HeaderMap) {
        let now = Instant::now();
        let answer = Answer { status, headers, body: b"", now: self.shared.clock.wall(now) };
        self.take_in(now, None, &answer);
    }

    pub(crate) fn judge(&mut self, Ruling { verdict, rule }: &Ruling) {
        if let Some(grant) = &mut self.grant {
            self.shared.with(|core, now| core.engine.judge(now, grant, *verdict, rule));
        }
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
        let header = self.provider().facts().processing_time.as_ref();
        let processed = processing_time(answer.headers, header);
        let Some(grant) = &mut self.grant else { return };
        self.shared.with_at(now, |core, now| {
            core.engine.answered(now, grant, processed);
            if let Some(Ruling { verdict, rule }) = ruling {
                core.engine.judge(now, grant, *verdict, rule);
            }
            for reading in readings.into_iter().flatten() {
                core.engine.read(now, grant, reading);
            }
        });
    }

    /// Tells what was really used. The first call counts. Without one, what was reserved stays
    /// charged.
    pub fn settle(&mut self, usage: Usage) {
        self.settle_as(usage, usage);
    }

    /// The same for what was read from an answer: of it counts towards limits what the dialect says.
    /// What was guessed is put right by what was told; what the provider counts when a request arrives, its
    /// cap, is given back only if the provider gives it back too.
    pub(crate) fn settle_read(&mut self, usage: Usage) {
        let Some(grant) = &self.grant else { return };
        let (reserved, prior) = (grant.reserved(), grant.prior());
        let provider = self.provider();
        let least = match usage.is_estimated {
            true => reserved,
            false => Cost {
                output: if prior.cap_counts { reserved.output } else { 0 },
                ..Cost::default()
            },
        };
        let input = provider.counted_input(&usage).max(least.input);
        let output = usage.all_output().max(least.output);
        let nano_dollars = usage.nano_dollars;
        self.settle_as(Usage { nano_dollars, ..Usage::tokens(input, output) }, usage);
    }

    /// How many tokens of prompt were reserved.
    pub(crate) fn reserved_input(&self) -> u64 {
        self.grant.as_ref().map_or(0, |grant| grant.reserved().input)
    }

    fn settle_as(&mut self, counted: Usage, usage: Usage) {
        let Some(grant) = self.grant.as_mut().filter(|_| !self.settled) else { return };
        self.settled = true;
        self.shared.with(|core, now| {
            core.engine.settle(now, grant, &counted);
            if !usage.is_estimated {
                core.engine.learn_needs(grant, &usage);
            }
        });
        if let (Some(sink), Some(credential)) = (&self.shared.sink, self.credential()) {
            let Credential { id: key, account, .. } = credential;
            sink.record(&Spent { key, account, usage });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.shared.with(|core, now| match self.applied {
                true => core.engine.end(now, grant),
                false => core.engine.refund(now, grant),
            });
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key()).finish_non_exhaustive()
    }
}

/// A request leads elsewhere than its key may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOrigin(String);

impl fmt::Display for ForeignOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys of this pool may be sent to {} only", self.0)
    }
}

impl std::error::Error for ForeignOrigin {}
