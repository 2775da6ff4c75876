//! The retry policy: when to try a request again.

use std::sync::Arc;

use http::{Request, Response};
use tokio::time::Instant;
use tower::retry::Policy;

use crate::{
    Demand, KeyPool, KeyUsed, Trail, Verdict,
    pool::{Advice, Attempt, Open},
    provider::Ruling,
    replay::Replay,
    verdict::Place,
};

use super::{budget::Budgets, delay::RetryDelay};

/// A policy for [`tower::retry::Retry`] over [`KeyRotation`](crate::KeyRotation); see the
/// [module](crate::retry).
///
/// Clones share the budgets. The request's body must be one that can be sent again: a
/// [`ReplayBody`](crate::ReplayBody), or any that implements [`Replay`].
#[derive(Clone, Debug)]
#[must_use]
pub struct QuotaAwareRetry {
    pool: KeyPool,
    budgets: Arc<Budgets>,
    max_retries: u32,
    max_rate_limited_accounts: usize,
    // The fields below belong to one request: tower clones the policy for each.
    retries: u32,
    rotations: u32,
    reported_wider_limit: bool,
}

impl QuotaAwareRetry {
    /// A policy for requests that take their keys from a pool.
    pub fn new(pool: &KeyPool) -> Self {
        Self {
            pool: pool.clone(),
            budgets: Arc::new(Budgets::new()),
            max_retries: 4,
            max_rate_limited_accounts: 3,
            retries: 0,
            rotations: 0,
            reported_wider_limit: false,
        }
    }

    /// How often one request is tried again after an overload, a 5xx or a broken connection; 4 by
    /// default. In addition, each tenant has a budget: one retry for every ten requests, and ten at
    /// the start.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// How many accounts may refuse one request for its rate before the pool assumes a limit that
    /// is wider than an account (of an organisation, or an IP address). Then all requests for its
    /// model pause briefly, and this one returns to the line. 3 by default.
    pub fn max_rate_limited_accounts(mut self, accounts: usize) -> Self {
        self.max_rate_limited_accounts = accounts;
        self
    }

    /// Whether to go on, and after which pause.
    fn decide<A>(
        &mut self,
        request: &Request<A>,
        verdict: Verdict,
        trail: &Trail,
    ) -> Option<RetryDelay> {
        match verdict {
            Verdict::RateLimited { .. } => self.wait_for_rate(request, trail),
            Verdict::QuotaExhausted { .. } | Verdict::TooLarge { .. } => self.rotate(),
            Verdict::Overloaded { .. } | Verdict::Transient => {
                // The next probe waits in line for its time: it is not one of a few quick retries.
                let is_probe = was_probe(trail) && self.may_still_wait(request, trail);
                let may = (is_probe || self.retries < self.max_retries)
                    && self.pool.provider().may_repeat(request.method())
                    && self.budgets.pay_out(tenant(request));
                let pause = match verdict {
                    // While the provider is overloaded, the pool itself delays the requests.
                    Verdict::Overloaded { .. } => RetryDelay::none(),
                    _ => RetryDelay::backoff(self.retries),
                };
                match is_probe {
                    true => self.rotations += 1,
                    false => self.retries += 1,
                }
                may.then_some(pause)
            }
            _ => None,
        }
    }

    /// An empty stream may be the true answer. So a second key is asked, and if its stream is empty
    /// too, it is passed on.
    fn ask_another_for_more(&mut self, trail: &Trail) -> Option<RetryDelay> {
        let is_empty = |attempt: &&Attempt| attempt.rule == Ruling::EMPTY;
        let empty = trail.visit(|attempts| attempts.iter().filter(is_empty).count());
        self.rotations += 1;
        (empty < 2 && self.pool.may_ask_another()).then(RetryDelay::none)
    }

    /// Tries another key or account. At most one attempt more than there are keys: a single key is
    /// waited for once.
    fn rotate(&mut self) -> Option<RetryDelay> {
        self.rotations += 1;
        self.has_rotations_left().then(RetryDelay::none)
    }

    fn has_rotations_left(&self) -> bool {
        usize::try_from(self.rotations).is_ok_and(|rotations| rotations <= self.pool.key_count())
    }

    /// Tries the other accounts at once, then waits in line: a caller that can wait sees no 429.
    fn wait_for_rate<A>(&mut self, request: &Request<A>, trail: &Trail) -> Option<RetryDelay> {
        if !self.reported_wider_limit
            && let Some((model, place)) = self.wider_limit(trail)
        {
            self.reported_wider_limit = true;
            self.pool.brake(model.as_deref(), place);
        }
        self.rotations += 1;
        if self.has_rotations_left() {
            return Some(RetryDelay::none());
        }
        let keys = u32::try_from(self.pool.key_count()).unwrap_or(u32::MAX);
        let again = self.rotations.saturating_sub(keys).saturating_sub(1);
        self.may_still_wait(request, trail).then(|| RetryDelay::backoff(again))
    }

