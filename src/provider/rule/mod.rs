//! Rules: what a refusal looks like, and what it means.

mod condition;
mod ruling;
mod seen;
mod wait;

use std::borrow::Cow;

use http::HeaderName;

use self::condition::Condition;
pub(super) use self::seen::Seen;
pub use self::{
    condition::{Match, Statuses},
    ruling::Ruling,
    wait::{Wait, WaitError},
};
use super::error_body::is_pointer;
use crate::{
    Verdict,
    verdict::{Blame, Place},
};

/// What a refusal looks like, and what it means.
///
/// A rule begins with its verdict and its name, which should be short and never change, such as
/// `openai/insufficient-quota`. It matches when all its conditions do; one without conditions
/// matches every refusal.
///
/// A dialect has a list of [`Rule`]s. The first that matches a response gives the verdict. The name of
/// the rule is reported with the verdict ([`Ruling`]), so an operator sees why a key rests. Your own
/// rules precede the dialect's:
///
/// ```
/// # use std::time::Duration;
/// # use tower_key_rotation::{ApiKey, KeyPool, OpenAi, verdict::Place};
/// # use tower_key_rotation::provider::{Match, Rule, Wait};
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key"))
///     // Our proxy refuses with 403 if it is busy.
///     .rule(
///         Rule::rate_limited("our-proxy/busy")
///             .status(403)
///             .header("x-our-proxy", Match::Present)
///             .json("/reason", Match::is(["busy", "later"]))
///             .place(Place::Account)
///             .wait(Wait::json("/seconds"))
///             .wait(Wait::after(Duration::from_secs(5))),
///     )
///     .build()?;
/// # Ok::<(), tower_key_rotation::BuildError>(())
/// ```
///
/// # What is compared
///
/// A status of 400 or above is the response's own. A status below that says nothing about a failure: the
/// body is then an error event inside a 200, and the status in it (`"code": 429`) counts. If it has none,
/// every status matches, provided that the rule has another condition.
///
/// Bodies are unpacked first (gzip, deflate and brotli, with the feature `compression`), up to 64 KiB. In JSON, an array around the whole
/// is taken off, as on Gemini's OpenAI-compatible path.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    name: Cow<'static, str>,
    says: Says,
    /// If unset, the usual place of the verdict or of the dialect.
    place: Option<Place>,
    blame: Blame,
    /// If empty, those of the dialect.
    waits: Vec<Wait>,
    conditions: Vec<Condition>,
    /// The words before the largest size.
    size: Option<Cow<'static, str>>,
    /// What is wrong with it.
    problem: Option<String>,
}

/// A verdict before its scope and wait are known.
#[derive(Clone, Copy, Debug)]
enum Says {
    RateLimited,
    QuotaExhausted,
    KeyRejected,
    PermissionRefused,
    TooLarge,
    Overloaded,
    Transient,
    CallerFault,
}

