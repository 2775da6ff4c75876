//! The simulated scenarios.

use std::time::Duration;

use tower_key_rotation::Limit;

const MINUTE: Duration = Duration::from_secs(60);
/// The load in the busiest minutes.
const NEAR: u64 = 5_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) accounts: usize,
    /// The limits of all accounts together.
    pub(crate) tokens_a_minute: Option<u64>,
    pub(crate) conversations_a_second: f64,
    /// The time during which conversations start.
    pub(crate) time: Duration,
    /// Whether keys are revoked and accounts cool down during the run.
    pub(crate) faults: bool,
}

/// A dialect and its prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

/// The price of a token of each kind, in nano-dollars.
pub(crate) struct Prices {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
}

impl Dialect {
    pub(crate) fn model(self) -> &'static str {
        match self {
            Self::OpenAi => "gpt-4.1",
            Self::Anthropic => "claude-sonnet-4-5",
        }
    }

    /// From the price lists of both providers, November 2025. OpenAI does not charge for cache writes.
    pub(crate) fn prices(self) -> Prices {
        match self {
            Self::OpenAi => {
                Prices { input: 2_000, cache_read: 500, cache_write: 2_000, output: 8_000 }
            }
            Self::Anthropic => {
                Prices { input: 3_000, cache_read: 300, cache_write: 3_750, output: 15_000 }
            }
        }
    }
}

/// How a request finds its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Affinity,
    Headroom,
    RoundRobin,
    /// One account that has all limits: the best possible cache hits.
    Ideal,
}

impl Way {
    pub(crate) const ALL: [Self; 4] =
        [Self::Affinity, Self::Headroom, Self::RoundRobin, Self::Ideal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Affinity => "pool, as it is by default",
            Self::Headroom => "pool without affinity",
            Self::RoundRobin => "round robin",
            Self::Ideal => "one account with all limits",
        }
    }
}

impl Scenario {
    pub(crate) fn all(short: bool) -> Vec<Self> {
        let minutes = if short { 20 } else { 60 };
        let usual = Self {
            name: "",
            dialect: Dialect::OpenAi,
            accounts: 8,
            tokens_a_minute: None,
            conversations_a_second: 0.4,
            time: minutes * MINUTE,
            faults: false,
        };
        vec![
            Self { name: "OpenAI, no limits", ..usual.clone() },
            Self { name: "Anthropic, no limits", dialect: Dialect::Anthropic, ..usual.clone() },
            Self {
                name: "OpenAI, near the limits",
                tokens_a_minute: Some(NEAR),
                conversations_a_second: 2.0,
                time: usual.time / 2,
                ..usual.clone()
            },
            Self { name: "OpenAI, a key dies, two accounts cool down", faults: true, ..usual },
        ]
    }

    /// The limits of an account.
    pub(crate) fn limits(&self, accounts: usize) -> Option<Limit> {
        let all = self.tokens_a_minute?;
        Some(Limit::tokens(all / accounts as u64).per_minute())
    }
}
