//! Pools in which no request has to wait.

use http::{HeaderMap, StatusCode};
use tower_key_rotation::{Account, ApiKey, Demand, KeyPool, Limit, OpenAi, Verdict};

/// One key per account, each account with a limit far above the load.
pub(crate) fn pool(keys: usize) -> KeyPool {
    let account = |key| {
        Account::new(format!("org-{key}"))
            .limit(Limit::requests(1_000_000_000_000).per_minute())
            .key(ApiKey::new(secret(key)))
    };
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    (0..keys).map(account).fold(pool, |pool, account| pool.account(account)).build().unwrap()
}

/// The same, with all accounts except this many out of quota for at least five minutes.
pub(crate) fn cooling(keys: usize, left: usize) -> KeyPool {
    let pool = pool(keys);
    for _ in left..keys {
        let mut lease = pool.try_acquire(&Demand::new()).unwrap();
        let no_money = br#"{"error":{"type":"insufficient_quota"}}"#;
        let verdict =
            lease.observe(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), no_money).verdict;
        assert!(matches!(verdict, Verdict::QuotaExhausted { .. }));
    }
    pool
}

pub(crate) fn secret(key: usize) -> String {
    format!("sk-not-a-real-key-{key:0>30}")
}
