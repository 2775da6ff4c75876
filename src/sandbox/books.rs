//! What has happened: counted for each key, each account, and all together.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    KeyId,
    sandbox::state::{Directory, Place},
};

/// How many arrivals of an account are remembered.
const ARRIVALS: usize = 100_000;

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Requests that arrived. Those without a known key stand only in the total.
    pub requests: u64,
    /// Requests that were answered well.
    pub accepted: u64,
    /// Requests refused for being over a limit, or because the account is cooling.
    pub rate_limited: u64,
    /// Requests refused for their key: none, several, an unknown or a revoked one, or any in
    /// an outage.
    pub rejected: u64,
    /// Requests refused for any other reason.
    pub errors: u64,
    /// Tokens in the prompts of accepted requests.
    pub prompt_tokens: u64,
    /// Of these, tokens that were read from the account's cache.
    pub cache_read_tokens: u64,
    /// Of these, tokens that were written to it, where the provider tells so.
    pub cache_write_tokens: u64,
    /// Tokens in the answers, as far as they were made.
    pub answer_tokens: u64,
    /// Requests whose answer was made to its end, streams among them.
    pub finished: u64,
    /// Of the tokens in prompts, those of finished requests.
    pub finished_prompt_tokens: u64,
    /// Of the tokens in answers, those of finished requests.
    pub finished_answer_tokens: u64,
    /// Streams that were begun.
    pub streams_begun: u64,
    /// Streams whose last event was made.
    pub streams_finished: u64,
    /// Streams that ended before: by a fault, or because nobody read on.
    pub streams_cut: u64,
    /// Events made in streams.
    pub events: u64,
    /// Accepted requests whose answer has not ended.
    pub in_flight: u64,
    /// The most there ever were at once.
    pub most_in_flight: u64,
}

/// What a sandbox has seen, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    total: Tally,
    refused_connections: u64,
    accounts: BTreeMap<String, Tally>,
    keys: BTreeMap<KeyId, Tally>,
}

impl Books {
    /// All requests together.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.total
    }

    /// Connections refused. They are in no other count.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.refused_connections
    }

    /// The requests of one account; nothing if there is no such account.
    #[must_use]
    pub fn account(&self, name: &str) -> Tally {
        self.accounts.get(name).copied().unwrap_or_default()
    }

    /// The requests with one key, such as `org-a-1`; nothing if there is no such key.
    #[must_use]
    pub fn key(&self, id: &str) -> Tally {
        self.keys.get(id).copied().unwrap_or_default()
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, Tally)> {
        self.accounts.iter().map(|(name, tally)| (name.as_str(), *tally))
    }

    /// All keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, Tally)> {
        self.keys.iter().map(|(id, tally)| (id, *tally))
    }
}

/// One request that arrived with a known key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival {
    /// When, counted from the start of the sandbox.
    pub at: Duration,
    /// With which key.
    pub key: KeyId,
    /// Whether it was answered well.
    pub accepted: bool,
}

/// The books as they are being written.
pub(super) struct Ledger {
    total: Tally,
    pub(super) refused_connections: u64,
    accounts: Vec<Tally>,
    keys: Vec<Tally>,
    arrivals: Vec<Vec<Arrival>>,
}

impl Ledger {
    pub(super) fn new(directory: &Directory) -> Self {
        Self {
            total: Tally::default(),
            refused_connections: 0,
            accounts: vec![Tally::default(); directory.accounts.len()],
            keys: vec![Tally::default(); directory.keys.len()],
            arrivals: vec![Vec::new(); directory.accounts.len()],
        }
    }

    /// Makes the same entry for the key, its account, and all together.
    pub(super) fn enter(&mut self, place: Option<Place>, entry: impl Fn(&mut Tally)) {
        entry(&mut self.total);
        let Some(place) = place else { return };
        self.accounts.get_mut(place.account).map(&entry);
        self.keys.get_mut(place.key).map(&entry);
    }

    pub(super) fn arrived(&mut self, account: usize, arrival: Arrival) {
        if let Some(arrivals) = self.arrivals.get_mut(account)
            && arrivals.len() < ARRIVALS
        {
            arrivals.push(arrival);
        }
    }

    pub(super) fn arrivals(&self, account: usize) -> Vec<Arrival> {
        self.arrivals.get(account).cloned().unwrap_or_default()
    }

    pub(super) fn books(&self, directory: &Directory) -> Books {
        let accounts = directory.accounts.iter().zip(&self.accounts);
        let keys = directory.keys.iter().zip(&self.keys);
        Books {
            total: self.total,
            refused_connections: self.refused_connections,
            accounts: accounts.map(|(entry, tally)| (entry.name.to_string(), *tally)).collect(),
            keys: keys.map(|(entry, tally)| (entry.id.clone(), *tally)).collect(),
        }
    }
}
