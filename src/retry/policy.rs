//! When to try again.

use std::sync::Arc;

use http::{Request, Response};
use tokio::time::Instant;
use tower::retry::Policy;

use crate::{Attempt, KeyPool, KeyUsed, Trail, Verdict, replay::Replay};

use super::{budget::Budget, delay::RetryDelay};

/// A policy for [`tower::retry::Retry`] over [`KeyRotation`](crate::KeyRotation); see the
/// [module](crate::retry).
///
/// Clones share the budget. The request's body must be one that can be sent again: a
/// [`ReplayBody`](crate::ReplayBody), or any that implements [`Replay`].
#[derive(Clone, Debug)]
#[must_use]
pub struct QuotaAwareRetry {
    pool: KeyPool,
    budget: Arc<Budget>,
    max_retries: u32,
    alike: usize,
    // What follows is of one request: tower clones the policy for each.
    retries: u32,
    rotations: usize,
}

impl QuotaAwareRetry {
    /// A policy for requests that take their keys from a pool.
    pub fn new(pool: &KeyPool) -> Self {
        Self {
            pool: pool.clone(),
            budget: Arc::new(Budget::new()),
            max_retries: 4,
            alike: 3,
            retries: 0,
            rotations: 0,
        }
    }

    /// How often one request is tried again after an overload, a 5xx or a broken connection; 4 by
    /// default. All requests together are tried again for a tenth of their number at most (and ten
    /// times to begin with).
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// How many accounts may refuse one request for its rate before it is taken that the limit is
    /// wider than an account (of an organisation, or an address): no more keys are spent on it, and
    /// the whole pool waits a moment. 3 by default.
    pub fn alike(mut self, accounts: usize) -> Self {
        self.alike = accounts;
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
            Verdict::RateLimited { .. } if verdict.may_be_wider() && self.is_wider(trail) => {
                self.pool.brake();
                None
            }
            Verdict::RateLimited { .. }
            | Verdict::QuotaExhausted { .. }
            | Verdict::KeyRejected
            | Verdict::ModelRefused => {
                self.rotations += 1;
                // One more than there are keys: a lone key is waited for once.
                (self.rotations <= self.pool.keys()).then(RetryDelay::none)
            }
            Verdict::Overloaded { .. } | Verdict::Transient => {
                let may = self.retries < self.max_retries
                    && self.pool.provider().may_repeat(request.method())
                    && self.budget.pay_out();
                let pause = match verdict {
                    // The pool holds everybody back while its provider is overloaded.
                    Verdict::Overloaded { .. } => RetryDelay::none(),
                    _ => RetryDelay::backoff(self.retries),
                };
                self.retries += 1;
                may.then_some(pause)
            }
            _ => None,
        }
    }

    fn is_wider(&self, trail: &Trail) -> bool {
        trail.visit(|attempts| {
            // Where the pace of an account is still being found, its refusals are its own.
            let limited = |attempt: &&Attempt| {
                attempt.verdict.may_be_wider()
                    && !attempt.key.as_ref().is_some_and(|key| self.pool.is_pacing(key))
            };
            let mut accounts: Vec<_> =
                attempts.iter().filter(limited).map(|attempt| &attempt.account).collect();
            accounts.sort_unstable();
            accounts.dedup();
            accounts.len() >= self.alike
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
            self.budget.pay_in();
        }
        // An answer without this is not a provider's: nothing is left, or it led elsewhere.
        let used = match result {
            Ok(response) => Some(response.extensions().get::<KeyUsed>()?),
            Err(_) => None,
        };
        let verdict = used.map_or(Verdict::Transient, |used| used.verdict);
        if !verdict.is_refusal() {
            return None;
        }
        let trail = match request.extensions().get::<Trail>() {
            Some(trail) => trail.clone(),
            None => {
                let trail = begin_trail(used);
                request.extensions_mut().insert(trail.clone());
                trail
            }
        };
        self.decide(request, verdict, &trail)
    }

    /// Pure: the policy that it is called on first is shared by all requests.
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

/// The trail of a request whose first attempt was made without one.
fn begin_trail(used: Option<&KeyUsed>) -> Trail {
    match used {
        Some(used) => {
            let trail = Trail::starting_at(used.since);
            trail.push(Attempt::from(used), used.refusal.clone());
            trail
        }
        None => {
            let trail = Trail::starting_at(Instant::now());
            trail.push(Attempt::unanswered(), None);
            trail
        }
    }
}