impl Rule {
    /// Says [`Verdict::RateLimited`], of what the dialect's limits are of unless another place is given.
    pub fn rate_limited(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::RateLimited)
    }

    /// Says [`Verdict::QuotaExhausted`], of the account unless another place is given.
    pub fn quota_exhausted(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::QuotaExhausted)
    }

    /// Says [`Verdict::KeyRejected`], of the key unless another place is given.
    pub fn key_rejected(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::KeyRejected)
    }

    /// Says [`Verdict::PermissionRefused`], of the key for this operation and model unless another place
    /// is given.
    pub fn permission_refused(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::PermissionRefused)
    }

    /// Says [`Verdict::TooLarge`], of the account for this model.
    pub fn too_large(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::TooLarge)
    }

    /// Says [`Verdict::Overloaded`], of the model at the provider unless another place is given.
    pub fn overloaded(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::Overloaded)
    }

    /// Says [`Verdict::Transient`].
    pub fn transient(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::Transient)
    }

    /// Says [`Verdict::CallerFault`].
    pub fn caller_fault(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, Says::CallerFault)
    }

    fn new(name: impl Into<Cow<'static, str>>, says: Says) -> Self {
        let (name, waits, conditions) = (name.into(), Vec::new(), Vec::new());
        let (place, blame) = (None, Blame::Told);
        Self { name, says, place, blame, waits, conditions, size: None, problem: None }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// If the status is this, one of these, or within a range: `429`, `[400, 403]`, `500..=599`.
    pub fn status(mut self, status: impl Into<Statuses>) -> Self {
        self.conditions.push(Condition::Status(status.into()));
        self
    }

    /// If a header is as said. Its name is case-insensitive; of a header sent several times, one value
    /// is enough.
    pub fn header(mut self, name: &str, value: Match) -> Self {
        match HeaderName::try_from(name) {
            Ok(name) => self.conditions.push(Condition::Header(name, value)),
            Err(_) => self.report(format_args!("{name:?} is no name of a header")),
        }
        self
    }

    /// If a value of a JSON body is as said: a JSON pointer
    /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) such as `/error/code`, where `*` stands
    /// for every element of an array and every member of an object. Numbers are compared as they
    /// are written.
    pub fn json(mut self, pointer: impl Into<Cow<'static, str>>, value: Match) -> Self {
        let pointer = pointer.into();
        if !is_pointer(&pointer) {
            self.report(format_args!("{pointer:?} is no JSON pointer: it begins with a slash"));
        }
        self.conditions.push(Condition::Json(pointer, value));
        self
    }

    /// If the error's `type` or `code` is one of these, wherever a dialect puts the object that
    /// describes the error.
    pub fn code<const N: usize>(mut self, codes: [&'static str; N]) -> Self {
        self.conditions.push(Condition::Code(codes.to_vec()));
        self
    }

    /// If the message contains one of these phrases, in capitals or not. The message is the error's
    /// sentence for people, or the whole body where that is plain text; a web page has none.
    pub fn says<T: Into<Cow<'static, str>>>(
        mut self,
        phrases: impl IntoIterator<Item = T>,
    ) -> Self {
        self.conditions.push(Condition::Says(phrases.into_iter().map(Into::into).collect()));
        self
    }

    /// If the message of a JSON body begins with one of these phrases, in capitals or not. To be used
    /// where the verdict costs a key: a message may repeat the caller's words, but does not begin
    /// with them.
    pub fn begins<T: Into<Cow<'static, str>>>(
        mut self,
        phrases: impl IntoIterator<Item = T>,
    ) -> Self {
        self.conditions.push(Condition::Begins(phrases.into_iter().map(Into::into).collect()));
        self
    }

    /// If the body is a web page. No dialect's refusals are: it comes from something in between.
    pub fn page(mut self) -> Self {
        self.conditions.push(Condition::Page);
        self
    }

    /// If the headers report that nothing is left of a limit.
    pub fn used_up(mut self) -> Self {
        self.conditions.push(Condition::UsedUp);
        self
    }

    /// The narrowest place about which its words prove something.
    pub fn place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether the response names what is wrong, as it does by default, or it is concluded from little more
    /// than the status. What is only concluded leaves no request without a key. A refusal for its rate
    /// whose headers report a used-up limit is always [told](Blame::Told).
    pub fn blame(mut self, blame: Blame) -> Self {
        self.blame = blame;
        self
    }

    /// What stands right before the most tokens that the account may send at once, in the message: `Limit `.
    /// It matters to [`Verdict::TooLarge`] only.
    pub fn size_after(mut self, words: impl Into<Cow<'static, str>>) -> Self {
        self.size = Some(words.into());
        self
    }

    /// Where the time to wait is found. May be called several times: the first that finds a time
    /// counts. Without any, a rate limit uses those of the dialect, and other verdicts `retry-after` alone.
    /// It matters for rate limits, quotas and overloads only.
    pub fn wait(mut self, wait: Wait) -> Self {
        if let Some(problem) = wait.problem() {
            self.report(format_args!("{problem}"));
        }
        self.waits.push(wait);
        self
    }

    /// What is wrong with it, if anything is: a header's name, a pointer, a time zone.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        if self.name.is_empty() { Some("its name is empty") } else { self.problem.as_deref() }
    }

    /// Whether it blames a key, or what a key may do.
    pub(super) fn is_about_a_key(&self) -> bool {
        matches!(self.says, Says::KeyRejected | Says::PermissionRefused)
    }

    fn report(&mut self, problem: std::fmt::Arguments<'_>) {
        self.problem.get_or_insert_with(|| problem.to_string());
    }
}

/// The ruling of the first rule that matches; `None` if none does. `waits` are those of the dialect.
pub(super) fn judge(rules: &[Rule], seen: Seen<'_>, waits: &[Wait]) -> Option<Ruling> {
    rules.iter().find(|rule| rule.matches(seen)).map(|rule| rule.ruling(seen, waits))
}

impl Rule {
    fn matches(&self, seen: Seen<'_>) -> bool {
        let is_known =
            self.conditions.iter().any(Condition::is_evidence) || seen.answer.failure().is_some();
        is_known && self.conditions.iter().all(|condition| condition.holds(seen))
    }

    fn ruling(&self, seen: Seen<'_>, waits: &[Wait]) -> Ruling {
        let wait = |usual: &[Wait]| {
            let waits = if self.waits.is_empty() { usual } else { &self.waits };
            waits.iter().find_map(|wait| wait.find(seen))
        };
        let retry_after = [Wait::retry_after()];
        let verdict = match self.says {
            Says::RateLimited => Verdict::RateLimited { retry_after: wait(waits) },
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
            Says::RateLimited => Place::from(seen.limits().scope()),
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
