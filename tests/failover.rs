//! Each kind of refusal in the middle of a load: callers see no error, and only the state of the place that
//! the verdict is about changes.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use http::{Request, StatusCode};
use support::{Answer, accounts, ask, chat, chat_for, client, offer, per_minute, seconds, secret};
use tower_key_rotation::{
    KeyPool, KeyUsed, Trail, Verdict,
    event::Event,
    sandbox::{Fault, Sandbox},
    snapshot::{AccountState, Snapshot},
};

/// Three accounts of 60 requests a minute at half their load, with a fault in the middle.
struct Load {
    pool: KeyPool,
    sandbox: Sandbox,
    events: Vec<Event>,
    answers: Vec<Answer>,
}

async fn load_with(fault: Fault) -> Load {
    let (sandbox, pool) = accounts(3, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let mut received = pool.events();
    let mut answers = offer(&client, 30, Duration::from_millis(667), |_| chat()).await;
    assert!(sandbox.fail(fault));
    answers.extend(offer(&client, 60, Duration::from_millis(667), |_| chat()).await);
    let mut events = Vec::new();
    while let Ok(Some(event)) = received.try_recv() {
        events.push(event);
    }
    Load { pool, sandbox, events, answers }
}

impl Load {
    fn assert_no_caller_saw_it(&self) {
        let bad: Vec<_> = self.answers.iter().filter(|answer| answer.status() != 200).collect();
        assert!(bad.is_empty(), "{} callers saw an error: {:?}", bad.len(), bad[0]);
        assert_eq!(self.answers.len(), 90);
    }

    fn assert_unchanged(&self, accounts: impl IntoIterator<Item = usize>) {
        let snapshot = self.pool.snapshot();
        for i in accounts {
            let state = account(&snapshot, i);
            assert_eq!(state.cooling_for, None, "org-{i} rests");
            assert!(state.keys[0].alive, "k{i} is rejected");
        }
        assert!(snapshot.models.iter().all(|lane| lane.refused.is_empty()));
    }

    fn used_after(&self, from: usize, i: usize) -> usize {
        let key = format!("k{i}");
        let used =
            |answer: &&Answer| answer.extensions().get::<KeyUsed>().unwrap().key.as_str() == key;
        self.answers[from..].iter().filter(used).count()
    }
}

fn account(snapshot: &Snapshot, i: usize) -> &AccountState {
    snapshot.accounts.iter().find(|account| *account.name == *format!("org-{i}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_rests_and_no_other_does() {
    let load = load_with(Fault::revoke(secret(1))).await;
    load.assert_no_caller_saw_it();
    load.assert_unchanged([2, 3]);
    assert!(!account(&load.pool.snapshot(), 1).keys[0].alive);
    // One probe after each rest: 5, 10, 20 and 40 seconds.
    let rejected = load.sandbox.stats().key("org-1-1").rejected;
    assert!((1..=4).contains(&rejected), "a rejected key was used {rejected} times in a minute");
    assert!(matches!(
        &load.events[..2],
        [
            Event::KeyRejected { key, live: 2, total: 3, rule, .. },
            Event::PoolShrunk { live: 2, total: 3 },
        ] if key.as_str() == "k1" && &**rule == "openai/invalid-key"
    ));
    let is_again = |event: &Event| matches!(event, Event::KeyRejected { live: 2, .. });
    assert!(load.events[2..].iter().all(is_again), "{:?}", load.events);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_quota_rests_and_is_probed_slowly() {
    let load = load_with(Fault::exhaust_quota("org-2")).await;
    load.assert_no_caller_saw_it();
    load.assert_unchanged([1, 3]);
    let snapshot = load.pool.snapshot();
    let out = account(&snapshot, 2);
    assert!(out.keys[0].alive, "the key is good");
    assert!(out.cooling_for.unwrap() > Duration::from_secs(60));
    assert_eq!(load.sandbox.stats().account("org-2").errors, 1, "it was used again");

    // The bill is paid, and the next probe succeeds.
    assert!(load.sandbox.fail(Fault::restore("org-2")));
    seconds(400.0).await;
    let client = client(&load.pool, &load.sandbox);
    offer(&client, 20, Duration::from_millis(667), |_| chat()).await;
    assert_eq!(account(&load.pool.snapshot(), 2).cooling_for, None);
    assert!(load.sandbox.stats().account("org-2").accepted > out.served - 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_account_gets_no_request_until_its_reset() {
    let load = load_with(Fault::rate_limit("org-3", Duration::from_secs(20))).await;
    load.assert_no_caller_saw_it();
    load.assert_unchanged([1, 2]);
    let refused = load.sandbox.arrivals("org-3").into_iter().filter(|arrival| !arrival.accepted);
    assert_eq!(refused.count(), 1, "it was called before its reset");
    assert!(load.used_after(60, 3) > 0, "it is not used again");
    let cooling = |event: &&Event| {
        matches!(event, Event::Resting { place, rule, .. }
        if place.to_string() == "account org-3 for model \"gpt-4o\"" && &**rule == "openai/rate-limit")
    };
    assert_eq!(load.events.iter().filter(cooling).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_overload_slows_the_model_and_no_account_rests() {
    let load = load_with(Fault::overload(4)).await;
    load.assert_no_caller_saw_it();
    load.assert_unchanged([1, 2, 3]);
    let model = "the provider for model \"gpt-4o\"";
    let overloaded = |event: &Event| {
        matches!(event, Event::Resting { place, rule, .. }
        if place.to_string() == model && &**rule == "body/overloaded")
    };
    assert!(load.events.iter().any(overloaded), "{:?}", load.events);
    let is_back =
        |event: &Event| matches!(event, Event::Recovered { place } if place.to_string() == model);
    assert!(load.events.last().is_some_and(is_back), "{:?}", load.events);
    assert!(load.pool.snapshot().standings.is_empty(), "{:?}", load.pool.snapshot().standings);
    assert_eq!(load.sandbox.stats().total().errors, 4);
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_provider_are_retried_and_no_account_rests() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY] {
        let load = load_with(Fault::error(status, 3)).await;
        load.assert_no_caller_saw_it();
        load.assert_unchanged([1, 2, 3]);
        assert!(load.events.is_empty(), "{:?}", load.events);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_retried() {
    let load = load_with(Fault::refuse_connections(3)).await;
    load.assert_no_caller_saw_it();
    load.assert_unchanged([1, 2, 3]);
    assert_eq!(load.sandbox.stats().refused_connections(), 3);
    let tried = load.answers.iter().filter_map(|answer| answer.extensions().get::<Trail>());
    let failed: usize = tried.map(|trail| trail.attempts().len() - 1).sum();
    assert_eq!(failed, 3, "an attempt is missing in the trails");
}

#[tokio::test(start_paused = true)]
async fn a_key_without_access_to_a_model_serves_other_models() {
    let (sandbox, pool) = accounts(2, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    assert!(sandbox.fail(Fault::forbid_model(secret(1), "gpt-5")));
    for _ in 0..8 {
        assert_eq!(ask(&client, chat_for("gpt-5")).await.status(), 200);
        assert_eq!(ask(&client, chat_for("gpt-4o")).await.status(), 200);
        seconds(2.0).await;
    }
    let snapshot = pool.snapshot();
    assert!(snapshot.accounts.iter().all(|a| a.keys[0].alive && a.cooling_for.is_none()));
    let refused = |model: &str| {
        let lane = snapshot.models.iter().find(|lane| lane.model.as_deref() == Some(model));
        lane.unwrap().refused.clone()
    };
    assert_eq!(refused("gpt-5").iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["k1"]);
    assert!(refused("gpt-4o").is_empty());
    assert_eq!(sandbox.stats().key("org-1-1").errors, 1, "it was used for that model again");
    assert!(sandbox.stats().key("org-1-1").accepted >= 3, "it does not serve the other model");
}

#[tokio::test(start_paused = true)]
async fn a_faulty_request_is_sent_once_and_changes_nothing() {
    let (sandbox, pool) = accounts(3, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.models(["gpt-4o"]).build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let faults = [
        (
            StatusCode::BAD_REQUEST,
            Request::post(support::CHAT).body("{not json".to_owned()).unwrap(),
        ),
        (
            StatusCode::NOT_FOUND,
            Request::get("https://api.openai.com/v1/nowhere").body(String::new()).unwrap(),
        ),
    ];
    for (calls, (status, request)) in (1..).zip(faults) {
        let answer = ask(&client, request).await;
        assert_eq!(answer.status(), status);
        assert!(answer.extensions().get::<Trail>().is_none());
        assert_eq!(answer.extensions().get::<KeyUsed>().unwrap().verdict, Verdict::CallerFault);
        assert_eq!(sandbox.stats().total().requests, calls, "one call each");
    }
    // A model that no key knows: three keys are asked for the first request, one for the next.
    for calls in [2 + 3, 2 + 3 + 1] {
        assert_eq!(ask(&client, chat_for("no-such-model")).await.status(), 404);
        assert_eq!(sandbox.stats().total().requests, calls);
    }
    let snapshot = pool.snapshot();
    assert!(snapshot.accounts.iter().all(|a| a.keys[0].alive && a.cooling_for.is_none()));
    assert!(snapshot.standings.is_empty(), "{:?}", snapshot.standings);
    assert_eq!(ask(&client, chat()).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_all_accounts_is_passed_on_unchanged() {
    let (sandbox, pool) = accounts(2, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    assert!(
        sandbox.fail(Fault::exhaust_quota("org-1")) && sandbox.fail(Fault::exhaust_quota("org-2"))
    );

    let answer = ask(&client, chat()).await;
    assert_eq!(answer.status(), 429);
    assert!(
        String::from_utf8_lossy(answer.body()).contains("insufficient_quota"),
        "it is not the answer of the provider"
    );
    assert!(answer.extensions().get::<tower_key_rotation::Exhausted>().is_none());
    let trail = answer.extensions().get::<Trail>().unwrap().attempts();
    assert_eq!(trail.len(), 2, "not each account once: {trail:?}");

    // Later requests are answered without a call, with the time to come back.
    let calls = sandbox.stats().total().requests;
    let answer = ask(&client, chat()).await;
    assert_eq!(answer.status(), 429);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((300..=400).contains(&after), "{after}");
    assert_eq!(sandbox.stats().total().requests, calls);
}

#[tokio::test(start_paused = true)]
async fn without_any_good_key_the_answer_is_503() {
    let (sandbox, pool) = accounts(2, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    assert!(sandbox.fail(Fault::revoke(secret(1))) && sandbox.fail(Fault::revoke(secret(2))));
    for _ in 0..2 {
        // With the provider's "Incorrect API key provided", callers would suspect tokens of their own.
        let answer = ask(&client, chat()).await;
        assert_eq!(answer.status(), 503);
        let body = String::from_utf8_lossy(answer.body());
        assert!(body.contains("2 of 2 keys were rejected (openai/invalid-key)"), "{body}");
        assert!(body.contains("the keys are tried again in "), "{body}");
        assert_eq!(answer.headers()["x-should-retry"], "false");
        assert_eq!(answer.headers()["x-key-pool-refused"], "no_key");
    }
}

#[tokio::test(start_paused = true)]
async fn every_key_is_tried_before_a_request_fails() {
    let (sandbox, pool) = accounts(8, |_| per_minute(6_000));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    for i in 1..=8 {
        assert!(i == 3 || sandbox.fail(Fault::revoke(secret(i))));
    }
    let answers = offer(&client, 10, Duration::from_millis(10), |_| chat()).await;
    assert!(
        answers.iter().all(|answer| answer.status() == 200),
        "a request failed before every key was tried"
    );
    let calls: Vec<_> =
        (1..=8).map(|i| sandbox.stats().key(&format!("org-{i}-1")).requests).collect();
    assert!(
        sandbox.stats().total().requests <= 10 + 7,
        "a rejected key was tried twice: {calls:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_three_accounts_refuse_is_retried_with_backoff() {
    let (sandbox, pool) = accounts(10, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    for i in 1..=10 {
        assert!(sandbox.fail(Fault::rate_limit(format!("org-{i}"), Duration::from_secs(60))));
    }
    let answer = ask(&client, chat()).await;
    assert_eq!(answer.status(), 429);
    // The first three come at once; then one at a time after 0.5 s, 1 s and 2 s.
    let at_once = (1..=10).flat_map(|i| sandbox.arrivals(&format!("org-{i}"))).map(|call| call.at);
    let mut calls: Vec<_> = at_once.collect();
    calls.sort_unstable();
    let gaps: Vec<_> = calls.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps[..2].iter().all(Duration::is_zero), "{gaps:?}");
    assert!(gaps[2..].windows(2).all(|two| two[1] * 5 / 4 >= two[0]), "{gaps:?}");
    assert!(gaps[2] >= Duration::from_millis(250) && gaps.len() <= 9, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn retries_of_failures_stay_within_a_tenth_of_the_requests() {
    let (sandbox, pool) = accounts(3, |_| Vec::new());
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    assert!(sandbox.fail(Fault::error(StatusCode::INTERNAL_SERVER_ERROR, u64::MAX)));
    let answers = offer(&client, 1_000, Duration::from_millis(50), |_| chat()).await;
    assert!(answers.iter().all(|answer| answer.status() != 200));
    let calls = sandbox.stats().total().requests;
    assert!(calls <= 1_100 + 10, "{calls} calls for 1,000 requests");
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_only_key_while_that_is_rate_limited() {
    let (sandbox, pool) = accounts(1, |_| per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    assert!(sandbox.fail(Fault::rate_limit("org-1", Duration::from_secs(5))));
    let answer = ask(&client, chat()).await;
    assert_eq!(answer.status(), 200, "the caller waits instead of seeing a 429");
    assert_eq!(sandbox.stats().total().requests, 2);
}
