//! Why a key was last refused.

use std::sync::Arc;

use crate::{Verdict, engine::time::Time};

/// The last refusal of a key.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) verdict: Verdict,
    pub(crate) rule: Arc<str>,
    pub(crate) at: Time,
}

impl Refusal {
    /// Stores a refusal and returns its rule. A rule that fires repeatedly is not allocated again.
    pub(crate) fn note(
        last: &mut Option<Box<Self>>,
        now: Time,
        verdict: Verdict,
        rule: &str,
    ) -> Arc<str> {
        let known = last.as_ref().map(|last| &last.rule).filter(|known| ***known == *rule);
        let rule = known.map_or_else(|| Arc::from(rule), Arc::clone);
        *last = Some(Box::new(Self { verdict, rule: Arc::clone(&rule), at: now }));
        rule
    }
}
