//! The largest request that an account takes of a model, as its refusals tell.

use crate::engine::{
    ask::Cost,
    room::Room,
    standing::{Cause, Standing},
    time::Time,
};

/// Requests of more tokens than this rest; smaller ones never notice.
#[derive(Clone, Debug)]
pub(crate) struct Largest {
    tokens: u64,
    standing: Standing,
}

impl Largest {
    /// A request was refused for its size. The provider may have said what it takes at most, but it
    /// counts in tokens of its own: what was refused is too large in any case.
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
        // A rest that is over says nothing any more; one that lasts is lowered, and not raised.
        let is_over = this.standing.until() <= now;
        this.tokens = if is_over { tokens } else { this.tokens.min(tokens) };
        this.standing.cool(now, sent, None, cause, rng).then(|| this.standing.until())
    }

    /// A request was accepted: whether it was larger than was thought possible.
    pub(crate) fn is_refuted_by(&self, cost: &Cost) -> bool {
        cost.tokens() > self.tokens
    }

    pub(crate) fn room(&self, cost: &Cost) -> Room {
        let is_larger = cost.tokens() > self.tokens;
        Room::At(if is_larger { self.standing.until() } else { Time::ZERO })
    }

    /// The most tokens, as long as that is known.
    pub(crate) fn tokens(&self, now: Time) -> Option<u64> {
        (self.standing.until() > now).then_some(self.tokens)
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }
}
