//! Finds the cause of a refusal by comparing the answers of several keys to the same request.
//!
//! A 401 may mean a dead key, a missing scope, a typo in a header, or an outage of the provider. One answer
//! does not show which. So the key only rests provisionally, and the same request is sent with another key (a
//! second opinion):
//!
//! | result | cause | what rests |
//! | --- | --- | --- |
//! | another key is accepted | the first key | the first key, where it was refused, with the backoff of its kind |
//! | keys of three accounts refuse alike | the request | nothing; the first answer is passed on |
//! | no other key is left to ask | unknown | what the refusal names, for the first step of the backoff; otherwise nothing |
//!
//! Up to eight accounts are asked if the refusal names the key (`invalid_api_key`), every key may do the
//! operation, and no refused key was accepted within the last minute. Then it is more likely that many keys
//! are dead.

use std::sync::Arc;

use crate::{
    Verdict,
    engine::Outcome,
    pool::{
        key_pool::KeyPool,
        lease::{
            pending::Pending,
            trail::{Attempt, Closed, Trail},
        },
    },
    verdict::Blame,
};

/// If this many accounts refuse a request alike, the request is at fault.
const ALIKE: usize = 3;
/// The same number if it is more likely that keys are dead.
const DEAD: usize = 8;
/// After this many refusals for rate without a time to wait, each refuted by other accepted requests, the
/// request is at fault.
const REFUTED: usize = 2;

/// What to do after an attempt, in view of its possible causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The cause is clear: decide by the verdict.
    ByVerdict,
    /// Try another key: its answer shows the cause.
    AskAnother,
    /// Stop: the request is at fault, or no key is left to ask. Pass the answer on.
    Stop,
}

