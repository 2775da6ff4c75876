//! What one request asks of the engine.

use std::sync::Arc;

use crate::{
    engine::{
        ids::{AccountIx, BudgetIx, KeyIx, LaneIx, OpIx, TenantIx},
        time::{SECOND, Time},
    },
    limit::Metered,
};

/// How much of each metered thing one request takes. No more than 2^40 of each: a line of a million
/// such requests does not overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Nano-dollars.
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

    /// How large it is.
    pub(crate) fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The least of each kind of cost that it has, one by one, beginning with none at all: what tells
    /// a spent account from one that merely has too little left for this request.
    pub(crate) fn least(&self) -> impl Iterator<Item = Self> + use<> {
        let none = Self::default();
        let input = Some(Self { input: 1, ..none }).filter(|_| self.input > 0);
        let output = Some(Self { output: 1, ..none }).filter(|_| self.output > 0);
        let spend = Some(Self { spend: 1, ..none }).filter(|_| self.spend > 0);
        [Some(none), input, output, spend].into_iter().flatten()
    }

    /// Which kinds of cost it has, one bit each.
    pub(crate) fn kinds(&self) -> u8 {
        let bit = |amount: u64| u8::from(amount > 0);
        bit(self.input) | bit(self.output) << 1 | bit(self.spend) << 2
    }
}

/// One request that wants to be admitted.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
    /// Whether that generates something, which every key may do.
    pub(crate) generates: bool,
    pub(crate) tenant: TenantIx,
    /// What its usage is booked under.
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) budget: Option<BudgetIx>,
    /// Whether money is limited, and nobody knows what it costs.
    pub(crate) is_unpriced: bool,
    pub(crate) bond: Option<Bond>,
    pub(crate) cost: Cost,
    /// What of the cost was a guess.
    pub(crate) prior: Prior,
    /// Its rank in the line, the lowest first; see [`rank`].
    pub(crate) rank: Time,
    /// How long it waits at most.
    pub(crate) deadline: Time,
    /// When it must have been answered, if its caller says so.
    pub(crate) answer_by: Option<Time>,
    pub(crate) excluded: Vec<KeyIx>,
    /// Accounts that have refused it for its rate, and did not say until when.
    pub(crate) refused_by: Vec<AccountIx>,
    pub(crate) among: Among,
    /// How it was refused before.
    pub(crate) before: Before,
}

/// What became of a request's earlier attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// An account refused it for its rate. It goes back to the line with its place kept, and waits for as
    /// long as its caller does.
    pub(crate) is_limited: bool,
    /// Several refused it for its rate, and did not say until when: others go first, and what more of them say
    /// so proves nothing.
    pub(crate) is_suspect: bool,
    /// An account refused it for its size. It is shown to none that is known to take no such request.
    pub(crate) is_too_large: bool,
}

/// Which keys a request may be sent with, beside those it excludes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Among {
    #[default]
    All,
    /// It is bound to this one.
    One(KeyIx),
    /// It is bound to one that there is not.
    None,
}

impl Ask {
    /// Whether another refusal for its rate may be about itself: one account has refused it already.
    pub(in crate::engine) fn is_doubtful(&self) -> bool {
        !self.refused_by.is_empty()
    }

    /// How much later than others it tries a place whose end was a guess.
    pub(in crate::engine) fn later(&self) -> u64 {
        if self.refused_by.is_empty() { 0 } else { AFTER_OTHERS }
    }

    /// Whether it may be sent with a key, as far as that is its own to say.
    pub(in crate::engine) fn allows(&self, key: KeyIx) -> bool {
        let is_among = match self.among {
            Among::All => true,
            Among::One(only) => only == key,
            Among::None => false,
        };
        is_among && !self.excluded.contains(&key)
    }
}

/// So long others go first where a request was refused before: it may be to blame itself.
const AFTER_OTHERS: u64 = SECOND;

/// What a step of priority is worth: so long a wait.
const HEAD_START: u64 = 10 * SECOND;

/// A rank in the line: when a request first asked, so that one that failed over keeps its place,
/// moved by its priority. As priority is worth a wait and no more, nobody starves.
pub(crate) fn rank(since: Time, priority: i8) -> Time {
    let steps = (i64::from(i8::MAX) - i64::from(priority)).unsigned_abs();
    since.plus(steps * HEAD_START)
}

/// How the tokens of a request are known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prior {
    /// The prompt's, by its size alone; none if its caller has counted them.
    pub(crate) input: Option<u64>,
    /// Whether what is reserved for the answer is what the provider counts when the request arrives.
    pub(crate) cap_counts: bool,
}

/// By what a request is known to those that are kin to it, and where these are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bond {
    pub(in crate::engine) hash: u64,
    pub(in crate::engine) account: Option<AccountIx>,
    /// Until when it waits for that one, if others have room.
    pub(crate) patient_until: Time,
}