    /// Whether the deadline of a request has not come.
    fn may_still_wait<A>(&self, request: &Request<A>, trail: &Trail) -> bool {
        let patience = trail.since() + self.pool.max_wait();
        let answer_by = request.extensions().get::<Demand>().and_then(|demand| demand.deadline);
        Instant::now() < answer_by.map_or(patience, |answer_by| answer_by.min(patience))
    }

    /// The model (`None` for all models) and the place of a limit that is wider than an account, if
    /// enough accounts refused this request for their rate.
    fn wider_limit(&self, trail: &Trail) -> Option<(Option<Arc<str>>, Place)> {
        trail.visit(|attempts| {
            // While the pace of an account is still being found, its refusals are its own.
            let limited = |attempt: &&Attempt| {
                attempt.verdict.may_be_wider()
                    && !attempt.key.as_ref().is_some_and(|key| self.pool.is_pacing(key))
            };
            let mut accounts: Vec<_> =
                attempts.iter().filter(limited).map(|attempt| &attempt.account).collect();
            accounts.sort_unstable();
            accounts.dedup();
            let is_wider = accounts.len() >= self.max_rate_limited_accounts;
            let last = attempts.last().filter(|_| is_wider)?;
            Some((last.model.clone(), last.place))
        })
    }
}

impl<A, B, E> Policy<Request<A>, Response<B>, E> for QuotaAwareRetry
where
    A: Replay,
{
    type Future = RetryDelay;

    fn retry(
        &mut self,
        request: &mut Request<A>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<RetryDelay> {
        if self.retries == 0 && self.rotations == 0 {
            self.budgets.pay_in(tenant(request));
        }
        // A response without `KeyUsed` is not from the provider: no key was available, or the
        // request went to another origin.
        let used = match result {
            Ok(response) => Some(response.extensions().get::<KeyUsed>()?),
            Err(_) => None,
        };
        let verdict = used.map_or(Verdict::Transient, |used| used.verdict);
        let known = request.extensions().get::<Trail>();
        let is_unasked = used.is_some_and(|used| used.is_unasked);
        if !verdict.is_refusal() && !is_unasked {
            // The success settles what earlier refusals left open.
            if let Some(trail) = known {
                self.pool.weigh(trail);
            }
            return None;
        }
        let trail = match known {
            Some(trail) => trail.clone(),
            None => {
                let trail = begin_trail(used);
                request.extensions_mut().insert(trail.clone());
                trail
            }
        };
        if trail.is_caller_gone() {
            return None;
        }
        if used.is_some_and(|used| used.rule == Ruling::EMPTY) {
            return self.ask_another_for_more(&trail);
        }
        if is_unasked {
            return Some(RetryDelay::none());
        }
        match self.pool.weigh(&trail) {
            Advice::AskAnother => {
                self.rotations += 1;
                Some(RetryDelay::none())
            }
            // The layer below returns the caller's answer at once, without a key.
            Advice::Stop => trail.closed().map(|_| RetryDelay::none()),
            Advice::ByVerdict => self.decide(request, verdict, &trail),
        }
    }

    /// Pure, because all requests share the policy that it is called on first.
    fn clone_request(&mut self, request: &Request<A>) -> Option<Request<A>> {
        let mut clone = Request::new(request.body().replay()?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.version_mut() = request.version();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

/// Whether the last attempt was the probe of a provider, or of its model, that rests.
fn was_probe(trail: &Trail) -> bool {
    trail.visit(|attempts| attempts.last().is_some_and(|attempt| attempt.is_probe))
}

/// The tenant of a request, whose budget pays for its retries.
fn tenant<A>(request: &Request<A>) -> Option<&Arc<str>> {
    request.extensions().get::<Demand>()?.tenant.as_ref()
}

/// The trail of a request whose first attempt had none.
fn begin_trail(used: Option<&KeyUsed>) -> Trail {
    match used {
        Some(used) => {
            let trail = Trail::starting_at(used.since);
            trail.push(Attempt::from(used), used.open.clone(), used.refusal.clone());
            trail
        }
        None => {
            let trail = Trail::starting_at(Instant::now());
            trail.push(Attempt::unanswered(), Open::default(), None);
            trail
        }
    }
}