impl KeyPool {
    /// Compares the attempts at a request, and settles open accusations of keys. Call it after each attempt
    /// in a retry loop of your own; [`QuotaAwareRetry`](crate::QuotaAwareRetry) calls it by itself.
    ///
    /// ```
    /// # use http::{HeaderMap, StatusCode};
    /// # use tower_key_rotation::{ApiKey, Demand, KeyPool, OpenAi};
    /// use tower_key_rotation::{Trail, pool::Advice};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = KeyPool::builder(OpenAi::default())
    /// #     .key(ApiKey::new("sk-revoked").id("a"))
    /// #     .key(ApiKey::new("sk-good").id("b"))
    /// #     .build()?;
    /// # let send = |request: http::Request<()>| {
    /// #     let good = request.headers()["authorization"] == "Bearer sk-good";
    /// #     let status = if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    /// #     (status, HeaderMap::new(), br#"{"error":{"code":"invalid_api_key"}}"#.as_slice())
    /// # };
    ///
    /// // One trail for each request, for all its attempts.
    /// let trail = Trail::new();
    /// let demand = Demand::new().model("gpt-4o").operation("chat");
    /// let status = loop {
    ///     // Keys that were tried already are excluded.
    ///     let mut lease = pool.acquire_for(&demand, &trail).await?;
    ///     let mut request = http::Request::post("https://api.openai.com/v1/chat/completions").body(())?;
    ///     lease.apply(&mut request)?;
    ///     let (status, headers, body) = send(request);
    ///     let ruling = lease.observe(status, &headers, body);
    ///     trail.record(&mut lease, &ruling);
    ///     if pool.weigh(&trail) != Advice::AskAnother {
    ///         // A real loop waits and tries again after a limit or an overload.
    ///         break status;
    ///     }
    /// };
    /// assert_eq!(status, StatusCode::OK);
    /// # Ok(())
    /// # }
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "what is settled may be all that it is called for"
    )]
    pub fn weigh(&self, trail: &Trail) -> Advice {
        let (attempts, pending) = trail.look();
        let Some(last) = attempts.last() else { return Advice::ByVerdict };
        match last.verdict {
            Verdict::Accepted => {
                settle(&pending, Outcome::Confirmed);
                let needed = trail.take_opinions();
                if needed > 0 {
                    self.shared.with(|core, _| core.engine.opinions_were_needed(needed));
                }
                self.blame_overloaded(&attempts, last);
                return Advice::ByVerdict;
            }
            // The provider accepted the key, although not the request.
            Verdict::CallerFault | Verdict::TooLarge { .. } => {
                let of_key = |pending: &&Arc<Pending>| pending.accusation().is_of_credential();
                pending.iter().filter(of_key).for_each(|p| p.settle(Outcome::Confirmed));
                return Advice::ByVerdict;
            }
            Verdict::RateLimited { retry_after: None } => return self.weigh_lessons(trail),
            verdict if !verdict.needs_contrast() => return Advice::ByVerdict,
            _ => {}
        }
        // The secret was replaced or the key removed meanwhile. There is nothing to settle, and another key
        // may succeed.
        let Some(newest) = pending.last() else { return Advice::AskAnother };
        self.weigh_refusal(trail, last, &attempts, &pending, newest)
    }

    fn weigh_refusal(
        &self,
        trail: &Trail,
        last: &Attempt,
        attempts: &[Attempt],
        pending: &[Arc<Pending>],
        newest: &Pending,
    ) -> Advice {
        let alike = witnesses(attempts, pending, last);
        let is_vouched = pending.iter().any(|pending| pending.accusation().is_vouched);
        // The refusal names the key, and every key may do this operation.
        let is_told_of_key =
            last.verdict == Verdict::KeyRejected && last.blame == Blame::Told && last.generates;
        let names_keys = is_told_of_key && !is_vouched;
        let accusation = newest.accusation();
        let tried = |engine: &crate::engine::Engine, key| {
            attempts
                .iter()
                .filter_map(|attempt| attempt.key.as_ref())
                .any(|id| engine.find_key(id) == Some(key))
        };
        // The same key gave the same answer again.
        let is_again =
            |attempt: &Attempt| attempt.key == last.key && attempt.verdict == last.verdict;
        let says_it_again = attempts.iter().filter(|attempt| is_again(attempt)).count() > 1;
        let deadline = self.shared.clock.time(trail.since() + self.shared.max_wait);
        let (is_known, has_another) = self.shared.with(|core, now| {
            let engine = &core.engine;
            let is_known = alike <= 1 && !is_told_of_key && engine.is_at_fault(now, accusation);
            let has_another = !says_it_again
                && engine
                    .has_another(now, accusation, deadline, !names_keys, |key| tried(engine, key));
            (is_known, has_another)
        });
        if is_known || alike >= if names_keys { DEAD } else { ALIKE } {
            return self.blame_request(trail, pending, newest, names_keys);
        }
        if !has_another {
            if names_keys {
                // All keys that could be tried were rejected. The pool reports this itself. Otherwise the
                // caller would suspect its own token.
                settle(pending, Outcome::Lapsed);
                trail.close(Closed::NoKey);
                return Advice::Stop;
            }
            if alike > 1 {
                return self.blame_request(trail, pending, newest, names_keys);
            }
            settle(pending, Outcome::Lapsed);
            return Advice::Stop;
        }
        if names_keys {
            return Advice::AskAnother;
        }
        if self.shared.with(|core, _| core.engine.may_ask_another()) {
            trail.paid_for_opinion();
            return Advice::AskAnother;
        }
        settle(pending, Outcome::Lapsed);
        Advice::Stop
    }

    /// Weighs a request that was refused for its rate. If an account refused it and then accepted other
    /// requests, the refusal was about this request. The pool learns no limit from it, and stops after two
    /// such refusals.
    fn weigh_lessons(&self, trail: &Trail) -> Advice {
        let others = self.shared.with(|core, _| core.engine.accounts()).saturating_sub(1);
        let refuted = trail.refute_taught(others.clamp(1, ALIKE - 1), |taught, is_known| {
            self.shared.with(|core, _| core.engine.take_back(taught, is_known))
        });
        if refuted < REFUTED {
            return Advice::ByVerdict;
        }
        trail.close(Closed::First);
        Advice::Stop
    }

    /// If one account alone reported an overload of the provider, and another account served the same
    /// request, the overload is of that account only.
    fn blame_overloaded(&self, attempts: &[Attempt], accepted: &Attempt) {
        let is_overload =
            |attempt: &&Attempt| matches!(attempt.verdict, Verdict::Overloaded { .. });
        let mut overloads = attempts.iter().filter(is_overload);
        let Some(first) = overloads.next() else { return };
        let is_alone = overloads.all(|other| other.account == first.account);
        if let Some(account) = first.account.as_deref().filter(|_| is_alone)
            && accepted.account.as_deref() != Some(account)
        {
            let model = first.model.as_deref();
            self.shared.with(|core, now| {
                core.engine.overloaded_alone(now, account, model, &first.rule);
            });
        }
    }

    /// Independent keys gave the same answer, so the request is at fault, and nothing rests. Different
    /// earlier answers are not settled by that.
    fn blame_request(
        &self,
        trail: &Trail,
        pending: &[Arc<Pending>],
        newest: &Pending,
        names_keys: bool,
    ) -> Advice {
        let kind = newest.accusation().kind();
        for pending in pending {
            let is_alike = pending.accusation().kind() == kind;
            let outcome =
                if is_alike && !names_keys { Outcome::Withdrawn } else { Outcome::Lapsed };
            pending.settle(outcome);
        }
        if !names_keys {
            let accusation = newest.accusation();
            self.shared.with(|core, now| core.engine.note_at_fault(now, accusation));
        }
        trail.close(Closed::First);
        Advice::Stop
    }
}

/// The number of accounts that gave the same verdict as the last attempt. Probes of keys that were known to
/// be refused do not count, because they only confirm that.
fn witnesses(attempts: &[Attempt], pending: &[Arc<Pending>], last: &Attempt) -> usize {
    let is_probe = |attempt: &Attempt| {
        let mut accusations = pending.iter().map(|pending| pending.accusation());
        accusations.any(|it| attempt.key.as_ref() == Some(&it.key) && it.is_of_probe())
    };
    let alike = attempts.iter().filter(|attempt| attempt.verdict == last.verdict);
    let mut accounts: Vec<_> =
        alike.filter(|attempt| !is_probe(attempt)).map(|attempt| &attempt.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts.len()
}

fn settle(pending: &[Arc<Pending>], outcome: Outcome) {
    pending.iter().for_each(|pending| pending.settle(outcome));
}
