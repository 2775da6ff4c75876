//! Which of the accounts with room a request is sent with.
//!
//! ```
//! use tower_key_rotation::{ApiKey, KeyPool, OpenAi, strategy::{Candidate, Look, Sequential, Strategy}};
//!
//! // The free account until it is exhausted, then the paid one.
//! let pool = KeyPool::builder(OpenAi::default())
//!     .key(ApiKey::new("sk-free").id("free"))
//!     .key(ApiKey::new("sk-paid").id("paid"))
//!     .strategy(Sequential)
//!     .build()?;
//!
//! /// The one that has served least, of four at a time.
//! #[derive(Debug)]
//! struct LeastServed;
//!
//! impl Strategy for LeastServed {
//!     fn look(&self) -> Look {
//!         Look::InTurn(4)
//!     }
//!
//!     fn load(&self, candidate: &Candidate<'_>) -> u128 {
//!         u128::from(candidate.served)
//!     }
//! }
//! # Ok::<(), tower_key_rotation::BuildError>(())
//! ```

use std::fmt;

/// Which of the accounts with room a request is sent with.
///
/// Only accounts that have room for the request, and a key that may be used for it, are looked at:
/// a strategy cannot exceed a limit, use a dead key, or wait. It is asked under the pool's lock, for
/// every request; so it must not block and should not do much.
pub trait Strategy: fmt::Debug + Send + Sync + 'static {
    /// Which accounts are looked at, and how many.
    fn look(&self) -> Look;

    /// How loaded an account is. Of those looked at, the one with the lowest load is taken, of equals
    /// the first, and one with a load of 0 at once.
    fn load(&self, candidate: &Candidate<'_>) -> u128;
}

/// Which accounts are looked at; at least one, at most 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// The next ones in turn: each comes first for as many requests as it has weight.
    InTurn(usize),
    /// The first ones in the order in which they were declared last, also for requests whose
    /// [kin](crate::pool::Affinity) are elsewhere.
    AsDeclared(usize),
}

/// An account with room for a request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Its name.
    pub account: &'a str,
    /// Its weight; at least 1.
    pub weight: u32,
    /// The spent share of what it may spend at once, of the limit that is nearest to its end, in
    /// 65,536ths.
    pub used_share: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests since the pool was built.
    pub served: u64,
}

/// The least loaded of four neighbours, by the share of their allowance that is spent, in sixteenths,
/// and then by what is under way, in powers of two, each by weight: the default. All accounts come to their limits together, so that
/// nothing is left unused, and equal ones serve the same number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headroom;

impl Strategy for Headroom {
    fn look(&self) -> Look {
        Look::InTurn(4)
    }

    fn load(&self, candidate: &Candidate<'_>) -> u128 {
        let weight = u64::from(candidate.weight.max(1));
        // Smaller differences are no reason to leave the turn.
        let share = ((candidate.used_share.min(1 << 40) >> 12) << 16) / weight;
        // In whole rounds, and only what is twice as much: else lengths would undo the turns.
        let rounds = (candidate.in_flight / weight).checked_ilog2().map_or(0, |log| log + 1);
        u128::from(share) << 64 | u128::from(rounds)
    }
}

/// One account after the other, in the order in which they were declared last: the next one only while
/// those before it have no room. For accounts that differ in price, and for prompt caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequential;

impl Strategy for Sequential {
    fn look(&self) -> Look {
        Look::AsDeclared(1)
    }

    fn load(&self, _: &Candidate<'_>) -> u128 {
        0
    }
}

/// Each account in turn, for as many requests as it has weight, whatever its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundRobin;

impl Strategy for RoundRobin {
    fn look(&self) -> Look {
        Look::InTurn(1)
    }

    fn load(&self, _: &Candidate<'_>) -> u128 {
        0
    }
}
