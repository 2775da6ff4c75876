//! Keys and accounts are added, changed and removed under load.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use support::{Client, chat, client, offer, per_minute, seconds};
use tokio::task::JoinHandle;
use tokio_test::task;
use tower_key_rotation::{
    Account, ApiKey, KeyPool, Limit, OpenAi,
    sandbox::{Dialect, Fault, Sandbox, Script},
};

const OLD: &str = "sk-old";
const NEW: &str = "sk-new";

/// This many accounts, each with an old and a new secret. The pool starts with the old ones.
fn sandbox(number: usize) -> Sandbox {
    let script = Script::new().latency(Duration::from_millis(900));
    let mut sandbox = Sandbox::builder(Dialect::OpenAi).seed(7).answer(script);
    for i in 0..number {
        let secrets = [format!("{OLD}-{i}"), format!("{NEW}-{i}")];
        let secrets = secrets.each_ref().map(String::as_str);
        sandbox = sandbox.account(format!("org-{i}"), per_minute(600), secrets);
    }
    sandbox.build()
}

fn account(i: usize, key: &str, secret: &str) -> Account {
    let key = ApiKey::new(format!("{secret}-{i}")).id(format!("{key}-{i}"));
    Account::new(format!("org-{i}")).limit(Limit::requests(600).per_minute()).key(key)
}

fn pool(accounts: impl IntoIterator<Item = Account>) -> KeyPool {
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    accounts.into_iter().fold(pool, |pool, account| pool.account(account)).build().unwrap()
}

/// Sends requests at an even rate, and returns the statuses that callers got.
fn load(client: &Client, gap: Duration, number: usize) -> JoinHandle<Vec<u16>> {
    let client = client.clone();
    tokio::spawn(async move {
        let answers = offer(&client, number, gap, |_| chat()).await;
        answers.iter().map(|answer| answer.status().as_u16()).collect()
    })
}

const KEYS: usize = 100;

/// Changes each key under load, one by one. When the old secret is drained, the provider revokes it.
async fn rotate(change: impl Fn(&KeyPool, usize) -> tower_key_rotation::pool::Drained) {
    let (sandbox, pool) = (sandbox(KEYS), pool((0..KEYS).map(|i| account(i, "old", OLD))));
    let client = client(&pool, &sandbox);
    let load = load(&client, Duration::from_millis(10), 6_000);
    let mut gone = Vec::new();
    let mut in_use = 0;
    seconds(1.0).await;
    for i in 0..KEYS {
        let mut drained = task::spawn(change(&pool, i));
        in_use += usize::from(drained.poll().is_pending());
        drained.await;
        assert!(sandbox.fail(Fault::revoke(format!("{OLD}-{i}"))));
        gone.push(sandbox.stats().key(&format!("org-{i}-1")).requests);
        seconds(0.05).await;
    }
    let statuses = load.await.unwrap();
    assert_eq!(statuses.len(), 6_000);
    assert!(statuses.iter().all(|status| *status == 200), "a caller saw an error");
    assert!(in_use > KEYS / 4, "only {in_use} keys were in use when they were changed");
    let seen = sandbox.stats();
    for (i, requests) in gone.into_iter().enumerate() {
        let (old, new) = (seen.key(&format!("org-{i}-1")), seen.key(&format!("org-{i}-2")));
        assert!(requests > 0, "{OLD}-{i} was never used");
        assert_eq!(old.requests, requests, "{OLD}-{i} was used after it was drained");
        assert_eq!(old.rejected, 0, "{OLD}-{i} was used after it was revoked");
        assert!(new.accepted > 0, "{NEW}-{i} is not used");
    }
    assert_eq!(seen.total().rate_limited, 0, "the use of limits was lost");
    assert_eq!(pool.snapshot().live_keys, KEYS);
}

#[tokio::test(start_paused = true)]
async fn all_keys_are_replaced_one_by_one_under_load_without_an_error() {
    rotate(|pool, i| {
        let key = ApiKey::new(format!("{NEW}-{i}")).id(format!("new-{i}"));
        pool.insert(Account::new(format!("org-{i}")).key(key)).unwrap();
        pool.remove(format!("old-{i}")).unwrap()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn all_secrets_are_replaced_one_by_one_under_load_without_an_error() {
    rotate(|pool, i| pool.replace_secret(format!("old-{i}"), format!("{NEW}-{i}")).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_set_of_keys_under_load_causes_no_error() {
    let (sandbox, pool) = (sandbox(KEYS), pool((0..KEYS / 2).map(|i| account(i, "old", OLD))));
    let client = client(&pool, &sandbox);
    let load = load(&client, Duration::from_millis(5), 2_000);
    for round in 0..20 {
        seconds(0.4).await;
        // Half of the keys are removed, as many are added, and the secrets of the others change.
        let first = if round % 2 == 0 { KEYS / 4 } else { 0 };
        let secret = if round % 4 < 2 { NEW } else { OLD };
        let set = (first..first + KEYS / 2).map(|i| account(i, "old", secret));
        let changes = pool.apply(set).unwrap();
        assert_eq!(changes.keys_added.len(), KEYS / 4);
        assert_eq!(changes.keys_removed.len(), KEYS / 4);
    }
    let statuses = load.await.unwrap();
    assert!(statuses.iter().all(|status| *status == 200), "a caller saw an error");
    assert_eq!(sandbox.stats().total().rate_limited, 0, "the use of limits was lost");
    assert_eq!(pool.snapshot().accounts.iter().map(|account| account.in_flight).sum::<u64>(), 0);
}
