//! What a sandbox has seen, counted by key, by account and in total.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    KeyId,
    sandbox::directory::{Directory, KeyIndex},
};

/// What a sandbox has seen, at one moment; see [`Sandbox::stats`](crate::sandbox::Sandbox::stats).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    total: Counts,
    refused_connections: u64,
    accounts: BTreeMap<String, Counts>,
    keys: BTreeMap<KeyId, Counts>,
}

impl Stats {
    /// All requests together.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.total
    }

    /// How many connections were refused. No other count includes them.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.refused_connections
    }

    /// The requests of one account; all counts are 0 if there is no such account.
    #[must_use]
    pub fn account(&self, name: &str) -> Counts {
        self.accounts.get(name).copied().unwrap_or_default()
    }

    /// The requests of one key, such as `org-a-1`; all counts are 0 if there is no such key.
    #[must_use]
    pub fn key(&self, id: &str) -> Counts {
        self.keys.get(id).copied().unwrap_or_default()
    }

    /// All accounts, ordered by name.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.accounts.iter().map(|(name, counts)| (name.as_str(), *counts))
    }

    /// All keys, ordered by id.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, Counts)> {
        self.keys.iter().map(|(id, counts)| (id, *counts))
    }
}

/// Counts of one key, one account, or the whole sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that arrived. Requests without a known key count only in the total.
    pub requests: u64,
    /// Requests that got an answer and no refusal.
    pub accepted: u64,
    /// Requests refused because a limit had no room, or by
    /// [`Fault::rate_limit`](crate::sandbox::Fault::rate_limit).
    pub rate_limited: u64,
    /// Requests refused for their key: no key, several keys, an unknown or revoked key, or any key
    /// during [`Fault::auth_outage`](crate::sandbox::Fault::auth_outage).
    pub rejected: u64,
    /// Requests refused for any other reason.
    pub errors: u64,
    /// Tokens in the prompts of accepted requests.
    pub prompt_tokens: u64,
    /// Of the prompt tokens, those read from the account's prompt cache.
    pub cache_read_tokens: u64,
    /// Of the prompt tokens, those written to the cache, where the provider reports them.
    pub cache_write_tokens: u64,
    /// Tokens of answers, as far as the answers were generated.
    pub answer_tokens: u64,
    /// Answers that were generated to their end, streamed or not.
    pub finished: u64,
    /// Of the prompt tokens, those of finished requests.
    pub finished_prompt_tokens: u64,
    /// Of the answer tokens, those of finished requests.
    pub finished_answer_tokens: u64,
    /// Streams that started.
    pub streams_started: u64,
    /// Streams whose last event was generated.
    pub streams_finished: u64,
    /// Streams that ended early: by a fault, or because the client stopped reading.
    pub streams_cut: u64,
    /// Events generated in streams.
    pub events: u64,
    /// Accepted requests whose answer has not ended yet.
    pub in_flight: u64,
    /// The highest value that `in_flight` has had.
    pub max_in_flight: u64,
}

/// One request that arrived with a known key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival {
    /// When it arrived: time since the sandbox was built.
    pub at: Duration,
    /// The key that it used.
    pub key: KeyId,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// How many arrivals each account keeps.
const MAX_ARRIVALS: usize = 100_000;

/// Counts while the sandbox runs.
pub(super) struct Recorder {
    total: Counts,
    pub(super) refused_connections: u64,
    accounts: Vec<Counts>,
    keys: Vec<Counts>,
    arrivals: Vec<Vec<Arrival>>,
}

impl Recorder {
    pub(super) fn new(directory: &Directory) -> Self {
        Self {
            total: Counts::default(),
            refused_connections: 0,
            accounts: vec![Counts::default(); directory.accounts.len()],
            keys: vec![Counts::default(); directory.keys.len()],
            arrivals: vec![Vec::new(); directory.accounts.len()],
        }
    }

    /// Makes the same change to the counts of the key, of its account, and to the total.
    pub(super) fn count(&mut self, key: Option<KeyIndex>, change: impl Fn(&mut Counts)) {
        change(&mut self.total);
        let Some(index) = key else { return };
        self.accounts.get_mut(index.account).map(&change);
        self.keys.get_mut(index.key).map(&change);
    }

    pub(super) fn arrived(&mut self, account: usize, arrival: Arrival) {
        if let Some(arrivals) = self.arrivals.get_mut(account)
            && arrivals.len() < MAX_ARRIVALS
        {
            arrivals.push(arrival);
        }
    }

    pub(super) fn arrivals(&self, account: usize) -> Vec<Arrival> {
        self.arrivals.get(account).cloned().unwrap_or_default()
    }

    pub(super) fn stats(&self, directory: &Directory) -> Stats {
        let accounts = directory.accounts.iter().zip(&self.accounts);
        let keys = directory.keys.iter().zip(&self.keys);
        Stats {
            total: self.total,
            refused_connections: self.refused_connections,
            accounts: accounts.map(|(entry, counts)| (entry.name.to_string(), *counts)).collect(),
            keys: keys.map(|(entry, counts)| (entry.id.clone(), *counts)).collect(),
        }
    }
}
