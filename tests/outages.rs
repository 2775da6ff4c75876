//! Outages: what callers see while a part of a provider does not work.
#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_key_rotation::{Account, ApiKey, KeyPool, OpenAi, ReplayBody, RotationStack};

type Client = BoxCloneSyncService<Request<Full<Bytes>>, StatusCode, Infallible>;

/// A client of a provider that answers within 200 ms, depending on the time in seconds, the key and the
/// model.
fn client(
    pool: &KeyPool,
    truth: impl Fn(f64, &str, &str) -> (u16, &'static str) + Send + Sync + 'static,
) -> Client {
    let (truth, began) = (Arc::new(truth), Instant::now());
    let inner = service_fn(move |request: Request<ReplayBody>| {
        let truth = Arc::clone(&truth);
        async move {
            let key = request.headers()["authorization"].to_str().unwrap().replace("Bearer ", "");
            let body: serde_json::Value =
                serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let model = body["model"].as_str().unwrap();
            let (status, body) = truth(began.elapsed().as_secs_f64(), &key, model);
            sleep(Duration::from_millis(200)).await;
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Full::from(body)).unwrap())
        }
    });
    let stack = RotationStack::new(pool).layer(inner);
    BoxCloneSyncService::new(service_fn(move |request: Request<Full<Bytes>>| {
        let answer = stack.clone().oneshot(request);
        async move { Ok(answer.await?.status()) }
    }))
}

async fn ask(client: &Client, model: &str) -> StatusCode {
    let body = Full::from(format!(r#"{{"model":"{model}","messages":[]}}"#));
    let request = Request::post("https://api.openai.com/v1/chat/completions").body(body).unwrap();
    client.clone().oneshot(request).await.unwrap()
}

fn key(id: &str) -> ApiKey {
    ApiKey::new(id).id(id)
}

#[tokio::test(start_paused = true)]
async fn a_model_that_works_waits_for_seconds_while_two_others_are_overloaded() {
    let accounts = ["a", "b"].map(|name| Account::new(name).key(key(name)));
    let pool = KeyPool::builder(OpenAi::default()).seed(1).accounts(accounts).build().unwrap();
    let client = client(&pool, |_, _, model| if model == "good" { (200, "{}") } else { (503, "") });
    let mut longest = Duration::ZERO;
    for i in 0..40 {
        let overloaded = client.clone();
        tokio::spawn(async move { ask(&overloaded, ["bad-1", "bad-2"][i % 2]).await });
        sleep(Duration::from_secs(3)).await;
        if i % 8 == 7 {
            let asked = Instant::now();
            assert_eq!(ask(&client, "good").await, StatusCode::OK);
            longest = longest.max(asked.elapsed());
        }
    }
    // The longest rest after an overload, plus a call and a margin.
    assert!(longest <= Duration::from_secs(9), "it took {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_failed_is_tried_again_before_a_resting_key_is_awaited() {
    let account = Account::new("a").key(key("k0")).key(key("k1")).key(key("dead"));
    let pool = KeyPool::builder(OpenAi::default()).seed(1).account(account);
    let pool = pool.max_wait(Duration::from_secs(100)).build().unwrap();
    let rejected = r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided"}}"#;
    let client = client(&pool, move |now, key, _| match key {
        "dead" => (401, rejected),
        _ if (60.0..60.5).contains(&now) => (500, ""),
        _ => (200, "{}"),
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        assert_eq!(ask(&client, "m").await, StatusCode::OK);
    }
    let asked = Instant::now();
    assert_eq!(ask(&client, "m").await, StatusCode::OK);
    assert!(asked.elapsed() <= Duration::from_secs(3), "it took {:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_patient_caller_waits_an_overload_out() {
    let accounts = ["a", "b"].map(|name| Account::new(name).key(key(name)));
    let pool = KeyPool::builder(OpenAi::default()).seed(1).accounts(accounts);
    let pool = pool.max_wait(Duration::from_secs(60)).build().unwrap();
    let client = client(&pool, |now, _, _| if now < 40.0 { (503, "") } else { (200, "{}") });
    let asked = Instant::now();
    assert_eq!(ask(&client, "m").await, StatusCode::OK);
    // The overload is over after this time, plus the longest rest of an overload.
    let longest = Duration::from_secs(40 + 11);
    assert!(asked.elapsed() <= longest, "it took {:?}", asked.elapsed());
}
