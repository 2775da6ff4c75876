//! What one request asks of the engine.

use std::sync::Arc;

use crate::{
    engine::{
        ids::{AccountIx, BudgetIx, KeyIx, LaneIx, OpIx, TenantIx},
        time::{SECOND, Time},
    },
    limit::Metered,
    provider::Billing,
};

/// How much of each metered thing one request takes. At most 2^40 of each, so that the sum over a
/// line of a million requests does not overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// In nano-dollars.
    pub(crate) spend: u64,
}

impl Cost {
    pub(crate) fn of(&self, metered: Metered) -> u64 {
        match metered {
            Metered::Requests | Metered::Concurrent => 1,
            Metered::InputTokens => self.input,
            Metered::OutputTokens => self.output,
            Metered::Spend => self.spend,
            Metered::Tokens => self.tokens(),
        }
    }

    /// The size of the request in tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The smallest demand of each kind that it has, one by one, after an empty one. They show
    /// whether an account is spent or only has too little left for this request.
    pub(crate) fn least(&self) -> impl Iterator<Item = Self> + use<> {
        let none = Self::default();
        let input = Some(Self { input: 1, ..none }).filter(|_| self.input > 0);
        let output = Some(Self { output: 1, ..none }).filter(|_| self.output > 0);
        let spend = Some(Self { spend: 1, ..none }).filter(|_| self.spend > 0);
        [Some(none), input, output, spend].into_iter().flatten()
    }

    /// The kinds of cost that it has, one bit each.
    pub(crate) fn kinds(&self) -> u8 {
        let bit = |amount: u64| u8::from(amount > 0);
        bit(self.input) | bit(self.output) << 1 | bit(self.spend) << 2
    }
}

/// One request to admit.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
    /// Whether it generates something; every key may do that.
    pub(crate) generates: bool,
    pub(crate) tenant: TenantIx,
    /// The tag that its usage is booked under.
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) budget: Option<BudgetIx>,
    /// Whether money is limited and its price is unknown.
    pub(crate) is_unpriced: bool,
    pub(crate) bond: Option<Bond>,
    pub(crate) cost: Cost,
    /// The estimated part of the cost.
    pub(crate) prior: Prior,
    /// Its rank in the line; the lowest is served first. See [`rank`].
    pub(crate) rank: Time,
    /// The end of its wait.
    pub(crate) deadline: Time,
    /// When the answer must be complete, if the caller says so.
    pub(crate) answer_by: Option<Time>,
    pub(crate) excluded: Vec<KeyIx>,
    /// Accounts that refused it for its rate without a hint.
    pub(crate) refused_by: Vec<AccountIx>,
    pub(crate) among: Among,
    /// How earlier attempts were refused.
    pub(crate) before: Before,
}

/// What became of a request's earlier attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// An account refused it for its rate. It returns to its place in the line and waits until its
    /// deadline.
    pub(crate) is_limited: bool,
    /// Several accounts refused it for its rate without a hint. Other requests go first, and
    /// further refusals of this kind prove nothing.
    pub(crate) is_suspect: bool,
    /// An account refused it for its size. Accounts that are known to take no such request are left
    /// out.
    pub(crate) is_too_large: bool,
}

/// The keys that a request may use, beside those it excludes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Among {
    #[default]
    All,
    /// Only this key.
    One(KeyIx),
    /// Only a key that does not exist.
    None,
}

impl Ask {
    /// Whether a further refusal for rate may be about the request itself: one account refused it
    /// already.
    pub(in crate::engine) fn is_doubtful(&self) -> bool {
        !self.refused_by.is_empty()
    }

    /// By how many nanoseconds it lets others probe first.
    pub(in crate::engine) fn later(&self) -> u64 {
        if self.refused_by.is_empty() { 0 } else { AFTER_OTHERS }
    }

    /// Whether the request itself allows a key.
    pub(in crate::engine) fn allows(&self, key: KeyIx) -> bool {
        let is_among = match self.among {
            Among::All => true,
            Among::One(only) => only == key,
            Among::None => false,
        };
        is_among && !self.excluded.contains(&key)
    }
}

/// How long other requests go first if a request was refused before: it may be at fault itself.
const AFTER_OTHERS: u64 = SECOND;

/// One step of priority is worth this much waiting time.
const HEAD_START: u64 = 10 * SECOND;

/// The rank in the line: the time when the request first asked, moved by its priority. A request
/// that fails over keeps its place. A priority is worth a limited wait, so no request starves.
pub(crate) fn rank(since: Time, priority: i8) -> Time {
    let steps = (i64::from(i8::MAX) - i64::from(priority)).unsigned_abs();
    since.plus(steps * HEAD_START)
}

/// How the tokens of a request were estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prior {
    /// The estimate for the prompt, by its size; `None` if the caller counted the tokens.
    pub(crate) input: Option<u64>,
    /// Whether the provider counts the cap of the answer when the request arrives.
    pub(crate) cap_counts: bool,
    /// What is charged for it once it is answered.
    pub(crate) billing: Billing,
}

/// The prompt of a request, and the account that has its beginning cached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bond {
    pub(in crate::engine) hash: u64,
    pub(in crate::engine) account: Option<AccountIx>,
    /// Until when the request waits for that account although others have room.
    pub(crate) patient_until: Time,
}
