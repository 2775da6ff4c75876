//! All keys of a pool are replaced one by one while requests continue.

use std::time::Duration;

use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt};
use tower_key_rotation::{Account, KeyBalance, Limit, QuotaAwareRetry, pool::KeyInfo};

use super::servers::{Servers, key, keys, offer, request};

const KEYS: usize = 100;

/// Each new key has a new server, and is used before the old key is removed.
#[tokio::test(start_paused = true)]
async fn replacing_a_hundred_keys_one_by_one_fails_no_request() {
    let servers = Servers::default();
    let pool = keys(KEYS).build().unwrap();
    let made = servers.clone();
    let balance = KeyBalance::new(&pool, move |info: &KeyInfo| made.client(info));
    let stack = ServiceBuilder::new().retry(QuotaAwareRetry::new(&pool)).service(balance);
    let load = tokio::spawn(offer(stack.clone(), 4_000));
    let mut gone = Vec::new();
    for i in 1..=KEYS {
        sleep(Duration::from_millis(300)).await;
        let (old, new) = (format!("k{i}"), format!("n{i}"));
        pool.insert(Account::new(&new).limit(Limit::requests(600).per_minute()).key(key(&new)))
            .unwrap();
        pool.remove_account(&old).unwrap().await;
        // Now the old key can be revoked, and its server switched off.
        servers.set(&old, 401, 0);
        gone.push((servers.seen(&old), old));
    }
    assert_eq!(load.await.unwrap(), 0, "requests without a 200");
    for (seen, old) in gone {
        assert_eq!(servers.seen(&old), seen, "{old} got a request after it was drained");
        assert!(seen > 0, "{old} was never used");
    }
    assert!((1..=KEYS).all(|i| servers.seen(&format!("n{i}")) > 0));
    assert_eq!(servers.strays(), 0);
    stack.clone().oneshot(request()).await.unwrap();
    assert_eq!(servers.clients(), KEYS, "each present key has one service");
}
