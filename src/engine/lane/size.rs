//! The largest request of a model that an account takes, learned from its refusals.

use crate::engine::{
    ask::Cost,
    room::Room,
    standing::{Cause, Standing},
    time::Time,
};

/// Larger requests than this rest; smaller ones are not affected.
#[derive(Clone, Debug)]
pub(crate) struct Largest {
    tokens: u64,
    standing: Standing,
}

impl Largest {
    /// A request was refused for its size. The provider may report the maximum, but counts in its
    /// own tokens; the refused size is too large in any case.
    pub(crate) fn refused(
        largest: &mut Option<Box<Self>>,
        now: Time,
        (sent, cost): (Time, &Cost),
        told: Option<u64>,
        cause: &Cause,
        rng: &mut fastrand::Rng,
    ) -> Option<Time> {
        let refused = cost.tokens();
        let tokens = told.unwrap_or(u64::MAX).min(refused.checked_sub(1)?);
        let new = || Box::new(Self { tokens, standing: Standing::default() });
        let this = largest.get_or_insert_with(new);
        // A rest that is over proves nothing any more. During a rest the size may fall, and does
        // not rise.
        let is_over = this.standing.until() <= now;
        this.tokens = if is_over { tokens } else { this.tokens.min(tokens) };
        this.standing.cool(now, sent, None, cause, rng).then(|| this.standing.until())
    }

    /// Whether an accepted request is larger than the known maximum.
    pub(crate) fn is_refuted_by(&self, cost: &Cost) -> bool {
        cost.tokens() > self.tokens
    }

    pub(crate) fn room(&self, cost: &Cost) -> Room {
        let is_larger = cost.tokens() > self.tokens;
        Room::At(if is_larger { self.standing.until() } else { Time::ZERO })
    }

    /// The maximum in tokens, while it is known.
    pub(crate) fn tokens(&self, now: Time) -> Option<u64> {
        (self.standing.until() > now).then_some(self.tokens)
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }
}
