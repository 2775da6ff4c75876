//! Rules: what a refusal looks like, and what it says.
//!
//! A dialect has a list of [`Rule`]s. The first that matches a response gives the verdict, and its
//! name is told together with it ([`Ruling`]), so that nobody has to guess why a key was benched. A
//! user's own rules go before the dialect's:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_key_rotation::{ApiKey, KeyPool, OpenAi, Place};
//! # use tower_key_rotation::provider::{Match, Rule, Wait};
//! let pool = KeyPool::builder(OpenAi::default())
//!     .key(ApiKey::new("sk-not-a-real-key"))
//!     // A proxy of ours refuses with 403 what is too much.
//!     .rule(
//!         Rule::rate_limited("our-proxy/busy")
//!             .status(403)
//!             .header("x-our-proxy", Match::Present)
//!             .json("/reason", Match::is(["busy", "later"]))
//!             .place(Place::Account)
//!             .wait(Wait::json("/seconds"))
//!             .wait(Wait::after(Duration::from_secs(5))),
//!     )
//!     .build()?;
//! # Ok::<(), tower_key_rotation::BuildError>(())
//! ```
//!
//! # What is compared
//!
//! A status of 400 or above is the response's own. One below says nothing of a failure: the body is
//! then an error event in the midst of a 200, and a status that it tells itself (`"code": 429`)
//! counts in its place. Where it tells none, every status fits, if the rule has something else to go
//! by.
//!
//! Bodies are unpacked first (gzip, deflate, brotli), up to 64 KiB. In JSON, an array around the whole
//! is taken off, as on Gemini's OpenAI-compatible path.

mod common;
mod condition;
mod judge;
mod wait;

use std::{borrow::Cow, ops::RangeInclusive};

use http::HeaderName;

use self::condition::Condition;
pub(crate) use self::judge::{Seen, judge};
pub use self::{
    condition::Match,
    wait::{Wait, WaitError},
};
use crate::verdict::{Blame, Place, Verdict};

/// A verdict, about which place it is, how well that is proven, and the name of the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ruling {
    /// What the response says.
    pub verdict: Verdict,
    /// The narrowest place that its words prove something of.
    pub place: Place,
    /// Whether it names what is wrong, or it was concluded from little more than the status.
    pub blame: Blame,
    /// Why: the rule's name, such as `openai/insufficient-quota`.
    pub rule: Cow<'static, str>,
}

impl Ruling {
    /// A verdict and its reason, about the place that such a verdict is usually about, and told.
    #[must_use]
    pub fn new(verdict: Verdict, rule: impl Into<Cow<'static, str>>) -> Self {
        let (place, blame) = (verdict.usual_place(), Blame::Told);
        Self { verdict, place, blame, rule: rule.into() }
    }

    /// The same about another place.
    #[must_use]
    pub fn of(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The same, but concluded and not told.
    #[must_use]
    pub fn inferred(mut self) -> Self {
        self.blame = Blame::Inferred;
        self
    }

    /// Whether the request could as well be at fault itself: before a key is blamed, the same request is
    /// to be shown to another one.
    #[must_use]
    pub fn needs_second_opinion(&self) -> bool {
        self.verdict.needs_contrast()
    }

    /// For what was not refused.
    pub(crate) fn accepted() -> Self {
        Self::new(Verdict::Accepted, "accepted")
    }

    /// For a stream that ended before anything came that anybody waits for: about this request alone.
    pub(crate) fn empty() -> Self {
        Self::new(Verdict::Transient, Self::EMPTY).of(Place::Operation).inferred()
    }

    /// The name of that rule.
    pub(crate) const EMPTY: &'static str = "empty-stream";

    /// For what was sent, and whose caller broke off the body.
    pub(crate) fn broken_off() -> Self {
        Self::new(Verdict::CallerFault, "body-broken-off")
    }

    /// For what was sent, and failed without a response.
    pub(crate) fn unanswered() -> Self {
        Self::new(Verdict::Transient, "no-answer").inferred()
    }
}

/// What a refusal looks like, and what it says. See the [module](self).
///
/// A rule begins with its verdict and its name, which should be short and never change, such as
/// `openai/insufficient-quota`. It matches when all its conditions do; one without conditions
/// matches every refusal.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rule {
    name: Cow<'static, str>,
    says: Says,
    /// The usual one of the verdict, or of the dialect, where it is not said.
    place: Option<Place>,
    blame: Blame,
    /// Of the dialect, where there are none.
    waits: Vec<Wait>,
    conditions: Vec<Condition>,
    /// What stands before the largest size.
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

    /// If the headers tell that something is used up (nothing is left of a limit).
    pub fn used_up(mut self) -> Self {
        self.conditions.push(Condition::UsedUp);
        self
    }

    /// The narrowest place that its words prove something of.
    pub fn place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether the response names what is wrong, as it does by default, or it is concluded from little more
    /// than the status. What is only concluded leaves no request without a key. A refusal for its rate
    /// whose headers tell that a limit is used up is told in any case.
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
    /// counts. Without any, limits are looked for as the dialect does, and else `retry-after` alone.
    /// It matters to limits, quotas and overloads only.
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
    fn is_about_a_key(&self) -> bool {
        matches!(self.says, Says::KeyRejected | Says::PermissionRefused)
    }

    fn report(&mut self, problem: std::fmt::Arguments<'_>) {
        self.problem.get_or_insert_with(|| problem.to_string());
    }
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

/// One or more statuses, or ranges of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl From<u16> for Statuses {
    fn from(status: u16) -> Self {
        Self(vec![status..=status])
    }
}

impl From<RangeInclusive<u16>> for Statuses {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self(vec![range])
    }
}

impl<const N: usize> From<[u16; N]> for Statuses {
    fn from(statuses: [u16; N]) -> Self {
        statuses.into_iter().map(|status| status..=status).collect()
    }
}

impl FromIterator<RangeInclusive<u16>> for Statuses {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}
