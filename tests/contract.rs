//! The contract of a Tower middleware: readiness, clones, errors, cancel safety, and the life of the lease.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Channel, Full, StreamBody};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::{
    Account, ApiKey, Demand, Exhausted, KeyPool, KeyRotation, KeyRotationLayer, Limit, OpenAi,
    snapshot::Snapshot,
};

type Body = Full<Bytes>;

fn pool(limits: impl IntoIterator<Item = Limit>) -> KeyPool {
    let account = Account::new("org-a").key(ApiKey::new("sk-secret").id("a1"));
    let account = limits.into_iter().fold(account, Account::limit);
    KeyPool::builder(OpenAi::default()).account(account).build().unwrap()
}

fn request() -> Request<Body> {
    Request::get("https://api.openai.com/v1/models").body(Body::default()).unwrap()
}

fn in_flight(snapshot: &Snapshot) -> u64 {
    snapshot.accounts[0].in_flight
}

/// A service that checks that the value which is called was polled ready.
#[derive(Debug, Default)]
struct Probe {
    ready: bool,
    clones: Arc<AtomicUsize>,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { ready: false, clones: Arc::clone(&self.clones) }
    }
}

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(
            std::mem::replace(&mut self.ready, false),
            "called without having been polled ready"
        );
        ready(Ok(Response::new(Body::from("ok"))))
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_that_was_polled_ready_is_called_and_cloned_only_to_wait() {
    let probe = Probe::default();
    let clones = Arc::clone(&probe.clones);
    let pool = pool([Limit::requests(60).per_minute().burst(1)]);
    let mut service = KeyRotationLayer::new(&pool).layer(probe);

    service.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(clones.load(Ordering::Relaxed), 0, "the fast path cloned the inner service");
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), 200, "after a second in the queue");
    assert!(clones.load(Ordering::Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_holds_no_permit_of_the_inner_service() {
    let pool = pool([Limit::requests(60).per_minute().burst(1)]);
    let inner = tower::limit::ConcurrencyLimit::new(Probe::default(), 1);
    let mut service = KeyRotation::new(inner, &pool);
    let first = service.ready().await.unwrap().call(request());
    first.await.unwrap();
    let mut waiting = task::spawn(service.ready().await.unwrap().call(request()));
    assert_pending!(waiting.poll());
    // Another clone of the inner service gets the permit while the request waits.
    let mut other = service.get_ref().clone();
    other.ready().await.unwrap().call(request()).await.unwrap();
    drop(other);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(waiting.is_woken());
    assert_ready!(waiting.poll()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn poll_ready_fails_with_the_inner_services_error_only() {
    #[derive(Clone)]
    struct Broken;
    impl Service<Request<Body>> for Broken {
        type Response = Response<Body>;
        type Error = &'static str;
        type Future = Ready<Result<Response<Body>, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            ready(Err("broken"))
        }
    }
    let spent = pool([Limit::requests(60).per_minute().burst(1)]);
    let _lease = spent.try_acquire(&Demand::new()).unwrap();
    let mut service = KeyRotation::new(Probe::default(), &spent);
    assert!(service.ready().await.is_ok(), "a pool without room is no error");
    let mut service = KeyRotation::new(Broken, &spent);
    assert_eq!(service.ready().await.err(), Some("broken"));
}

#[tokio::test(start_paused = true)]
async fn an_inner_error_while_readying_gives_the_lease_back() {
    #[derive(Clone)]
    struct BreaksLater(Arc<AtomicUsize>);
    impl Service<Request<Body>> for BreaksLater {
        type Response = Response<Body>;
        type Error = &'static str;
        type Future = Ready<Result<Response<Body>, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err("broken")),
            }
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            panic!("called after poll_ready failed")
        }
    }
    let pool = pool([Limit::concurrent(1), Limit::requests(60).per_minute().burst(2)]);
    let lease = pool.try_acquire(&Demand::new()).unwrap();
    let mut service = KeyRotation::new(BreaksLater(Arc::default()), &pool);
    let mut call = task::spawn(service.ready().await.unwrap().call(request()));
    assert_pending!(call.poll());
    drop(lease);
    assert!(call.is_woken());
    assert_eq!(assert_ready!(call.poll()).err(), Some("broken"));
    let snapshot = pool.snapshot();
    assert_eq!((in_flight(&snapshot), snapshot.accounts[0].served), (0, 0));
}

