//! Decides what happens to a request, in one step under the lock, and makes the response.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE, request::Parts};

use crate::sandbox::{
    body::{InFlight, SandboxBody},
    cache::CacheUse,
    clock,
    dialect::{Answer, ReplyContext, wire},
    directory::{KeyEntry, KeyIndex},
    faults::{RequestFacts, StreamFault},
    limits::{Cost, Remaining},
    refusal::Refusal,
    request::{self, ParsedRequest},
    route::{Api, Route, WireFormat},
    state::{Shared, State},
    stats::{Arrival, Counts},
};

/// A response, and how long to wait before it is sent.
pub(super) struct Judgement {
    pub(super) delay: Duration,
    pub(super) response: Response<SandboxBody>,
}

pub(super) fn judge(shared: &Arc<Shared>, request: &Parts, body: &[u8]) -> Judgement {
    let route = shared.dialect.route(&request.method, &request.uri);
    let secret = request::credential(&request.headers, &request.uri, route.wire);
    let key = secret.and_then(|it| shared.directory.find(&it).ok_or(Refusal::UnknownKey));
    let parsed = request::read(&route, body, shared.count_tokens.as_ref());
    let case = Case { shared, now: shared.clock.elapsed(), request, route, key, parsed };
    if let Some(response) = case.fixed_response(&mut shared.state()) {
        return Judgement { delay: Duration::ZERO, response };
    }
    let outcome = case.decide(&mut shared.state());
    match &outcome.admitted {
        Ok(admitted) => case.answer(&outcome, admitted),
        Err(refusal) => case.refuse(&outcome, refusal),
    }
}

/// A request, and what can be read from it without the state.
struct Case<'a> {
    shared: &'a Arc<Shared>,
    now: Duration,
    request: &'a Parts,
    route: Route<'a>,
    key: Result<KeyIndex, Refusal>,
    parsed: Result<ParsedRequest, Refusal>,
}

/// What the state decided.
struct Outcome {
    admitted: Result<Admitted, Refusal>,
    /// What remains of the limits after the decision.
    remaining: Vec<Remaining>,
    /// The delay that a fault adds.
    delay: Duration,
    request_id: String,
}

struct Admitted {
    key: KeyIndex,
    request: ParsedRequest,
    cache_use: CacheUse,
    jitter: Duration,
    fault: Option<StreamFault>,
}

