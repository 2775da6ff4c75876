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
//! // A strategy is tested without a pool.
//! let (mut busy, idle) = (Candidate::new("org-a"), Candidate::new("org-b"));
//! busy.served = 7;
//! assert!(LeastServed.load(&busy) > LeastServed.load(&idle));
//! # Ok::<(), tower_key_rotation::BuildError>(())
//! ```
//!
//! One that is chosen at run time is a `Box<dyn Strategy>` or an `Arc<dyn Strategy>`: both are strategies
//! themselves.

use std::{fmt, sync::Arc};

/// Which of the accounts with room a request is sent with.
///
/// The pool offers only accounts that have room for the request, and a key that may be used for it: a
/// strategy cannot exceed a limit, use a dead key, or wait. The pool calls it under its lock for every
/// request, so it must not block and should do little.
pub trait Strategy: fmt::Debug + Send + Sync + 'static {
    /// Which accounts are compared, and how many.
    fn look(&self) -> Look;

    /// How loaded an account is. The request goes to the account with the lowest load, among equal ones
    /// to the first. An account with a load of 0 is taken without looking further.
    fn load(&self, candidate: &Candidate<'_>) -> u128;
}

impl<T: Strategy + ?Sized> Strategy for Box<T> {
    fn look(&self) -> Look {
        (**self).look()
    }

    fn load(&self, candidate: &Candidate<'_>) -> u128 {
        (**self).load(candidate)
    }
}

impl<T: Strategy + ?Sized> Strategy for Arc<T> {
    fn look(&self) -> Look {
        (**self).look()
    }

    fn load(&self, candidate: &Candidate<'_>) -> u128 {
        (**self).load(candidate)
    }
}

/// Which accounts are compared; at least one, at most 16.
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
    /// How much of its tightest limit is used, in 65,536ths: whole numbers are compared faster.
    pub(crate) used: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests since the pool was built.
    pub served: u64,
}

impl<'a> Candidate<'a> {
    /// An idle account of weight 1. To test your own strategy: set further fields as needed.
    #[must_use]
    pub fn new(account: &'a str) -> Self {
        Self { account, weight: 1, used: 0, in_flight: 0, served: 0 }
    }

    /// The same with so much of its tightest limit used: 0.0 to 1.0, and above 1.0 when it is in debt.
    #[must_use]
    pub fn with_used_share(self, used_share: f64) -> Self {
        Self { used: (used_share.max(0.0) * 65_536.0) as u64, ..self }
    }

    /// How much of its tightest limit is used: 0.0 to 1.0, and above 1.0 when it is in debt.
    #[must_use]
    pub fn used_share(&self) -> f64 {
        self.used as f64 / 65_536.0
    }
}

/// The least loaded of four neighbours: the default.
///
/// Accounts are compared by how much of their tightest limit is used, in sixteenths, and then by their
/// requests under way, in powers of two, both divided by their weight. So all accounts reach their limits
/// together and no quota is left unused, and equal accounts serve the same number of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its name is its only value")]
pub struct Headroom;

impl Strategy for Headroom {
    fn look(&self) -> Look {
        Look::InTurn(4)
    }

    fn load(&self, candidate: &Candidate<'_>) -> u128 {
        /// Accounts with more debt than this are equally loaded.
        const MAX_USED: u64 = 1 << 40;
        let weight = u64::from(candidate.weight.max(1));
        // In sixteenths: smaller differences are no reason to leave the turn.
        let sixteenths = candidate.used.min(MAX_USED) >> 12;
        let share = (sixteenths << 16) / weight;
        // In whole rounds, in powers of two: finer differences, which come from the lengths of
        // answers, would undo the turns.
        let rounds = (candidate.in_flight / weight).checked_ilog2().map_or(0, |log| log + 1);
        u128::from(share) << 64 | u128::from(rounds)
    }
}

/// One account after the other, in the order in which they were declared last: the next one only while
/// those before it have no room. For accounts that differ in price, and for prompt caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its name is its only value")]
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
#[expect(clippy::exhaustive_structs, reason = "its name is its only value")]
pub struct RoundRobin;

impl Strategy for RoundRobin {
    fn look(&self) -> Look {
        Look::InTurn(1)
    }

    fn load(&self, _: &Candidate<'_>) -> u128 {
        0
    }
}