/// Drops the future of a request after each number of polls: it must not hold anything afterwards.
#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_point_leaks_nothing() {
    for polls in 0..4 {
        let pool = pool([Limit::concurrent(1)]);
        let lease = pool.try_acquire(&Demand::new()).unwrap();
        let inner = tower::service_fn(|_: Request<Body>| async {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Response::new(Body::from("ok")))
        });
        let mut service = KeyRotation::new(inner, &pool);
        let mut call = task::spawn(service.ready().await.unwrap().call(request()));
        let mut next = task::spawn(service.ready().await.unwrap().call(request()));
        for poll in 0..polls {
            let _ = call.poll();
            if poll == 0 {
                assert_pending!(next.poll());
            }
        }
        drop(lease);
        drop(call);
        let mut done = false;
        for _ in 0..3 {
            done |= next.poll().is_ready();
        }
        assert!(done, "after {polls} polls: the next request was not served");
        drop(next);
        let snapshot = pool.snapshot();
        assert_eq!((in_flight(&snapshot), snapshot.waiting), (0, 0), "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_as_long_as_the_body() {
    let pool = pool([Limit::concurrent(1)]);
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let body = body.lock().unwrap().take().unwrap();
        ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let mut service = KeyRotation::new(inner, &pool);
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    let mut body = response.into_body();
    sender.send_data(Bytes::from("event")).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "event");
    assert!(pool.try_acquire(&Demand::new()).is_err(), "freed in the middle of the stream");
    drop(sender);
    assert!(body.frame().await.is_none());
    assert!(pool.try_acquire(&Demand::new()).is_ok(), "not freed at the end");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_known_length_frees_the_lease_without_a_poll_for_its_end() {
    let pool = pool([Limit::concurrent(1)]);
    let mut service = KeyRotation::new(Probe::default(), &pool);
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(2), "the length is passed on");
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    assert!(pool.try_acquire(&Demand::new()).is_ok(), "held until the body is dropped");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_body_and_a_failed_one_free_the_lease() {
    let pool = pool([Limit::concurrent(1)]);
    let inner = tower::service_fn(|_: Request<Body>| {
        let frames = [Ok(http_body::Frame::data(Bytes::from("x"))), Err("cut")];
        ready(Ok::<_, Infallible>(Response::new(StreamBody::new(tokio_stream::iter(frames)))))
    });
    let mut service = KeyRotation::new(inner, &pool);
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    drop(response);
    let response = service.ready().await.unwrap().call(request()).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.frame().await.unwrap().err(), Some("cut"), "the error is passed on");
    assert!(pool.try_acquire(&Demand::new()).is_ok());
}

/// The body of a refusal reaches the caller byte for byte, for each length and each size of its pieces.
#[tokio::test(start_paused = true)]
async fn a_refusals_body_is_passed_on_byte_for_byte() {
    for length in [0usize, 1, 65_535, 65_536, 65_537, 1_000_000] {
        for chunk in [1_000, 65_536, 1_000_000] {
            let whole: Bytes = (0..length).map(|i| (i % 251) as u8).collect();
            let sent = whole.clone();
            let inner = tower::service_fn(move |_: Request<Body>| {
                let frames: Vec<_> = sent
                    .chunks(chunk)
                    .map(|chunk| {
                        Ok::<_, Infallible>(http_body::Frame::data(Bytes::copy_from_slice(chunk)))
                    })
                    .collect();
                let body = StreamBody::new(tokio_stream::iter(frames));
                ready(Ok::<_, Infallible>(Response::builder().status(400).body(body).unwrap()))
            });
            let service = KeyRotation::new(inner, &pool([]));
            let response = service.oneshot(request()).await.unwrap();
            assert_eq!(response.status(), 400);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), whole);
        }
    }
}

/// A refusal whose body stalls is judged by the part that has come. The rest is passed on when it comes.
#[tokio::test(start_paused = true)]
async fn a_stalled_refusal_is_passed_on_after_two_seconds() {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let inner = tower::service_fn(move |_: Request<Body>| {
        let body = body.lock().unwrap().take().unwrap();
        ready(Ok::<_, Infallible>(Response::builder().status(500).body(body).unwrap()))
    });
    sender.send_data(Bytes::from("begin")).await.unwrap();
    let service = KeyRotation::new(inner, &pool([]));
    let began = tokio::time::Instant::now();
    let response = service.oneshot(request()).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(3));
    sender.send_data(Bytes::from(" end")).await.unwrap();
    drop(sender);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "begin end");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_send_can_be_wrapped() {
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let inner = tower::service_fn(move |_: Request<Rc<str>>| {
        counted.set(counted.get() + 1);
        ready(Ok::<_, Rc<str>>(Response::new(Body::default())))
    });
    let service = KeyRotation::new(inner, &pool([]));
    let request = Request::get("https://api.openai.com/").body(Rc::from("x")).unwrap();
    service.oneshot(request).await.unwrap();
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_send_and_sync_service_stays_so_when_it_is_wrapped() {
    fn is<T: Send + Sync + Clone + 'static>() {}
    is::<KeyPool>();
    is::<KeyRotation<Probe>>();
    is::<KeyRotationLayer>();
    is::<tower_key_rotation::ReplayBodyLayer>();
    is::<tower_key_rotation::RotationStack>();
    is::<tower_key_rotation::QuotaAwareRetry>();
    is::<tower_key_rotation::Trail>();
    fn sends<T: Send>() {}
    sends::<<KeyRotation<Probe> as Service<Request<Body>>>::Future>();
    sends::<tower_key_rotation::Lease>();
    fn syncs<T: Sync + Send + Unpin>() {}
    syncs::<tower_key_rotation::ReplayBody>();
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_pool_answers_and_does_not_fail() {
    let pool = KeyPool::builder(OpenAi::default())
        .account(
            Account::new("a").limit(Limit::requests(1).per_hour()).key(ApiKey::new("sk-secret")),
        )
        .build()
        .unwrap();
    let _lease = pool.try_acquire(&Demand::new()).map(|mut lease| {
        lease.apply(&mut request()).unwrap();
        lease
    });
    let service = KeyRotation::new(Probe::default(), &pool);
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 429);
    let exhausted = response.extensions().get::<Exhausted>().unwrap().clone();
    assert_eq!(response.headers()["retry-after"].to_str().unwrap(), "3601", "rounded up");
    assert_eq!(exhausted.retry_after_secs(), Some(3601));
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("3601 s"), "{error}");
}