impl Case<'_> {
    /// The response of [`Fault::respond_with`](crate::sandbox::Fault::respond_with), if one is due.
    fn fixed_response(&self, state: &mut State) -> Option<Response<SandboxBody>> {
        self.key.as_ref().ok()?;
        let response = state.faults.responses.take()?;
        self.record(state, &Err(Refusal::Error(response.status())));
        Some(response.map(SandboxBody::whole))
    }

    fn decide(&self, state: &mut State) -> Outcome {
        let admitted = self.admit(state);
        self.record(state, &admitted);
        let key = self.key.as_ref().ok();
        let limits = key.and_then(|key| state.limits.get_mut(key.account));
        let remaining = match (limits, self.model()) {
            (Some(limits), Some(model)) => limits.remaining(self.now, model),
            _ => Vec::new(),
        };
        Outcome {
            admitted,
            remaining,
            delay: key.and_then(|_| state.faults.delays.take()).unwrap_or_default(),
            request_id: format!("{:016x}", state.rng.u64(..)),
        }
    }

    /// Checks the request in the order that the [module](crate::sandbox) documents.
    fn admit(&self, state: &mut State) -> Result<Admitted, Refusal> {
        let key = self.key.clone()?;
        let (path, headers) = (self.request.uri.path(), &self.request.headers);
        let facts = RequestFacts { key, model: self.model(), path, headers };
        if let Some(refusal) = state.faults.refuse(facts, self.now) {
            return Err(refusal);
        }
        let request = self.parsed.clone()?;
        let cache = state.caches.get(key.account);
        let cache_use =
            cache.map(|cache| cache.look_up(self.now, &request.prompt)).unwrap_or_default();
        if let Some(model) = request.model.as_deref() {
            if !self.shared.has_model(model) {
                return Err(Refusal::UnknownModel);
            }
            let generated = self.shared.script.tokens;
            let output = match request.max_tokens {
                // Anthropic charges what is generated, not the maximum.
                Some(max) if request.api == Api::Messages => max.min(generated),
                Some(max) => max,
                None => generated,
            };
            let free = if self.route.wire == WireFormat::Anthropic { cache_use.read } else { 0 };
            let cost = Cost { input: request.prompt.tokens.saturating_sub(free), output };
            let limits = state.limits.get_mut(key.account);
            limits
                .map_or(Ok(()), |limits| limits.take(self.now, model, cost))
                .map_err(Refusal::LimitExceeded)?;
        }
        let jitter = self.shared.script.jitter.mul_f64(state.rng.f64());
        if let Some(cache) = state.caches.get_mut(key.account) {
            let starts = self.now.saturating_add(self.shared.script.latency).saturating_add(jitter);
            cache.store(self.now, starts, &request.prompt);
        }
        let fault = if request.delivery.is_stream() { state.faults.streams.take() } else { None };
        Ok(Admitted { key, request, cache_use, jitter, fault })
    }

    fn record(&self, state: &mut State, admitted: &Result<Admitted, Refusal>) {
        let index = self.key.as_ref().ok().copied();
        state.recorder.count(index, |counts| {
            counts.requests += 1;
            match admitted {
                Ok(admitted) => count_admitted(counts, admitted),
                Err(refusal) => refusal.count(counts),
            }
        });
        if let Some((index, key)) = index.zip(self.key_entry()) {
            let arrival = Arrival { at: self.now, key: key.id.clone(), accepted: admitted.is_ok() };
            state.recorder.arrived(index.account, arrival);
        }
    }

    fn model(&self) -> Option<&str> {
        self.parsed.as_ref().ok()?.model.as_deref()
    }

    fn key_entry(&self) -> Option<&KeyEntry> {
        self.shared.directory.key(*self.key.as_ref().ok()?)
    }

    fn answer(&self, outcome: &Outcome, admitted: &Admitted) -> Judgement {
        let Admitted { key, request, cache_use, jitter, fault } = admitted;
        let (wire, script) = (self.route.wire, &self.shared.script);
        let context = self.context(outcome);
        let mut answer = self.compose(request, *cache_use, outcome.request_id.clone());
        if let Some(StreamFault::QuotaExhausted(_)) = fault {
            answer.error = Some(wire::refuse(wire, &Refusal::QuotaExhausted, &context).body);
        }
        let mut headers = self.headers(&context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type()));
        let delay = script.latency.saturating_add(*jitter).saturating_add(outcome.delay);
        wire::add_processing_time(wire, &mut headers, delay);
        if !self.shared.hides_limits {
            wire::add_limits(wire, &mut headers, &outcome.remaining, &context);
        }

        let in_flight = InFlight::new(self.shared, *key, request);
        let mut response =
            Response::new(SandboxBody::answer(answer, script.gap, *fault, in_flight));
        *response.headers_mut() = headers;
        Judgement { delay, response }
    }

    fn compose(&self, request: &ParsedRequest, cache_use: CacheUse, id: String) -> Answer {
        let script = &self.shared.script;
        let tokens = request.max_tokens.map_or(script.tokens, |max| max.min(script.tokens));
        Answer {
            api: request.api,
            delivery: request.delivery,
            id,
            created: clock::unix_secs(self.now),
            model: request.model.clone().unwrap_or_default(),
            models: Arc::clone(&self.shared.models),
            prompt_tokens: request.prompt.tokens,
            cache_use,
            tokens,
            is_truncated: tokens < script.tokens,
            text_events: script.events_for(tokens),
            include_usage: request.include_usage,
            error: None,
        }
    }

    fn refuse(&self, outcome: &Outcome, refusal: &Refusal) -> Judgement {
        let (wire, hides_limits) = (self.route.wire, self.shared.hides_limits);
        let context = self.context(outcome);
        let mut headers = self.headers(&context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let without_wait = refusal.without_wait().filter(|_| hides_limits);
        let reply = wire::refuse(wire, without_wait.as_ref().unwrap_or(refusal), &context);
        if refusal.has_limit_headers() && !hides_limits {
            wire::add_limits(wire, &mut headers, &outcome.remaining, &context);
        }
        headers.extend(reply.headers);
        let mut response = Response::new(SandboxBody::whole(Bytes::from(reply.body.to_string())));
        *response.status_mut() = reply.status;
        *response.headers_mut() = headers;
        Judgement { delay: outcome.delay, response }
    }

    fn context<'a>(&'a self, outcome: &'a Outcome) -> ReplyContext<'a> {
        ReplyContext {
            now: self.now,
            account: self.key_entry().map_or("", |key| &key.account),
            model: self.model().unwrap_or_default(),
            path: self.request.uri.path(),
            request_id: &outcome.request_id,
        }
    }

    /// The headers of every response to a known key.
    fn headers(&self, context: &ReplyContext<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = self.key_entry() {
            wire::add_ids(self.route.wire, &mut headers, context);
            if let Some(id) = &key.header {
                headers.insert("x-sandbox-key", id.clone());
            }
        }
        headers
    }
}

fn count_admitted(counts: &mut Counts, admitted: &Admitted) {
    let Admitted { request, cache_use, .. } = admitted;
    counts.accepted += 1;
    counts.prompt_tokens += request.prompt.tokens;
    counts.cache_read_tokens += cache_use.read;
    counts.cache_write_tokens += cache_use.write + cache_use.write_1h;
    counts.streams_started += u64::from(request.delivery.is_stream());
    counts.in_flight += 1;
    counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
}
