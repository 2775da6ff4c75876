//! The judgement of one request, in one step, and the response that follows from it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE, request::Parts};

use crate::sandbox::{
    SandboxBody, Tally,
    body::Ticket,
    books::Arrival,
    cache::Cached,
    clock,
    dialect::{Answer, Context, Form, Route, Tongue},
    faults::{StreamFault, Struck},
    limits::{Cost, Left},
    refusal::Refusal,
    request::{self, Asked, Streaming},
    state::{KeyEntry, Place, Shared, State},
};

/// A response, and how long until it comes.
pub(super) struct Judgement {
    pub(super) delay: Duration,
    pub(super) response: Response<SandboxBody>,
}

pub(super) fn judge(shared: &Arc<Shared>, request: &Parts, body: &[u8]) -> Judgement {
    let route = shared.dialect.route(&request.method, &request.uri);
    let secret = request::credential(&request.headers, &request.uri, route.tongue);
    let find = |secret: &str| shared.directory.find(secret).ok_or(Refusal::UnknownKey);
    let place = secret.and_then(find);
    let asked = request::read(&route, body, shared.count.as_ref());
    let case = Case { shared, now: shared.clock.elapsed(), request, route, place, asked };
    if let Some(response) = case.scripted(&mut shared.state()) {
        return Judgement { delay: Duration::ZERO, response };
    }
    let ruling = case.rule(&mut shared.state());
    match &ruling.granted {
        Ok(granted) => case.answer(&ruling, granted),
        Err(refusal) => case.refuse(&ruling, refusal),
    }
}

/// A request as far as it can be read without any state.
struct Case<'a> {
    shared: &'a Arc<Shared>,
    now: Duration,
    request: &'a Parts,
    route: Route<'a>,
    place: Result<Place, Refusal>,
    asked: Result<Asked, Refusal>,
}

/// What the state says to it.
struct Ruling {
    granted: Result<Granted, Refusal>,
    /// The limits afterwards.
    left: Vec<Left>,
    slow: Duration,
    request_id: String,
}

struct Granted {
    place: Place,
    asked: Asked,
    cached: Cached,
    jitter: Duration,
    fault: Option<StreamFault>,
}

