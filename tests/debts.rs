//! Limits are charged with the reported usage. Impossible figures do not block an account.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, KeyRotationLayer, Limit, OpenAi, ReplayBody, event::Event,
};

/// How long a second request waits after an answer that reported this many tokens of prompt.
async fn wait_after(reported: u64) -> (Duration, Vec<Event>) {
    let key = ApiKey::new("sk-1");
    let account = Account::new("org").limit(Limit::tokens(1_000).per_minute()).key(key);
    let pool = KeyPool::builder(OpenAi::default())
        .account(account)
        .max_wait(Duration::from_secs(24 * 3_600))
        .build()
        .unwrap();
    let mut events = pool.events();
    let provider = tower::service_fn(move |_: Request<ReplayBody>| async move {
        let usage = format!(
            r#"{{"choices":[{{"message":{{"content":"a"}}}}],"usage":{{"prompt_tokens":{reported},"completion_tokens":1,"total_tokens":{reported}}}}}"#
        );
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(response.body(Full::new(bytes::Bytes::from(usage))).unwrap())
    });
    let client = ServiceBuilder::new().layer(KeyRotationLayer::new(&pool)).service(provider);
    let ask = || async {
        let body =
            r#"{"model":"gpt-4o","max_tokens":5,"messages":[{"role":"user","content":"a"}]}"#;
        let request = Request::post("https://api.openai.com/v1/chat/completions")
            .header("content-type", "application/json")
            .body(ReplayBody::from(body))
            .unwrap();
        let response = client.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    };
    ask().await;
    let began = Instant::now();
    ask().await;
    let events = std::iter::from_fn(|| events.try_recv().unwrap()).collect();
    (began.elapsed(), events)
}

#[tokio::test(start_paused = true)]
async fn a_debt_ends_after_a_few_periods() {
    let (none, _) = wait_after(10).await;
    assert_eq!(none, Duration::ZERO);
    let (twice, _) = wait_after(2_000).await;
    assert!((60..=120).contains(&twice.as_secs()), "{twice:?}");
    let (most, events) = wait_after(50_000_000).await;
    assert!((180..=240).contains(&most.as_secs()), "{most:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::UsageIgnored { .. })));
}

#[tokio::test(start_paused = true)]
async fn impossible_usage_is_reported_and_ignored() {
    for reported in [100_000_001, 9_007_199_254_740_992, u64::MAX] {
        let (waited, events) = wait_after(reported).await;
        assert_eq!(waited, Duration::ZERO, "{reported}");
        let ignored = |event: &Event| matches!(event, Event::UsageIgnored { account, .. } if &**account == "org");
        // Larger figures are not read at all.
        assert_eq!(events.iter().any(ignored), reported <= 1 << 53, "{reported}: {events:?}");
    }
}
