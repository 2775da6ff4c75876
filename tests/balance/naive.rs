//! Known failures of tower's balancer with parts that know nothing of keys, and the same situations with
//! this crate.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, poll_fn, ready},
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use http::{Request, Response};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_test::{assert_ready, task};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    discover::{Change, ServiceList},
    load::{CompleteOnResponse, Constant, PeakEwma},
    retry::Policy,
    util::rng::HasherRng,
};
use tower_key_rotation::{Exhausted, KeyBalance, QuotaAwareRetry, balance::KeyEndpoints};

use super::servers::{Body, Server, Servers, keys, offer, request};

const REQUESTS: usize = 1_000;

/// Puts the key and host of an endpoint into each request.
fn with_key(id: &str) -> impl Fn(Request<Body>) -> Request<Body> + Clone + use<> {
    let id = id.to_owned();
    move |mut request| {
        let key = format!("Bearer {}", super::servers::secret(&id));
        request.headers_mut().insert("authorization", key.parse().unwrap());
        *request.uri_mut() = format!("https://{id}.test/base/v1").parse().unwrap();
        request
    }
}

/// A first attempt at a balancer: balance by latency, and retry once.
fn by_latency(
    servers: &Servers,
    number: usize,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = tower::BoxError, Future: Send>
+ Clone
+ Send
+ use<> {
    let endpoints = (1..=number).map(|i| {
        let id = format!("k{i}");
        let server = Server::new(servers, &id).map_request(with_key(&id));
        let (rtt, decay) = (Duration::from_millis(100), Duration::from_secs(10));
        PeakEwma::new(server, rtt, 1e6 * decay.as_millis() as f64, CompleteOnResponse::default())
    });
    let rng = HasherRng::with_hasher(Seeded(7));
    let balance = Balance::from_rng(ServiceList::new(endpoints.collect::<Vec<_>>()), rng);
    ServiceBuilder::new().retry(Once(1)).buffer(1_024).service(balance)
}

#[derive(Clone)]
struct Once(u32);

impl<E> Policy<Request<Body>, Response<Body>, E> for Once {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, E>,
    ) -> Option<Ready<()>> {
        let refused = result.as_ref().is_ok_and(|response| response.status() == 429);
        self.0 = self.0.checked_sub(1).filter(|_| refused)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[derive(Clone)]
struct Seeded(u64);

impl std::hash::BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// The first server refuses fast. The others answer slowly, with a 200.
fn one_refuses(number: usize) -> Servers {
    let servers = Servers::default();
    servers.set("k1", 429, 30);
    (2..=number).for_each(|i| servers.set(&format!("k{i}"), 200, 800));
    servers
}

#[tokio::test(start_paused = true)]
async fn a_retry_by_latency_returns_to_the_refusing_key() {
    let servers = one_refuses(2);
    let refused = offer(by_latency(&servers, 2), REQUESTS).await;
    assert!(refused > REQUESTS * 9 / 10, "{refused} of {REQUESTS} are refused");
}

#[tokio::test(start_paused = true)]
async fn a_retry_over_endpoints_goes_to_another_key() {
    for number in [2, 3, 5, 10] {
        let servers = one_refuses(number);
        let pool = keys(number).learn_limits(false).build().unwrap();
        let client = servers.clone();
        let balance = KeyBalance::new(&pool, move |key| client.client(key));
        let stack = ServiceBuilder::new().retry(QuotaAwareRetry::new(&pool)).service(balance);
        assert_eq!(offer(stack, REQUESTS).await, 0, "of {number} keys");
        assert_eq!(servers.strays(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_over_towers_balance_of_endpoints_goes_to_another_key() {
    for number in [2, 3, 5, 10] {
        let servers = one_refuses(number);
        let pool = keys(number).learn_limits(false).build().unwrap();
        let client = servers.clone();
        let endpoints = KeyEndpoints::new(&pool, move |key| client.client(key));
        let balance = Balance::from_rng(endpoints, HasherRng::with_hasher(Seeded(7)));
        let retry = QuotaAwareRetry::new(&pool);
        let stack = ServiceBuilder::new().retry(retry).buffer(1_024).service(balance);
        assert_eq!(offer(stack, REQUESTS).await, 0, "of {number} keys");
        assert_eq!(servers.strays(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_balance_by_latency_prefers_a_key_that_refuses_fast() {
    let servers = one_refuses(5);
    offer(by_latency(&servers, 5), REQUESTS).await;
    let (refusing, all) = (servers.seen("k1"), (1..=5).map(|i| servers.seen(&format!("k{i}"))));
    let all: u64 = all.sum();
    assert!(refusing * 100 > 30 * all, "it got {refusing} of {all}");
}

#[tokio::test(start_paused = true)]
async fn a_balance_of_keys_avoids_a_key_that_refuses_fast() {
    let servers = one_refuses(5);
    let pool = keys(5).learn_limits(false).build().unwrap();
    let client = servers.clone();
    let balance = KeyBalance::new(&pool, move |key| client.client(key));
    let stack = ServiceBuilder::new().retry(QuotaAwareRetry::new(&pool)).service(balance);
    offer(stack, REQUESTS).await;
    // Three before the first refusal arrives, and one probe after each cooldown of 1, 2, 4 and 8 s.
    let refusing = servers.seen("k1");
    assert!(refusing <= 10, "it got {refusing}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_tower_balance_is_never_ready() {
    let none: Vec<Constant<Server, u32>> = Vec::new();
    let balance = Balance::new(ServiceList::new(none));
    let hour = Duration::from_secs(3_600);
    assert!(timeout(hour, balance.oneshot(request())).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_balance_whose_keys_are_all_disabled_answers() {
    let servers = Servers::default();
    let pool = keys(1).build().unwrap();
    assert!(pool.disable("k1"));
    let client = servers.clone();
    let balance = KeyBalance::new(&pool, move |key| client.client(key));
    let second = Duration::from_secs(1);
    let response = timeout(second, balance.oneshot(request())).await.unwrap().unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.extensions().get::<Exhausted>().is_some());
}

/// A `Discover` whose changes come from a test.
#[derive(Clone, Default)]
struct Changes(Arc<Mutex<VecDeque<Numbers>>>);

type Numbers = Change<u32, Constant<Numbered, u32>>;

impl Changes {
    fn insert(&self, number: u32, load: u32) {
        let change = Change::Insert(number, Constant::new(Numbered(number), load));
        self.0.lock().unwrap().push_back(change);
    }
}

impl Stream for Changes {
    type Item = Result<Numbers, Infallible>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.0
            .lock()
            .unwrap()
            .pop_front()
            .map_or(Poll::Pending, |change| Poll::Ready(Some(Ok(change))))
    }
}

#[derive(Debug)]
struct Numbered(u32);

impl Service<()> for Numbered {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

/// tower's `Balance` keeps an index of a ready endpoint between two polls. Meanwhile another endpoint may
/// have moved to that index (<https://github.com/tower-rs/tower/issues/856>).
#[tokio::test]
async fn a_removal_leaves_towers_balance_with_the_index_of_another_endpoint() {
    let mut wrong = 0;
    for seed in 0..64 {
        let changes = Changes::default();
        // Loads of 1, 1 and 10.
        [(1, 1), (2, 1), (0, 10)]
            .into_iter()
            .for_each(|(number, load)| changes.insert(number, load));
        let rng = HasherRng::with_hasher(Seeded(seed));
        let mut balance = Balance::from_rng(changes.clone(), rng);
        let mut polled = task::spawn(poll_fn(|cx| Service::<()>::poll_ready(&mut balance, cx)));
        assert_ready!(polled.poll()).unwrap();
        drop(polled);
        // The highly loaded endpoint is never chosen, unless it moves to another's index.
        changes.0.lock().unwrap().push_back(Change::Remove(1));
        let mut polled = task::spawn(poll_fn(|cx| Service::<()>::poll_ready(&mut balance, cx)));
        assert_ready!(polled.poll()).unwrap();
        drop(polled);
        wrong += u32::from(balance.call(()).await.unwrap() == 0);
    }
    assert!(wrong > 0);
}
