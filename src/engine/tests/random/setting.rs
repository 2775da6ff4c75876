//! The accounts, keys and limits of a run, and the habits of its callers.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    Account, ApiKey, Limit,
    strategy::{Headroom, RoundRobin, Sequential, Strategy},
};

const MODELS: [Option<&str>; 4] = [Some("alpha-1"), None, Some("alpha-2"), Some("beta")];
const TENANTS: [Option<&str>; 3] = [None, Some("a"), Some("b")];
const PATTERNS: [&str; 4] = ["alpha*", "beta", "*", "alpha-1"];
/// A full hour, and nights in which clocks change in Los Angeles.
const WALLS: [&str; 4] = [
    "2026-01-01T10:00:00Z",
    "2026-03-08T07:30:11Z",
    "2026-10-31T23:59:30.5Z",
    "2026-06-30T18:29:59.999Z",
];

pub(super) struct Setting {
    pub(super) accounts: Vec<Account>,
    pub(super) models: Vec<Option<&'static str>>,
    pub(super) wall: Timestamp,
    pub(super) max_queued: usize,
    /// The tenants of requests.
    pub(super) tenants: &'static [Option<&'static str>],
    pub(super) strategy: Arc<dyn Strategy>,
    /// The size of demands, in tokens.
    pub(super) tokens: u64,
    /// Whether every demand has tokens of both kinds.
    pub(super) alike: bool,
    pub(super) patience: u64,
    /// Of a hundred verdicts, how many are refusals, and of these, how many are failures without a
    /// cause.
    pub(super) refusals: u8,
    pub(super) failures: u8,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, models, wall, max_queued, .. } = self;
        writeln!(f, "from {wall} on; models {models:?}; at most {max_queued} in line")?;
        let limits = |limits: &[Limit]| -> Vec<_> {
            let of = |limit: &Limit| limit.model_pattern().map(|of| format!(" of {of}"));
            limits.iter().map(|l| format!("{l}{}", of(l).unwrap_or_default())).collect()
        };
        for (i, account) in accounts.iter().enumerate() {
            let keys: Vec<_> = account.keys.iter().map(|key| limits(&key.limits)).collect();
            writeln!(f, "account {i}: {:?}; its keys: {keys:?}", limits(&account.limits))?;
        }
        Ok(())
    }
}

impl Setting {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(!seed);
        let tokens = [20, 400, 5_000][rng.usize(0..3)];
        let same = rng.bool().then(|| limits(&mut rng, tokens));
        let keys_alone = rng.u8(0..3) == 0;
        let mut account = |name: usize| {
            let rng = &mut rng;
            let limits = same.clone().unwrap_or_else(|| limits(rng, tokens));
            let account = Account::new(format!("org-{name}")).weight(rng.u32(1..4));
            let account = limits.into_iter().fold(account, Account::limit);
            (0..rng.usize(1..4)).fold(account, |account, _| {
                let key = ApiKey::new("sk-x");
                account.key(match keys_alone && rng.bool() {
                    true => key.limit(limit(rng, tokens)),
                    false => key,
                })
            })
        };
        let accounts = (0..=most_accounts(seed)).map(&mut account).collect();
        let models = if rng.bool() { 1 } else { MODELS.len() };
        Self {
            accounts,
            models: MODELS[..models].to_vec(),
            wall: WALLS[rng.usize(0..WALLS.len())].parse().unwrap(),
            max_queued: if rng.u8(0..4) == 0 { 3 } else { 1_000 },
            tenants: if rng.u8(0..4) == 0 { &TENANTS } else { &TENANTS[..1] },
            strategy: match rng.u8(0..4) {
                0 => Arc::new(Sequential),
                1 => Arc::new(RoundRobin),
                _ => Arc::new(Headroom),
            },
            tokens,
            alike: rng.bool(),
            patience: 1_000_000_000 * [5, 60, 7_200][rng.usize(0..3)],
            refusals: [0, 10, 70, 90][rng.usize(0..4)],
            failures: [0, 20, 90][rng.usize(0..3)],
        }
    }
}

impl Setting {
    /// Limits for an account that is added later.
    pub(super) fn limits(&self, rng: &mut fastrand::Rng) -> Vec<Limit> {
        limits(rng, self.tokens)
    }

    /// A limit for a key.
    pub(super) fn limit(&self, rng: &mut fastrand::Rng) -> Limit {
        limit(rng, self.tokens)
    }
}

/// Mostly few, so that more requests wait.
fn most_accounts(seed: u64) -> usize {
    [0, 1, 1, 2, 3, 6][(seed % 6) as usize]
}

fn limits(rng: &mut fastrand::Rng, tokens: u64) -> Vec<Limit> {
    (0..rng.usize(0..4))
        .map(|_| match rng.u8(0..3) {
            0 => limit(rng, tokens).models(PATTERNS[rng.usize(0..PATTERNS.len())]),
            _ => limit(rng, tokens),
        })
        .collect()
}

fn limit(rng: &mut fastrand::Rng, tokens: u64) -> Limit {
    let amount = match rng.u8(0..6) {
        0 => return Limit::concurrent(rng.u64(1..4)),
        1 | 2 => Limit::requests(rng.u64(1..30)),
        3 => Limit::tokens(tokens * rng.u64(1..30)),
        4 if rng.bool() => Limit::input_tokens(tokens * rng.u64(1..30)),
        4 => Limit::output_tokens(tokens * rng.u64(1..30)),
        _ => Limit::nano_dollars(1_000_000 * tokens * rng.u64(1..30)),
    };
    let limit = match rng.u8(0..8) {
        0 => amount.per_second(),
        1..6 => amount.per_minute(),
        6 => amount.per_hour(),
        _ => amount.per_day(),
    };
    let is_daily = limit.period().as_secs() == 86_400;
    match rng.u8(0..6) {
        0 | 1 => limit,
        2 | 3 => {
            let most = limit.amount();
            limit.burst(rng.u64(1..=most))
        }
        _ if is_daily && rng.bool() => limit.in_zone("America/Los_Angeles"),
        _ => limit.fixed(),
    }
}
