//! What a rule concludes.

use std::borrow::Cow;

use crate::{
    Verdict,
    verdict::{Blame, Place},
};

/// A verdict, about which place it is, how well that is proven, and the name of the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ruling {
    /// What the response says.
    pub verdict: Verdict,
    /// The narrowest place about which its words prove something.
    pub place: Place,
    /// Whether it names what is wrong, or it was concluded from little more than the status.
    pub blame: Blame,
    /// Why: the rule's name, such as `openai/insufficient-quota`.
    pub rule: Cow<'static, str>,
}

impl Ruling {
    /// A verdict and its reason, at the usual place of the verdict, [told](Blame::Told) by the response.
    #[must_use]
    pub fn new(verdict: Verdict, rule: impl Into<Cow<'static, str>>) -> Self {
        let (place, blame) = (verdict.usual_place(), Blame::Told);
        Self { verdict, place, blame, rule: rule.into() }
    }

    /// The same at another place.
    #[must_use]
    pub fn of(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The same, but inferred from little more than the status.
    #[must_use]
    pub fn inferred(mut self) -> Self {
        self.blame = Blame::Inferred;
        self
    }

    /// Whether the request itself could be at fault: before a key is blamed, the same request should be
    /// tried with another key.
    #[must_use]
    pub fn needs_second_opinion(&self) -> bool {
        self.verdict.needs_contrast()
    }

    /// For what was not refused.
    pub(crate) fn accepted() -> Self {
        Self::new(Verdict::Accepted, "accepted")
    }

    /// For a stream that ended without content: about this request alone.
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
