//! Building an engine from what a user declared.

use jiff::Timestamp;

use crate::{Account as Declared, KeyId, Limit};

use super::{
    AccountIx, Engine, KeyIx,
    account::{Account, Failures, Key},
    alike::Alike,
    lanes::Lanes,
    meter::Meter,
    snapshot::Counters,
    standing::Standing,
};

impl Engine {
    /// An engine over accounts that have been checked. `ids` has the id of each key, in order;
    /// `wall` is the time of day at the beginning.
    pub(crate) fn new(
        declared: &[Declared],
        ids: &[KeyId],
        longest_line: usize,
        seed: u64,
        wall: Timestamp,
    ) -> Self {
        let meters = |limits: &[Limit]| -> Vec<_> {
            limits.iter().map(|limit| Meter::new(limit.clone(), wall)).collect()
        };
        let mut keys = Vec::with_capacity(ids.len());
        let mut ids = ids.iter();
        let accounts: Vec<_> = declared
            .iter()
            .enumerate()
            .map(|(index, account)| {
                let first = keys.len();
                keys.extend(account.keys.iter().zip(ids.by_ref()).map(|(key, id)| Key {
                    id: id.clone(),
                    account: AccountIx::new(index),
                    weight: key.weight,
                    meters: meters(&key.limits),
                    alive: true,
                    served: 0,
                    in_flight: 0,
                }));
                Account {
                    name: account.name.clone(),
                    weight: account.weight,
                    meters: meters(&account.limits),
                    keys: (first..keys.len()).map(KeyIx::new).collect(),
                    standing: Standing::default(),
                    failures: Failures::default(),
                    served: 0,
                    in_flight: 0,
                }
            })
            .collect();
        // Pools of many processes begin with different accounts.
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            lanes: Lanes::new(&accounts, rng.usize(..accounts.len().max(1))),
            accounts,
            live_keys: keys.len(),
            keys,
            provider: Standing::default(),
            alike: Alike::default(),
            longest_line,
            waiting: 0,
            rng,
            events: Vec::new(),
            counters: Counters::default(),
        }
    }
}