impl Case<'_> {
    /// What a fault puts in place of every answer.
    fn scripted(&self, state: &mut State) -> Option<Response<SandboxBody>> {
        self.place.as_ref().ok()?;
        let response = state.faults.answers.take()?;
        self.enter(state, &Err(Refusal::Error(response.status())));
        Some(response.map(SandboxBody::whole))
    }

    fn rule(&self, state: &mut State) -> Ruling {
        let granted = self.grant(state);
        self.enter(state, &granted);
        let known = self.place.as_ref().ok();
        let left = match (known.and_then(|place| state.meters.get_mut(place.account)), self.model())
        {
            (Some(meters), Some(model)) => meters.left(self.now, model),
            _ => Vec::new(),
        };
        Ruling {
            granted,
            left,
            slow: known.and_then(|_| state.faults.slow.take()).unwrap_or_default(),
            request_id: format!("{:016x}", state.rng.u64(..)),
        }
    }

    /// The order in which the [module](crate::sandbox) says a request is judged.
    fn grant(&self, state: &mut State) -> Result<Granted, Refusal> {
        let place = self.place.clone()?;
        let (path, headers) = (self.request.uri.path(), &self.request.headers);
        let struck = Struck { place, model: self.model(), path, headers };
        if let Some(refusal) = state.faults.strike(struck, self.now) {
            return Err(refusal);
        }
        let asked = self.asked.clone()?;
        let cache = state.caches.get(place.account);
        let cached = cache.map(|cache| cache.look(self.now, &asked.prompt)).unwrap_or_default();
        if let Some(model) = asked.model.as_deref() {
            if !self.shared.has_model(model) {
                return Err(Refusal::UnknownModel);
            }
            let produced = self.shared.script.tokens;
            let output = match asked.most {
                // Anthropic counts what is produced, whatever the maximum.
                Some(most) if asked.form == Form::Messages => most.min(produced),
                Some(most) => most,
                None => produced,
            };
            let free = if self.route.tongue == Tongue::Anthropic { cached.read } else { 0 };
            let cost = Cost { input: asked.prompt.tokens.saturating_sub(free), output };
            let meters = state.meters.get_mut(place.account);
            meters
                .map_or(Ok(()), |meters| meters.take(self.now, model, cost))
                .map_err(Refusal::Over)?;
        }
        let jitter = self.shared.script.jitter.mul_f64(state.rng.f64());
        if let Some(cache) = state.caches.get_mut(place.account) {
            let begins = self.now.saturating_add(self.shared.script.latency).saturating_add(jitter);
            cache.keep(self.now, begins, &asked.prompt);
        }
        let streamed = asked.streaming != Streaming::No;
        let fault = if streamed { state.faults.streams.take() } else { None };
        Ok(Granted { place, asked, cached, jitter, fault })
    }

    fn enter(&self, state: &mut State, granted: &Result<Granted, Refusal>) {
        let place = self.place.as_ref().ok().copied();
        state.ledger.enter(place, |tally| {
            tally.requests += 1;
            match granted {
                Ok(granted) => begin(tally, granted),
                Err(refusal) => refusal.enter(tally),
            }
        });
        if let Some((place, key)) = place.zip(self.key()) {
            let arrival = Arrival { at: self.now, key: key.id.clone(), accepted: granted.is_ok() };
            state.ledger.arrived(place.account, arrival);
        }
    }

    fn model(&self) -> Option<&str> {
        self.asked.as_ref().ok()?.model.as_deref()
    }

    fn key(&self) -> Option<&KeyEntry> {
        self.shared.directory.key(*self.place.as_ref().ok()?)
    }

    fn answer(&self, ruling: &Ruling, granted: &Granted) -> Judgement {
        let Granted { place, asked, cached, jitter, fault } = granted;
        let script = &self.shared.script;
        let context = self.context(ruling);
        let mut answer = self.compose(asked, *cached, ruling.request_id.clone());
        if let Some(StreamFault::Exhausted(_)) = fault {
            answer.refusal = Some(self.route.tongue.refuse(&Refusal::Exhausted, &context).body);
        }
        let mut headers = self.headers(&context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type()));
        let delay = script.latency.saturating_add(*jitter).saturating_add(ruling.slow);
        self.route.tongue.tell_time(&mut headers, delay);
        if !self.shared.silent {
            self.route.tongue.tell_left(&mut headers, &ruling.left, &context);
        }

        let ticket = Ticket::new(self.shared, *place, asked);
        let mut response = Response::new(SandboxBody::answer(answer, script.gap, *fault, ticket));
        *response.headers_mut() = headers;
        Judgement { delay, response }
    }

    fn compose(&self, asked: &Asked, cached: Cached, id: String) -> Answer {
        let script = &self.shared.script;
        let tokens = asked.most.map_or(script.tokens, |most| most.min(script.tokens));
        Answer {
            form: asked.form,
            streaming: asked.streaming,
            id,
            created: clock::unix_secs(self.now),
            model: asked.model.clone().unwrap_or_default(),
            models: Arc::clone(&self.shared.models),
            prompt: asked.prompt.tokens,
            cached,
            tokens,
            cut_short: tokens < script.tokens,
            events: script.events_for(tokens),
            include_usage: asked.include_usage,
            refusal: None,
        }
    }

    fn refuse(&self, ruling: &Ruling, refusal: &Refusal) -> Judgement {
        let context = self.context(ruling);
        let mut headers = self.headers(&context);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let untold = refusal.untold().filter(|_| self.shared.silent);
        let told = self.route.tongue.refuse(untold.as_ref().unwrap_or(refusal), &context);
        if refusal.tells_left() && !self.shared.silent {
            self.route.tongue.tell_left(&mut headers, &ruling.left, &context);
        }
        headers.extend(told.headers);
        let mut response = Response::new(SandboxBody::whole(Bytes::from(told.body.to_string())));
        *response.status_mut() = told.status;
        *response.headers_mut() = headers;
        Judgement { delay: ruling.slow, response }
    }

    fn context<'a>(&'a self, ruling: &'a Ruling) -> Context<'a> {
        Context {
            now: self.now,
            account: self.key().map_or("", |key| &key.account),
            model: self.model().unwrap_or_default(),
            path: self.request.uri.path(),
            request_id: &ruling.request_id,
        }
    }

    /// What every response to a known key has.
    fn headers(&self, context: &Context<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = self.key() {
            self.route.tongue.greet(&mut headers, context);
            if let Some(id) = &key.header {
                headers.insert("x-sandbox-key", id.clone());
            }
        }
        headers
    }
}

fn begin(tally: &mut Tally, granted: &Granted) {
    let Granted { asked, cached, .. } = granted;
    tally.accepted += 1;
    tally.prompt_tokens += asked.prompt.tokens;
    tally.cache_read_tokens += cached.read;
    tally.cache_write_tokens += cached.write + cached.write_1h;
    tally.streams_begun += u64::from(asked.streaming != Streaming::No);
    tally.in_flight += 1;
    tally.most_in_flight = tally.most_in_flight.max(tally.in_flight);
}
