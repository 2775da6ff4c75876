//! An endpoint is ready exactly when its key could take a request.

use std::{future::poll_fn, task::Poll, time::Duration};

use http::Request;
use tokio::time::advance;
use tokio_stream::StreamExt;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Service, ServiceExt, discover::Change, load::Load};
use tower_key_rotation::{
    Account, Demand, Exhausted, KeyId, KeyPool, Limit, OpenAi,
    balance::{KeyEndpoint, KeyEndpoints},
    pool::Reason,
};

use super::servers::{Body, Server, Servers, keys, request};

type Endpoint = KeyEndpoint<Server>;

/// The endpoints of a pool.
fn endpoints(pool: &KeyPool, servers: &Servers) -> Vec<Endpoint> {
    let client = servers.clone();
    let mut discover = KeyEndpoints::new(pool, move |info| client.client(info));
    let mut endpoints = Vec::new();
    let mut next = || task::spawn(discover.next()).poll();
    while let Poll::Ready(Some(Ok(Change::Insert(_, endpoint)))) = next() {
        endpoints.push(endpoint);
    }
    endpoints
}

/// A task that waits until an endpoint is ready.
macro_rules! readying {
    ($endpoint:expr) => {
        task::spawn(poll_fn(|cx| Service::<Request<Body>>::poll_ready(&mut $endpoint, cx)))
    };
}

fn limited(limit: Limit) -> (KeyPool, Servers) {
    let account = Account::new("org").limit(limit);
    let account = account.key(super::servers::key("k1"));
    let pool = KeyPool::builder(OpenAi::default());
    (pool.account(account).build().unwrap(), Servers::default())
}

fn in_flight(pool: &KeyPool) -> u64 {
    pool.snapshot().accounts.iter().map(|account| account.in_flight).sum()
}

#[tokio::test(start_paused = true)]
async fn with_much_room_a_ready_endpoint_reserves_nothing() {
    let (pool, servers) = limited(Limit::concurrent(100));
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    assert_ready_ok!(readying!(endpoint).poll());
    assert_eq!(in_flight(&pool), 0);
}

#[tokio::test(start_paused = true)]
async fn with_little_room_only_as_many_endpoints_are_ready_as_can_be_served() {
    let (pool, servers) = limited(Limit::concurrent(2));
    let mut first = endpoints(&pool, &servers).remove(0);
    let (mut second, mut third) = (first.clone(), first.clone());
    assert_ready_ok!(readying!(first).poll());
    assert_ready_ok!(readying!(second).poll());
    let mut waiting = readying!(third);
    assert_pending!(waiting.poll());
    assert_eq!(in_flight(&pool), 2);

    // The drop of a ready endpoint frees its reservation and wakes a waiting endpoint.
    drop(second);
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
    let call = first.call(request());
    assert_eq!(in_flight(&pool), 2, "the call took its reservation, and no more");
    assert_eq!(call.await.unwrap().status(), 200);
    assert_eq!(in_flight(&pool), 1);
}

