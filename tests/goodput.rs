//! The results of callers when they ask for more than the accounts allow.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use support::{accounts, ask, chat, client, offer, per_minute};
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_key_rotation::{Exhausted, Limit};

/// 200 callers offer twice the limits for two minutes. Each sends its next request when the last one was
/// answered.
#[tokio::test(start_paused = true)]
async fn at_twice_the_limits_the_provider_refuses_no_request() {
    let (sandbox, pool) = accounts(3, |_| per_minute(60));
    let (sandbox, pool) =
        (sandbox.build(), pool.max_wait(Duration::from_secs(30)).build().unwrap());
    let client = client(&pool, &sandbox);
    let end = Instant::now() + Duration::from_secs(120);

    let callers = (0..200u64).map(|caller| {
        let mut client = client.clone();
        tokio::spawn(async move {
            // Twice 3 per second over 200 callers is one request every 33 s from each caller.
            tokio::time::sleep(Duration::from_millis(caller * 1_000 / 6)).await;
            let (mut answered, mut refused) = (0, 0);
            while Instant::now() < end {
                let began = Instant::now();
                let answer = client.ready().await.unwrap().call(chat()).await.unwrap();
                match answer.status().as_u16() {
                    200 => answered += 1,
                    429 => {
                        refused += 1;
                        let after = answer.headers()["retry-after"].to_str().unwrap();
                        assert!(after.parse::<u64>().unwrap() >= 1);
                        assert!(answer.extensions().get::<Exhausted>().is_some());
                    }
                    other => panic!("a caller saw {other}"),
                }
                assert!(began.elapsed() <= Duration::from_secs(30), "waited beyond the deadline");
                tokio::time::sleep_until((began + Duration::from_millis(33_333)).min(end)).await;
            }
            (answered, refused)
        })
    });
    let mut answered = 0;
    for caller in callers.collect::<Vec<_>>() {
        answered += caller.await.unwrap().0;
    }

    let seen = sandbox.stats();
    assert_eq!(seen.total().rate_limited, 0, "the provider refused requests");
    assert_eq!(seen.total().accepted, answered, "every accepted request was answered");
    // Three accounts of 60/min allow 3 per second, plus their bursts.
    let allowed = 3 * 120;
    assert!(answered >= allowed * 99 / 100, "{answered} of {allowed} were used");
    let by_account: Vec<_> = seen.accounts().map(|(_, tally)| tally.accepted).collect();
    let (least, most) = (by_account.iter().min().unwrap(), by_account.iter().max().unwrap());
    assert!((most - least) * 100 <= *most, "unevenly spread: {by_account:?}");
}

/// The `retry-after` of a 429 of the pool is correct: a request after that time is served.
#[tokio::test(start_paused = true)]
async fn a_request_repeated_after_retry_after_is_served() {
    let (sandbox, pool) = accounts(2, |_| vec![Limit::requests(6).per_minute().burst(1)]);
    let (sandbox, pool) = (sandbox.build(), pool.max_wait(Duration::ZERO).build().unwrap());
    let client = client(&pool, &sandbox);

    for _ in 0..2 {
        assert_eq!(ask(&client, chat()).await.status(), 200);
    }
    let refused = ask(&client, chat()).await;
    assert_eq!(refused.status(), 429);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(after, 11, "6 per minute is one every 10 s, plus jitter, rounded up");

    support::seconds(after as f64 - 1.0).await;
    assert_eq!(ask(&client, chat()).await.status(), 429, "an earlier request was served");
    support::seconds(1.0).await;
    assert_eq!(ask(&client, chat()).await.status(), 200, "a request after that time was refused");
    assert_eq!(sandbox.stats().total().rate_limited, 0);
}

/// A request that cannot be served in time is refused when it comes, and does not wait first.
#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_served_in_time_is_refused_at_once() {
    let (sandbox, pool) = accounts(1, |_| vec![Limit::requests(60).per_minute().burst(1)]);
    let (sandbox, pool) =
        (sandbox.build(), pool.max_wait(Duration::from_millis(10_500)).build().unwrap());
    let client = client(&pool, &sandbox);

    let began = Instant::now();
    let answers = offer(&client, 30, Duration::ZERO, |_| chat()).await;
    let served = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(served, 11, "one at once and one a second for 10 s");
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status() == 429).collect();
    assert_eq!(refused.len(), 19);
    assert!(began.elapsed() < Duration::from_secs(11));
    for answer in refused {
        assert_eq!(answer.headers()["retry-after"], "12", "the queue is 11 s long, rounded up");
    }
    assert_eq!(sandbox.stats().total().rate_limited, 0);
}

/// A full queue refuses further requests.
#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let (sandbox, pool) = accounts(1, |_| vec![Limit::requests(60).per_minute().burst(1)]);
    let (sandbox, pool) = (sandbox.build(), pool.max_queued(3).build().unwrap());
    let client = client(&pool, &sandbox);
    let answers = offer(&client, 10, Duration::ZERO, |_| chat()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 200).count(), 1 + 3);
}

/// Token limits are reserved before a request is sent, so concurrency cannot overshoot them.
#[tokio::test(start_paused = true)]
async fn token_limits_hold_under_concurrency() {
    let limits = |_| vec![Limit::tokens(6_000).per_minute().burst(600)];
    let (sandbox, pool) = accounts(2, limits);
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let with_cap = |_| {
        let body =
            r#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}"#;
        http::Request::post(support::CHAT).body(body.to_owned()).unwrap()
    };
    let answers = offer(&client, 40, Duration::ZERO, with_cap).await;
    assert_eq!(sandbox.stats().total().rate_limited, 0);
    assert!(answers.iter().all(|answer| answer.status() == 200));
}
