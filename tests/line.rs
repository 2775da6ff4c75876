//! The queue of a pool.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio_test::task::{self, Spawn};
use tower_key_rotation::{
    Account, ApiKey, Demand, KeyPool, Limit, OpenAi,
    pool::{Acquire, Reason},
};

fn pool(limits: impl IntoIterator<Item = Limit>) -> KeyPool {
    let account = Account::new("org-a").key(ApiKey::new("sk-secret").id("a1"));
    let account = limits.into_iter().fold(account, Account::limit);
    let builder = KeyPool::builder(OpenAi::default()).account(account);
    builder.max_queued(100_000).max_wait(Duration::from_secs(36_000)).build().unwrap()
}

fn waiters(pool: &KeyPool, number: usize) -> Vec<Spawn<Pin<Box<Acquire>>>> {
    let wait = |_| {
        let mut waiter = task::spawn(Box::pin(pool.acquire(&Demand::new())));
        assert!(waiter.poll().is_pending());
        waiter
    };
    (0..number).map(wait).collect()
}

#[tokio::test(start_paused = true)]
async fn one_freed_slot_wakes_one_waiter() {
    let pool = pool([Limit::concurrent(1)]);
    let mut lease = Some(pool.try_acquire(&Demand::new()).unwrap());
    let mut waiters = waiters(&pool, 1_000);
    for next in 0..waiters.len() {
        let before = waiters.iter().filter(|waiter| waiter.is_woken()).count();
        assert!(before <= 1, "{before} were woken before a slot was freed");
        drop(lease.take());
        assert!(waiters[next].is_woken(), "the oldest was not woken");
        let woken = waiters.iter().filter(|waiter| waiter.is_woken()).count();
        assert!(
            woken <= 2,
            "{woken} were woken for one slot; only the next waiter and the one with the timer should be"
        );
        match waiters[next].poll() {
            std::task::Poll::Ready(granted) => lease = Some(granted.unwrap()),
            std::task::Poll::Pending => panic!("woken without a result"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_ten_thousand_waiters_is_polled_three_times_at_most() {
    let pool = pool([Limit::requests(600_000).per_minute().burst(1)]);
    let polls = Arc::new(AtomicUsize::new(0));
    let served = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..10_000)
        .map(|i| {
            let (polls, served) = (Arc::clone(&polls), Arc::clone(&served));
            let mut acquire = Box::pin(pool.acquire(&Demand::new()));
            tokio::spawn(async move {
                let lease = std::future::poll_fn(|cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    acquire.as_mut().poll(cx)
                });
                let mut lease = lease.await.unwrap();
                lease.observe(http::StatusCode::OK, &http::HeaderMap::new(), b"");
                served.lock().unwrap().push(i);
                // The request counts as sent, so its charge stays.
                let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
                lease.apply(&mut request).unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 30_000, "{polls} polls for 10,000 waiters");
    let served = served.lock().unwrap();
    assert!(served.is_sorted(), "the order of arrival was not kept");
}

#[tokio::test(start_paused = true)]
async fn a_drop_of_most_waiters_forgets_no_other() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let pool = pool([Limit::requests(6_000).per_minute().burst(1), Limit::concurrent(3)]);
        let held: Vec<_> = (0..3).filter_map(|_| pool.try_acquire(&Demand::new()).ok()).collect();
        let mut waiters = waiters(&pool, 1_000);
        rng.shuffle(&mut waiters);
        let kept = waiters.split_off(900);
        for waiter in waiters {
            drop(waiter);
        }
        drop(held);
        let mut left: Vec<_> = kept.into_iter().map(Some).collect();
        for _ in 0..3_000 {
            for slot in &mut left {
                if slot.as_ref().is_some_and(|waiter| waiter.is_woken())
                    && slot.as_mut().unwrap().poll().is_ready()
                {
                    *slot = None;
                }
            }
            left.retain(Option::is_some);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(left.is_empty(), "seed {seed}: {} waiters were forgotten", left.len());
        let snapshot = pool.snapshot();
        assert_eq!((snapshot.waiting, snapshot.accounts[0].in_flight), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_refused_at_its_deadline() {
    let pool = pool([Limit::concurrent(1)]);
    let _lease = pool.try_acquire(&Demand::new()).unwrap();
    let began = tokio::time::Instant::now();
    let demand = Demand::new().deadline(began + Duration::from_secs(3));
    let exhausted = pool.acquire(&demand).await.unwrap_err();
    assert_eq!(exhausted.reason(), Reason::Busy);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(pool.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_again_delays_others_only_briefly() {
    let pool = pool([Limit::requests(60).per_minute().burst(1)]);
    let taken = pool.try_acquire(&Demand::new()).map(|mut lease| {
        let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
        lease.apply(&mut request).unwrap();
    });
    taken.unwrap();
    let stuck = waiters(&pool, 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    // It got a grant and never took it. The next waiter is served nevertheless.
    let began = tokio::time::Instant::now();
    drop(pool.acquire(&Demand::new()).await.unwrap());
    assert!(began.elapsed() <= Duration::from_secs(2));
    drop(stuck);
    assert_eq!(pool.snapshot().accounts[0].in_flight, 0);
}
