//! `KeyBalance`: all endpoints of a pool as one service.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_key_rotation::{
    Account, Demand, Exhausted, KeyBalance, KeyId, KeyPool, KeyPoolBuilder, KeyRotation, KeyUsed,
    Limit, OpenAi, QuotaAwareRetry, Trail,
    pool::{KeyInfo, Reason},
};

use super::servers::{Body, Server, Servers, keys, request};

fn balance(
    pool: &KeyPool,
    servers: &Servers,
) -> KeyBalance<impl FnMut(&KeyInfo) -> Server + use<>, Server> {
    let servers = servers.clone();
    KeyBalance::new(pool, move |info| servers.client(info))
}

#[test]
fn a_balance_is_clone_send_and_sync() {
    fn is<T: Service<http::Request<Body>, Future: Send> + Clone + Send + Sync>(_: &T) {}
    let pool = keys(1).build().unwrap();
    is(&balance(&pool, &Servers::default()));
}

#[tokio::test(start_paused = true)]
async fn a_balance_has_the_setters_of_a_rotation_layer() {
    let servers = Servers::default();
    let pool = keys(1).build().unwrap();
    let balance = balance(&pool, &servers);
    let response = balance.clone().oneshot(request()).await.unwrap();
    assert!(response.extensions().get::<KeyUsed>().is_some());
    let response = balance.annotate(false).oneshot(request()).await.unwrap();
    assert!(response.extensions().get::<KeyUsed>().is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_evenly_each_with_the_key_and_host_of_its_endpoint() {
    let servers = Servers::default();
    let pool = keys(4).build().unwrap();
    let balance = balance(&pool, &servers);
    for _ in 0..400 {
        let answer = balance.clone().oneshot(request()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    for i in 1..=4 {
        assert_eq!(servers.seen(&format!("k{i}")), 100);
    }
    assert_eq!(servers.strays(), 0);
    assert!(pool.snapshot().accounts.iter().all(|account| account.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_the_host_of_its_key_whatever_host_it_names() {
    let servers = Servers::default();
    let pool = keys(2).build().unwrap();
    let balance = balance(&pool, &servers);
    for uri in ["/v1/models", "https://elsewhere.test/v1/models", "https://k1.test/base/v1/models"]
    {
        for _ in 0..2 {
            let mut request = request();
            *request.uri_mut() = uri.parse().unwrap();
            let other = "Bearer other".parse().unwrap();
            request.headers_mut().insert("authorization", other);
            assert_eq!(balance.clone().oneshot(request).await.unwrap().status(), 200);
        }
    }
    assert_eq!(servers.strays(), 0);
}

async fn is_refused_within_max_wait(pool: KeyPoolBuilder, status: u16, reason: Reason) {
    let servers = Servers::default();
    let pool = pool.max_wait(Duration::from_secs(5)).build().unwrap();
    let balance = balance(&pool, &servers);
    let _taken = pool.try_acquire(&Demand::new()).ok();
    let began = Instant::now();
    let answer =
        timeout(Duration::from_secs(6), balance.oneshot(request())).await.unwrap().unwrap();
    assert!(began.elapsed() <= Duration::from_secs(5));
    assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap());
    assert_eq!(answer.extensions().get::<Exhausted>().unwrap().reason(), reason);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"error\":"), "{body:?}");
    assert_eq!(servers.seen("k1"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_balance_answers_within_max_wait_when_all_keys_are_at_their_limits() {
    let account = |limit| {
        let account = Account::new("org").limit(limit);
        let pool = KeyPool::builder(OpenAi::default());
        pool.account(account.key(super::servers::key("k1")))
    };
    is_refused_within_max_wait(account(Limit::concurrent(1)), 429, Reason::Busy).await;
    is_refused_within_max_wait(account(Limit::requests(1).per_hour()), 429, Reason::Busy).await;
}

#[tokio::test(start_paused = true)]
async fn requests_wait_in_the_queue_of_the_pool_in_order() {
    let servers = Servers::default();
    let account = Account::new("org").limit(Limit::concurrent(1));
    let pool = KeyPool::builder(OpenAi::default());
    let pool = pool.account(account.key(super::servers::key("k1"))).build().unwrap();
    let balance = balance(&pool, &servers);
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(balance.clone().oneshot(request()))).collect();
    let began = Instant::now();
    for (i, call) in calls.into_iter().enumerate() {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        drop(answer);
        assert_eq!(began.elapsed().as_millis() / 100, i as u128 + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_uses_neither_keys_it_excludes_nor_others_than_its_pinned_key() {
    let servers = Servers::default();
    let pool = keys(3).build().unwrap();
    let balance = balance(&pool, &servers);
    for _ in 0..20 {
        let mut excluding = request();
        excluding.extensions_mut().insert(Demand::new().exclude(KeyId::new("k1")));
        balance.clone().oneshot(excluding).await.unwrap();
    }
    assert_eq!(servers.seen("k1"), 0);
    for _ in 0..20 {
        let mut pinned = request();
        pinned.extensions_mut().insert(Demand::new().pinned(KeyId::new("k1")));
        let answer = balance.clone().oneshot(pinned).await.unwrap();
        assert_eq!(answer.extensions().get::<KeyUsed>().unwrap().key.as_str(), "k1");
    }
    assert_eq!(servers.seen("k1"), 20);
    let mut unknown = request();
    unknown.extensions_mut().insert(Demand::new().pinned(KeyId::new("k9")));
    let answer = balance.clone().oneshot(unknown).await.unwrap();
    assert_eq!(answer.extensions().get::<Exhausted>().unwrap().reason(), Reason::NoKey);
}

#[tokio::test(start_paused = true)]
async fn a_retry_excludes_keys_that_were_tried() {
    let servers = Servers::default();
    servers.set("k1", 500, 1);
    let pool = keys(2).build().unwrap();
    let stack =
        ServiceBuilder::new().retry(QuotaAwareRetry::new(&pool)).service(balance(&pool, &servers));
    for _ in 0..10 {
        let mut request = request();
        let trail = Trail::new();
        request.extensions_mut().insert(trail.clone());
        assert_eq!(stack.clone().oneshot(request).await.unwrap().status(), 200);
        let keys: Vec<_> = trail.attempts().into_iter().filter_map(|attempt| attempt.key).collect();
        let mut once = keys.clone();
        once.dedup();
        assert_eq!(keys, once);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unready_endpoint_is_used_only_if_no_other_has_room() {
    let servers = Servers::default();
    servers.change("k1", |server| server.is_ready = false);
    let pool = keys(2).max_wait(Duration::from_secs(5)).build().unwrap();
    let balance = balance(&pool, &servers);
    for _ in 0..10 {
        assert_eq!(balance.clone().oneshot(request()).await.unwrap().status(), 200);
    }
    assert_eq!((servers.seen("k1"), servers.seen("k2")), (0, 10));

    servers.change("k2", |server| server.is_ready = false);
    let began = Instant::now();
    let answer = balance.clone().oneshot(request()).await.unwrap();
    assert_eq!((answer.status().as_u16(), began.elapsed().as_secs()), (429, 5));
    let accounts = pool.snapshot().accounts;
    assert!(accounts.iter().all(|account| account.in_flight == 0), "nothing is left reserved");
    assert_eq!(accounts.iter().map(|account| account.served).sum::<u64>(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_balance_and_a_rotation_share_the_limits_of_their_pool() {
    let servers = Servers::default();
    let account = |i| {
        let account = Account::new(format!("org-{i}"));
        account.limit(Limit::requests(60).per_minute()).key(super::servers::key(&format!("k{i}")))
    };
    let pool = KeyPool::builder(OpenAi::default())
        .account(account(1))
        .account(account(2))
        .max_wait(Duration::ZERO)
        .build()
        .unwrap();
    let balance = balance(&pool, &servers);
    let any = servers.clone();
    let rotation = KeyRotation::new(
        tower::service_fn(move |request: http::Request<Body>| {
            let id = request.uri().host().unwrap().strip_suffix(".test").unwrap().to_owned();
            Server::new(&any, &id).oneshot(request)
        }),
        &pool,
    );
    let mut answered = 0;
    for _ in 0..200 {
        let one = balance.clone().oneshot(request()).await.unwrap();
        let two = rotation.clone().oneshot(request()).await.unwrap();
        answered += [one.status(), two.status()].iter().filter(|status| **status == 200).count();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = servers.seen("k1") + servers.seen("k2");
    assert_eq!(answered as u64, seen);
    // Both accounts start with 5 requests and refill one each second, for about 20 s and the time of answers.
    assert!((55..=63).contains(&seen), "{seen}");
    assert_eq!(
        servers.strays(),
        0,
        "with one client for all keys, each key goes to its own host too"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_nothing_reserved() {
    let servers = Servers::default();
    let pool = keys(2).build().unwrap();
    let balance = balance(&pool, &servers);
    let unsent = balance.clone().oneshot(request());
    drop(unsent);
    let sent = timeout(Duration::from_millis(50), balance.clone().oneshot(request())).await;
    assert!(sent.is_err());
    let accounts = pool.snapshot().accounts;
    assert!(accounts.iter().all(|account| account.in_flight == 0));
}
