//! Pools in which nobody ever has to wait.

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use tower_key_rotation::{Account, ApiKey, Demand, KeyPool, Limit, OpenAi, Verdict};

/// One key per account, each account with a limit far above what is measured.
pub(crate) fn pool(keys: usize) -> KeyPool {
    let account = |key| {
        Account::new(format!("org-{key}"))
            .limit(Limit::requests(1_000_000_000_000).per_minute())
            .key(ApiKey::new(secret(key)))
    };
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    (0..keys).map(account).fold(pool, |pool, account| pool.account(account)).build().unwrap()
}

/// The same, with all but so many of its accounts cooling for an hour.
pub(crate) fn cooling(keys: usize, left: usize) -> KeyPool {
    let pool = pool(keys);
    let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("3600"))]);
    for _ in left..keys {
        let mut lease = pool.try_acquire(&Demand::new()).unwrap();
        let verdict = lease.observe(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
        assert!(matches!(verdict, Verdict::RateLimited { .. }));
    }
    pool
}

pub(crate) fn secret(key: usize) -> String {
    format!("sk-not-a-real-key-{key:0>30}")
}
