//! Errors in a stream. Before the first content, the request goes to another key; after it, the error is
//! passed on. Both are judged as a refusal with the same words.

use http::StatusCode;
use tower_key_rotation::{
    Exhausted, KeyPool,
    provider::{Cohere, DeepSeek, Groq, Match, OpenRouter, Rule},
    sandbox::Fault,
};

use super::*;

/// How long an account rests, for all models or for one.
fn cooling_for(pool: &KeyPool, account: &str) -> Option<Duration> {
    let snapshot = pool.snapshot();
    let state = snapshot.accounts.iter().find(|state| &*state.name == account).unwrap();
    let by_model = snapshot.models.iter().find_map(|lane| lane.cooling.get(account).copied());
    state.cooling_for.or(by_model)
}

#[tokio::test(start_paused = true)]
async fn an_error_before_content_sends_the_request_to_another_key() {
    for style in STYLES {
        for after in 0..=style.preludes() {
            let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
            assert!(fake.fail(Fault::stream_quota_error(after, 1)));
            let response = send(&pool, fake.clone(), style.request()).await;
            assert_eq!(response.status(), 200, "{style:?} after {after}");
            let tried = attempts(&response);
            assert_eq!(tried.len(), 2, "{style:?} after {after}: {tried:?}");
            assert!(matches!(tried[0].1, Verdict::QuotaExhausted { .. }), "{tried:?}");
            assert_eq!(tried[1].1, Verdict::Accepted);
            assert_ne!(tried[0].0, tried[1].0);

            // The same two calls to an equal sandbox.
            let twin = sandbox(style, 2).build();
            assert!(twin.fail(Fault::stream_quota_error(after, 1)));
            let account = |key: &str| key.trim_start_matches('k').parse().unwrap();
            let lost = raw(style, &twin, account(&tried[0].0)).await;
            let expected = raw(style, &twin, account(&tried[1].0)).await;
            let got = read(response.into_body()).await;
            assert_eq!(got, expected, "{style:?} after {after}");
            assert_ne!(got, lost);

            assert_eq!(fake.stats().total().requests, 2, "not two calls");
            let out = format!("org-{}", account(&tried[0].0));
            let cooling = cooling_for(&pool, &out).unwrap();
            assert!(cooling > Duration::from_secs(60), "{style:?}: rests for {cooling:?} only");
            let other = format!("org-{}", account(&tried[1].0));
            assert_eq!(cooling_for(&pool, &other), None, "{style:?}: the other account rests");
            assert_eq!(in_flight(&pool.snapshot()), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_provider_is_retried_and_no_account_rests() {
    for style in STYLES {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        assert!(fake.fail(Fault::stream_error(style.preludes(), 2)));
        let response = send(&pool, fake.clone(), style.request()).await;
        let tried: Vec<_> = attempts(&response).into_iter().map(|(_, verdict)| verdict).collect();
        assert_eq!(tried, [style.failure(), style.failure(), Verdict::Accepted], "{style:?}");
        assert!(!read(response.into_body()).await.is_empty());
        assert_eq!(fake.stats().total().streams_finished, 1);
        let snapshot = pool.snapshot();
        let blamed =
            |account: &tower_key_rotation::snapshot::AccountState| account.cooling_for.is_some();
        assert!(!snapshot.accounts.iter().any(blamed), "{style:?}");
        assert!(snapshot.models.iter().all(|lane| lane.cooling.is_empty()), "{style:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_content_is_passed_on_once_and_judged() {
    for style in STYLES {
        let after = style.preludes() + 1;
        let (pool, fake) = (pool(style, 1), sandbox(style, 1).build());
        assert!(fake.fail(Fault::stream_quota_error(after, 1)));
        let response = send(&pool, fake.clone(), style.request()).await;
        assert_eq!((response.status().as_u16(), verdict(&response)), (200, Verdict::Accepted));
        assert_eq!(cooling_for(&pool, "org-1"), None, "{style:?}: it rests before the error");
        let got = read(response.into_body()).await;

        let twin = sandbox(style, 1).build();
        assert!(twin.fail(Fault::stream_quota_error(after, 1)));
        assert_eq!(got, raw(style, &twin, 1).await, "{style:?}: byte for byte");
        assert_eq!(fake.stats().total().requests, 1, "it was sent again after its first content");
        let cooling = cooling_for(&pool, "org-1").unwrap();
        assert!(cooling > Duration::from_secs(60), "{style:?}: rests for {cooling:?} only");
        let snapshot = pool.snapshot();
        assert_eq!(judged(&pool, "quota_exhausted"), 1, "{style:?}: judged once");
        assert_eq!(in_flight(&snapshot), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn several_errors_in_a_stream_count_once() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let error = "data: {\"error\":{\"code\":502},\"choices\":[]}\n\n";
    for before in ["", text] {
        let body = format!("{before}{error}{error}{text}{error}data: [DONE]\n\n");
        let pool = pool(Style::Chat, 1);
        let pieces = body.split_inclusive("\n\n").map(|event| Bytes::from(event.to_owned()));
        let inner = answers("text/event-stream", vec![pieces.collect()]);
        let request = Style::Chat.request().map(ReplayBody::from);
        let response = KeyRotationLayer::new(&pool).layer(inner).oneshot(request).await.unwrap();
        assert_eq!(read(response.into_body()).await, body);
        assert_eq!(judged(&pool, "transient"), 1);
        assert_eq!(judged(&pool, "accepted"), 0, "each request is counted once");
    }
}

#[tokio::test(start_paused = true)]
async fn if_all_keys_fail_the_last_answer_is_passed_on_unchanged() {
    for style in STYLES {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        let after = style.preludes();
        assert!(fake.fail(Fault::stream_quota_error(after, 9)));
        let response = send(&pool, fake.clone(), style.request()).await;
        assert_eq!(response.status(), StatusCode::OK, "{style:?}");
        assert!(
            response.extensions().get::<Exhausted>().is_none(),
            "{style:?}: a synthetic answer"
        );
        let tried = attempts(&response);
        assert_eq!(tried.len(), 2, "{tried:?}");

        let twin = sandbox(style, 2).build();
        assert!(twin.fail(Fault::stream_quota_error(after, 9)));
        let mut last = Bytes::new();
        for (key, _) in &tried {
            last = raw(style, &twin, key.trim_start_matches('k').parse().unwrap()).await;
        }
        let content_type = response.headers()["content-type"].clone();
        assert!(style == Style::List || content_type.to_str().unwrap().contains("event-stream"));
        assert_eq!(read(response.into_body()).await, last, "{style:?}");
        assert_eq!(in_flight(&pool.snapshot()), 0);
    }
}

/// The caller gets the stream that failed, and not an answer of the middleware.
#[tokio::test(start_paused = true)]
async fn a_failed_stream_is_passed_on_if_no_other_account_has_room() {
    for style in STYLES {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        assert!(fake.fail(Fault::stream_quota_error(style.preludes(), 1)));
        // The other account is busy for longer than the request can wait.
        let busy = pool.try_acquire(&tower_key_rotation::Demand::new()).unwrap();
        let account = if &**busy.account() == "org-1" { 2 } else { 1 };
        let twin = sandbox(style, 2).build();
        assert!(twin.fail(Fault::stream_quota_error(style.preludes(), 1)));
        let expected = raw(style, &twin, account).await;

        let response = send(&pool, fake.clone(), style.request()).await;
        assert_eq!(attempts(&response).len(), 1);
        assert_eq!(response.status(), 200, "{style:?}");
        assert!(response.extensions().get::<Exhausted>().is_none());
        assert_eq!(read(response.into_body()).await, expected, "{style:?}");
        drop(busy);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_before_content_is_retried() {
    for style in STYLES {
        for after in 0..=style.preludes() {
            let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
            assert!(fake.fail(Fault::cut_streams(after, 1)));
            let response = send(&pool, fake.clone(), style.request()).await;
            let tried = attempts(&response);
            assert_eq!(tried[0].1, Verdict::Transient, "{style:?}: {tried:?}");
            assert!(!read(response.into_body()).await.is_empty());
            assert_eq!(fake.stats().total().requests, 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_after_content_counts_as_a_failure() {
    let style = Style::Chat;
    let (pool, fake) = (pool(style, 1), sandbox(style, 1).build());
    assert!(fake.fail(Fault::cut_streams(2, 1)));
    let mut body = send(&pool, fake.clone(), style.request()).await.into_body();
    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(body.frame().await.unwrap().is_err(), "the error is passed on");
    assert_eq!((judged(&pool, "transient"), in_flight(&pool.snapshot())), (1, 0));
}

/// An `event: error` about the request itself: no other key can serve it.
#[tokio::test(start_paused = true)]
async fn a_faulty_request_that_fails_in_a_stream_is_sent_once() {
    let error = "event: error\ndata: {\"error\":{\"message\":\"tool call validation failed\",\"type\":\
                 \"invalid_request_error\",\"code\":\"tool_use_failed\",\"status_code\":400}}\n\n";
    let (pool, body) = (pool(Style::Chat, 3), Bytes::from(error));
    let inner = answers("text/event-stream", vec![vec![body.clone()]]);
    let response = send(&pool, inner, Style::Chat.request()).await;
    assert_eq!(verdict(&response), Verdict::CallerFault);
    assert!(attempts(&response).is_empty(), "it was tried again");
    assert_eq!(read(response.into_body()).await, body);
    assert!(pool.snapshot().accounts.iter().all(|account| account.cooling_for.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_in_a_stream_rests_the_account_for_its_model() {
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":\
                  {\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 20s.\"}}}\n\n";
    let good = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
    let pool = pool(Style::Responses, 2);
    let bodies = [failed, good].map(|body| vec![Bytes::from(body)]).to_vec();
    let inner = answers("text/event-stream; charset=utf-8", bodies);
    let response = send(&pool, inner, Style::Responses.request()).await;
    let tried = attempts(&response);
    let twenty = Some(Duration::from_secs(20));
    let limited = Verdict::RateLimited { retry_after: twenty };
    assert_eq!((tried.len(), tried[0].1), (2, limited));
    assert_eq!(read(response.into_body()).await, good);
    let account = format!("org-{}", tried[0].0.trim_start_matches('k'));
    let cooling = cooling_for(&pool, &account).unwrap();
    assert!((20..=21).contains(&cooling.as_secs()), "{cooling:?}");
}

/// The error in a stream may repeat the key, as a refusal may.
#[tokio::test(start_paused = true)]
async fn a_key_in_the_error_of_a_stream_is_overwritten() {
    let error = |key: &str| format!("data: {{\"error\":{{\"message\":\"no {key}\"}}}}\n\n");
    let pool = pool(Style::Chat, 1);
    let inner = answers("text/event-stream", vec![vec![Bytes::from(error(&secret(1)))]]);
    let rotation = KeyRotationLayer::new(&pool).layer(inner);
    let request = Style::Chat.request().map(ReplayBody::from);
    let response = rotation.oneshot(request).await.unwrap();
    let got = read(response.into_body()).await;
    assert!(!String::from_utf8_lossy(&got).contains(&secret(1)), "{got:?}");
    assert!(String::from_utf8_lossy(&got).contains("no "), "{got:?}");
}

/// For each dialect, an error that comes first sends the request to another key, and the trail names the
/// rule.
#[tokio::test(start_paused = true)]
async fn errors_in_streams_are_judged_by_the_rules_of_refusals() {
    let keys = |pool: KeyPoolBuilder| {
        let keys = [1, 2].map(|i| ApiKey::new(secret(i)).id(format!("k{i}")));
        keys.into_iter().fold(pool.origin("https://api.openai.com"), KeyPoolBuilder::key)
    };
    let limited = r#"{"error":{"code":429,"message":"slow"}}"#;
    let own = Rule::quota_exhausted("mine/slow").json("/error/message", Match::is(["slow"]));
    for (pool, error, rule) in [
        (KeyPool::builder(OpenAi::default()), limited, "status/429"),
        (KeyPool::builder(OpenAi::default()).rule(own), limited, "mine/slow"),
        (KeyPool::builder(Groq::default()), limited, "status/429"),
        (
            KeyPool::builder(OpenRouter::default()),
            r#"{"error":{"code":429,"message":"Provider returned error"},"choices":[]}"#,
            "openrouter/upstream-limit",
        ),
        (
            KeyPool::builder(OpenRouter::default()),
            r#"{"choices":[{"delta":{"content":""},"error":{"code":502,"message":"no"}}]}"#,
            "status/5xx",
        ),
        (
            KeyPool::builder(DeepSeek::default()),
            r#"{"error":{"message":"Insufficient Balance","code":"invalid_request_error"}}"#,
            "deepseek/no-balance",
        ),
        (
            KeyPool::builder(Cohere::default()),
            r#"{"type":"message-end","delta":{"finish_reason":"ERROR"}}"#,
            "body/error",
        ),
        (
            KeyPool::builder(Anthropic::default()),
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            "anthropic/overloaded",
        ),
    ] {
        let pool = keys(pool).build().unwrap();
        let pieces = |event: &str| vec![Bytes::from(format!("data: {event}\n\n"))];
        let good = r#"{"choices":[{"delta":{"content":"Hi"}}]}"#;
        let inner = answers("text/event-stream", vec![pieces(error), pieces(good)]);
        let response = send(&pool, inner, Style::Chat.request()).await;
        let tried = response.extensions().get::<Trail>().unwrap().attempts();
        let rules: Vec<_> = tried.iter().map(|attempt| &*attempt.rule).collect();
        assert_eq!(rules, [rule, "accepted"], "{error}");
        assert_eq!(response.extensions().get::<KeyUsed>().unwrap().rule, "accepted");
        assert!(read(response.into_body()).await.ends_with(b"\"Hi\"}}]}\n\n"));

        // With a single key, the stream that failed is passed on, with the rule in its extensions.
        let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("sk-1")).build().unwrap();
        let inner = answers("text/event-stream", vec![pieces(limited)]);
        let request = Style::Chat.request().map(ReplayBody::from);
        let response = KeyRotationLayer::new(&pool).layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<KeyUsed>().unwrap().rule, "status/429");
    }
}
