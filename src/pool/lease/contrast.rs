//! Who is to blame for a refusal: found out by what other keys say to the same request.
//!
//! A 401 may mean a dead key, a missing scope, a typo in a header, or an outage of the provider. One
//! answer does not tell, so the key only rests provisionally, and the same request is shown to another
//! one:
//!
//! | then | who is to blame | what rests |
//! | --- | --- | --- |
//! | another key is accepted | the first key | it, where it was refused, on the ladder of its kind |
//! | keys of three accounts refuse alike | the request | nothing; the first answer is passed on |
//! | no other key is left to ask | nobody knows | what was told: for the first rung; else nothing |
//!
//! Where the words name the key (`invalid_api_key`), the operation is one that every key may do, and no
//! refused key was accepted within the last minute, up to eight accounts are asked: then it is more
//! likely that many keys are dead.

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

/// So many accounts that refuse a request alike are enough.
const ALIKE: usize = 3;
/// So many where it is more likely that keys are dead.
const DEAD: usize = 8;
/// So many refusals for rate without a hint, each refuted by others that were accepted.
const REFUTED: usize = 2;

/// What to do after an attempt, as far as blame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing is in doubt: the verdict decides.
    ByVerdict,
    /// Ask another key: it tells who is to blame.
    AskAnother,
    /// Stop: the request is at fault, or no key is left to ask. Pass the answer on.
    Stop,
}

impl KeyPool {
    /// Weighs the attempts at a request against each other, after each of them, and settles the blame that
    /// is open: [`QuotaAwareRetry`](crate::QuotaAwareRetry) does so by itself, a loop of your own calls it.
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
    /// // One trail for each request, however often it is tried.
    /// let trail = Trail::new();
    /// let demand = Demand::new().model("gpt-4o").operation("chat");
    /// let status = loop {
    ///     // Keys that were tried are left out.
    ///     let mut lease = pool.acquire_for(&demand, &trail).await?;
    ///     let mut request = http::Request::post("https://api.openai.com/v1/chat/completions").body(())?;
    ///     lease.apply(&mut request)?;
    ///     let (status, headers, body) = send(request);
    ///     let ruling = lease.observe(status, &headers, body);
    ///     trail.record(&mut lease, &ruling);
    ///     if pool.weigh(&trail) != Advice::AskAnother {
    ///         // Limits and overloads are tried again by their verdict: not shown here.
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
            // The key was accepted, if not the request.
            Verdict::CallerFault | Verdict::TooLarge { .. } => {
                let of_key = |pending: &&Arc<Pending>| pending.accusation().is_of_credential();
                pending.iter().filter(of_key).for_each(|p| p.settle(Outcome::Confirmed));
                return Advice::ByVerdict;
            }
            Verdict::RateLimited { retry_after: None } => return self.weigh_lessons(trail),
            verdict if !verdict.needs_contrast() => return Advice::ByVerdict,
            _ => {}
        }
        // An old secret, or a key that has left meanwhile: nothing is in doubt, and another key may do.
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
        // The words name the key, and any key may do this.
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
        // Asked once more, it said the same once more.
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
                // Every key that could be asked says that it is not good: the caller is told so by us, who
                // would otherwise suspect a token of its own.
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

    /// A request was refused for its rate. Where an account refused it before and has accepted others that were
    /// sent since, that was about the request: no limit is learnt of it, and twice is enough.
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

    /// What one account alone called an overload of the provider is that account's own, if another one
    /// served the same request.
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

    /// Keys that have nothing to do with each other say the same: it is the request. Nothing rests. What others
    /// said before is not settled by that.
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

/// How many accounts refused a request like the last one, beside keys that were known to be refused: they
/// merely found that out again.
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
