//! All keys of a pool, exchanged one by one while requests go on.

use std::time::Duration;

use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt};
use tower_key_rotation::{Account, KeyBalance, KeyInfo, Limit, QuotaAwareRetry};

use super::servers::{Servers, key, keys, offer, request};

const KEYS: usize = 100;

/// Each goes to a new server with a new key and comes to be used before the old one goes.
#[tokio::test(start_paused = true)]
async fn a_hundred_keys_are_exchanged_one_by_one_and_no_caller_sees_it() {
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
        // Now the old key can be revoked, and its server be switched off.
        servers.set(&old, 401, 0);
        gone.push((servers.seen(&old), old));
    }
    assert_eq!(load.await.unwrap(), 0, "requests that were not answered with 200");
    for (seen, old) in gone {
        assert_eq!(servers.seen(&old), seen, "{old} was asked after it was drained");
        assert!(seen > 0, "{old} was never used");
    }
    assert!((1..=KEYS).all(|i| servers.seen(&format!("n{i}")) > 0));
    assert_eq!(servers.strays(), 0);
    stack.clone().oneshot(request()).await.unwrap();
    assert_eq!(servers.clients(), KEYS, "there is a service for each key that there is");
}