#[tokio::test(start_paused = true)]
async fn an_actual_request_takes_the_reservation_of_a_ready_endpoint() {
    let (pool, servers) = limited(Limit::concurrent(1));
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    assert_ready_ok!(readying!(endpoint).poll());

    // Another user of the same pool.
    let lease = pool.try_acquire(&Demand::new()).unwrap();
    let mut waiting = readying!(endpoint);
    assert_pending!(waiting.poll());
    drop(lease);
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
    drop(waiting);

    let mut line = task::spawn(pool.acquire(&Demand::new()));
    drop(assert_ready!(line.poll()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_unready_before_its_response_is_seen_and_one_probe_reopens_it() {
    let servers = Servers::default();
    servers.set("k1", 429, 10);
    let pool = keys(1).learn_limits(false).build().unwrap();
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    assert_ready_ok!(readying!(endpoint).poll());
    // A second endpoint is ready too, and is not polled for now.
    let mut other = endpoint.clone();
    assert_ready_ok!(readying!(other).poll());
    assert_eq!(endpoint.call(request()).await.unwrap().status(), 429);

    let mut waiting = readying!(endpoint);
    assert_pending!(waiting.poll());
    drop(waiting);
    let (mut first, mut second) = (endpoint.clone(), endpoint.clone());
    // A 429 without a hint rests the key for one second, plus up to a quarter.
    let mut polls = 0;
    {
        let mut waiting = readying!(endpoint);
        while waiting.poll().is_pending() {
            polls += 1;
            assert!(polls <= 2, "it woke without a change");
            while !waiting.is_woken() {
                advance(Duration::from_millis(50)).await;
            }
        }
    }
    // It holds the probe. No other endpoint is ready until the probe ends.
    let mut waiting = readying!(first);
    assert_pending!(waiting.poll());
    assert_pending!(readying!(second).poll());
    servers.set("k1", 200, 10);
    assert_eq!(endpoint.call(request()).await.unwrap().status(), 200);
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_room_waits_in_the_queue_for_this_key() {
    let (pool, servers) = limited(Limit::tokens(1_000).per_minute().burst(1_000));
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    let asking = |tokens| {
        let mut request = request();
        request.extensions_mut().insert(Demand::new().input_tokens(tokens).output_tokens(0));
        request
    };
    assert_ready_ok!(readying!(endpoint).poll());
    assert_eq!(endpoint.call(asking(700)).await.unwrap().status(), 200);
    assert_ready_ok!(readying!(endpoint).poll());
    let began = tokio::time::Instant::now();
    assert_eq!(endpoint.call(asking(400)).await.unwrap().status(), 200);
    assert!(began.elapsed() > Duration::from_secs(5), "it waited {:?}", began.elapsed());
    let answer = endpoint.ready().await.unwrap().call(asking(2_000)).await.unwrap();
    let exhausted = answer.extensions().get::<Exhausted>().unwrap();
    assert_eq!((answer.status().as_u16(), exhausted.reason()), (413, Reason::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn load_is_utilisation_then_requests_in_flight_and_failures_raise_it() {
    let servers = Servers::default();
    servers.set("k1", 500, 0);
    let pool = keys(3).learn_limits(false).build().unwrap();
    let mut endpoints = endpoints(&pool, &servers);
    let [failing, busy, idle] = endpoints.as_mut_slice() else { panic!() };
    let _in_flight = busy.ready().await.unwrap().call(request());
    assert!(idle.load() < busy.load());
    failing.ready().await.unwrap().call(request()).await.unwrap();
    assert!(idle.load() < failing.load());
    assert!(busy.load() < failing.load(), "a failure weighs more than a request in flight");
}

#[tokio::test(start_paused = true)]
async fn a_key_after_a_cooldown_has_the_median_load() {
    let servers = Servers::default();
    servers.set("k1", 429, 0);
    let pool = keys(5).learn_limits(false).build().unwrap();
    let mut endpoints = endpoints(&pool, &servers);
    endpoints[0].ready().await.unwrap().call(request()).await.unwrap();
    let mut in_flight = Vec::new();
    for (i, endpoint) in endpoints.iter_mut().enumerate().skip(1) {
        for _ in 0..i {
            in_flight.push(endpoint.ready().await.unwrap().call(request()));
        }
    }
    // The others have 1, 2, 3 and 4 requests in flight.
    endpoints[0].ready().await.unwrap();
    let load = endpoints[0].load();
    assert!(endpoints[1].load() < load && load < endpoints[4].load());
}

#[tokio::test]
async fn a_request_pinned_to_another_key_is_not_sent() {
    let servers = Servers::default();
    let pool = keys(2).build().unwrap();
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    let mut pinned = request();
    pinned.extensions_mut().insert(Demand::new().pinned(KeyId::new("k2")));
    let answer = endpoint.ready().await.unwrap().call(pinned).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(servers.seen("k1"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_a_removed_key_is_ready_again_when_its_id_returns() {
    let servers = Servers::default();
    let pool = keys(1).build().unwrap();
    let mut endpoint = endpoints(&pool, &servers).remove(0);
    assert!(pool.disable("k1"));
    let mut waiting = readying!(endpoint);
    assert_pending!(waiting.poll());
    pool.remove_account("k1").unwrap().await;
    assert_pending!(waiting.poll());
    pool.insert(Account::new("k1").key(super::servers::key("k1"))).unwrap();
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
}

#[tokio::test]
async fn a_rarely_polled_discover_skips_changes_that_cancel_out() {
    let (pool, servers) = (keys(2).build().unwrap(), Servers::default());
    let mut discover = KeyEndpoints::new(&pool, move |info| servers.client(info));
    let mut changes_now = || -> Vec<String> {
        let mut changes = Vec::new();
        while let Poll::Ready(Some(Ok(change))) = task::spawn(discover.next()).poll() {
            changes.push(match change {
                Change::Insert(id, _) => format!("+{id}"),
                Change::Remove(id) => format!("-{id}"),
            });
        }
        changes.sort();
        changes
    };
    assert_eq!(changes_now(), ["+k1", "+k2"]);
    assert!(changes_now().is_empty());
    let account = |server: &str| Account::new("k3").key(super::servers::key(server).id("k3"));
    for i in 0..10_000 {
        pool.insert(account(&format!("s{i}"))).unwrap();
        drop(pool.remove_account("k3").unwrap());
    }
    assert!(changes_now().is_empty(), "the key was inserted and removed");
    pool.insert(account("s1")).unwrap();
    drop(pool.remove_account("k1").unwrap());
    assert_eq!(changes_now(), ["+k3", "-k1"]);
    drop(pool.remove_account("k3").unwrap());
    pool.insert(account("s2")).unwrap();
    assert_eq!(changes_now(), ["+k3", "-k3"], "another server");
}
