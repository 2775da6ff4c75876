//! Which rule fires, and what it says.

use std::time::Duration;

use super::{Condition, Rule, Ruling, Says, Wait, common};
use crate::{
    provider::{Answer, Facts, error_body::ErrorBody},
    verdict::{Blame, Place, Verdict},
};

/// A refusal, read once for all rules.
pub(crate) struct Seen<'a> {
    pub(super) answer: &'a Answer<'a>,
    pub(super) body: ErrorBody<'a>,
    /// The response's, or what the body of an event tells; unknown if it tells none.
    pub(super) status: Option<u16>,
    facts: &'a Facts,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(answer: &'a Answer<'a>, facts: &'a Facts) -> Self {
        let body = ErrorBody::read(answer);
        let failed = answer.status.is_client_error() || answer.status.as_u16() >= 500;
        let status = match failed {
            true => Some(answer.status.as_u16()),
            false => body.told_status(),
        };
        Self { answer, body, status, facts }
    }

    /// The first number that stands right behind these words in the message. The words alone may stand
    /// in it before: "(for limit gpt-4.1) ... Limit 30000".
    fn number_after(&self, words: &str) -> Option<u64> {
        let (message, words) =
            (self.body.message().to_ascii_lowercase(), words.to_ascii_lowercase());
        message.match_indices(&words).find_map(|(at, _)| {
            let digits = message[at + words.len()..].trim_start().chars();
            let digits = digits.filter(|c| *c != ',').take_while(char::is_ascii_digit);
            digits.collect::<String>().parse().ok()
        })
    }

    pub(super) fn is_used_up(&self) -> bool {
        let mut is_used_up = false;
        self.facts.limits.read(self.answer, &mut |reading| {
            is_used_up |= reading.remaining == Some(0);
        });
        is_used_up
    }

    /// When all that is used up is back: the latest reset of what has nothing remaining.
    pub(super) fn reset_of_used_up(&self) -> Option<Duration> {
        let mut latest = None;
        self.facts.limits.read(self.answer, &mut |reading| {
            if reading.remaining == Some(0) {
                latest = latest.max(reading.reset);
            }
        });
        latest
    }
}

/// What the first rule says that matches; none if none does.
pub(crate) fn judge(rules: &[Rule], seen: &Seen<'_>) -> Option<Ruling> {
    rules.iter().find(|rule| rule.matches(seen)).map(|rule| rule.ruling(seen))
}

impl Facts {
    /// What a refusal says by the rules of the dialect, and where none of them matches, by its status.
    #[must_use]
    pub fn judge(&self, answer: &Answer<'_>) -> Ruling {
        let seen = Seen::new(answer, self);
        judge(&self.rules, &seen)
            .or_else(|| judge(common::rules(), &seen))
            // An error event that says no more than that it is one.
            .unwrap_or_else(|| Ruling::new(Verdict::Transient, "body/error").inferred())
    }
}

impl Rule {
    fn matches(&self, seen: &Seen<'_>) -> bool {
        let known = seen.status.is_some() || self.conditions.iter().any(Condition::is_evidence);
        known && self.conditions.iter().all(|condition| condition.holds(seen))
    }

    fn ruling(&self, seen: &Seen<'_>) -> Ruling {
        let wait = |usual: &[Wait]| {
            let waits = if self.waits.is_empty() { usual } else { &self.waits };
            waits.iter().find_map(|wait| wait.find(seen))
        };
        let retry_after = [Wait::retry_after()];
        let verdict = match self.says {
            Says::RateLimited => Verdict::RateLimited { retry_after: wait(&seen.facts.waits) },
            Says::QuotaExhausted => Verdict::QuotaExhausted { retry_after: wait(&retry_after) },
            Says::Overloaded => Verdict::Overloaded { retry_after: wait(&retry_after) },
            Says::KeyRejected => Verdict::KeyRejected,
            Says::PermissionRefused => Verdict::PermissionRefused,
            Says::TooLarge => {
                let size = self.size.as_deref();
                Verdict::TooLarge { limit: size.and_then(|words| seen.number_after(words)) }
            }
            Says::Transient => Verdict::Transient,
            Says::CallerFault => Verdict::CallerFault,
        };
        let usual = match self.says {
            Says::RateLimited => Place::from(seen.facts.limits.scope()),
            _ => verdict.usual_place(),
        };
        let place = self.place.unwrap_or(usual);
        let blame = match self.says {
            // A header names the limit.
            Says::RateLimited if seen.is_used_up() => Blame::Told,
            _ => self.blame,
        };
        Ruling { verdict, place, blame, rule: self.name.clone() }
    }
}
