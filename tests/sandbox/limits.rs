//! Limits refuse exactly the requests that they should.

use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, advance};
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, LimitAlgorithm, Sandbox, Script},
};

use crate::{CHAT, ask, chat, chat_with, generate, messages, org_a, send, status, text};

const OK: StatusCode = StatusCode::OK;
const REFUSED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

async fn accepted(sandbox: &Sandbox, requests: u64) -> u64 {
    let mut accepted = 0;
    for _ in 0..requests {
        accepted += u64::from(status(sandbox, chat("sk-sandbox-a1")).await == OK);
    }
    accepted
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_holds_its_burst_and_refills_continuously() {
    // 60 per minute with the default burst of 1/12: five at once, then one each second.
    let sandbox = org_a(Dialect::OpenAi, [Limit::requests(60).per_minute()]).build();
    assert_eq!(accepted(&sandbox, 10).await, 5);

    let (status, headers, body) = ask(&sandbox, chat("sk-sandbox-a2")).await;
    assert_eq!(status, REFUSED, "the keys of an account share its limits");
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(headers["retry-after-ms"], "1000");
    assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    assert_eq!(body["error"]["type"], "requests");

    advance(Duration::from_millis(999)).await;
    let (_, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(
        (&headers["retry-after"], &headers["retry-after-ms"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
    advance(Duration::from_millis(1)).await;
    assert_eq!(accepted(&sandbox, 10).await, 1);
    advance(Duration::from_secs(3_600)).await;
    assert_eq!(accepted(&sandbox, 10).await, 5, "it never holds more than its burst");
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_agrees_with_gcra_at_random_times() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (amount, burst) = (rng.u64(1..500), rng.u64(1..20));
        let limit = Limit::requests(amount).per_minute().burst(burst);
        let sandbox = org_a(Dialect::OpenAi, [limit]).build();
        let start = Instant::now();
        // `next` is the theoretical arrival time of the next request (GCRA), in 1/amount of a millisecond.
        let (each, tolerance) = (60_000, 60_000 * (burst - 1));
        let mut next: u64 = 0;
        for _ in 0..300 {
            advance(Duration::from_millis(rng.u64(0..=120_000 / amount))).await;
            let now = u64::try_from(start.elapsed().as_millis()).unwrap() * amount;
            let expected = next <= now + tolerance;
            if expected {
                next = next.max(now) + each;
            }
            let (status, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
            assert_eq!(status == OK, expected, "{amount}/min burst {burst} at {now}");
            if !expected {
                let wait = (next - tolerance - now).div_ceil(amount);
                assert_eq!(headers["retry-after-ms"], wait.to_string().as_str());
                assert_eq!(headers["retry-after"], wait.div_ceil(1_000).to_string().as_str());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_is_exact_to_the_nanosecond() {
    // One request each 8571428571 and 3/7 nanoseconds.
    let sandbox = org_a(Dialect::OpenAi, [Limit::requests(7).per_minute()]).build();
    assert_eq!(accepted(&sandbox, 2).await, 1);
    advance(Duration::from_nanos(8_571_428_571)).await;
    assert_eq!(accepted(&sandbox, 1).await, 0);
    advance(Duration::from_nanos(1)).await;
    assert_eq!(accepted(&sandbox, 1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_states_the_longest_wait_of_all_limits() {
    for order in [[0, 1], [1, 0]] {
        let limits = [Limit::requests(60).per_minute().burst(1), Limit::tokens(84).per_minute()];
        let limits = order.map(|at: usize| limits[at].clone());
        let sandbox = org_a(Dialect::OpenAi, limits).build();
        assert_eq!(accepted(&sandbox, 2).await, 1);
        let (_, headers, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
        assert_eq!(
            (&headers["retry-after"], &body["error"]["type"]),
            (&"10".parse().unwrap(), &"tokens".into())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_window_gives_the_whole_amount_at_once() {
    let limit = Limit::requests(60).per_minute();
    let sandbox =
        org_a(Dialect::OpenAi, [limit]).limit_algorithm(LimitAlgorithm::FixedWindow).build();
    advance(Duration::from_secs(50)).await;
    assert_eq!(accepted(&sandbox, 100).await, 60);
    let (_, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(headers["retry-after"], "10");
    assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
    assert_eq!(headers["x-ratelimit-reset-requests"], "10s");
    advance(Duration::from_millis(9_999)).await;
    assert_eq!(accepted(&sandbox, 1).await, 0);
    advance(Duration::from_millis(1)).await;
    assert_eq!(accepted(&sandbox, 100).await, 60, "a window ends at its time, not 60 s after use");
}

#[tokio::test(start_paused = true)]
async fn a_request_costs_its_prompt_and_its_maximum_answer() {
    let body = |most: &str| {
        format!(r#"{{"model":"m",{most}"messages":[{{"role":"user","content":"123456789"}}]}}"#)
    };
    // Nine bytes of prompt are three tokens.
    let left = async |limit: Limit, most: &str| {
        let sandbox =
            org_a(Dialect::OpenAi, [limit.burst(1_000)]).answer(Script::new().tokens(50)).build();
        let (_, headers, _) = ask(&sandbox, chat_with("sk-sandbox-a1", &body(most))).await;
        headers["x-ratelimit-remaining-tokens"].to_str().unwrap().to_owned()
    };
    assert_eq!(left(Limit::tokens(1_000).per_minute(), "").await, "947");
    assert_eq!(left(Limit::tokens(1_000).per_minute(), r#""max_tokens":200,"#).await, "797");
    assert_eq!(left(Limit::input_tokens(1_000).per_minute(), "").await, "997");
    let output = Limit::output_tokens(1_000).per_minute();
    assert_eq!(left(output, r#""max_completion_tokens":20,"#).await, "980");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_costs_nothing_of_any_limit() {
    // Each chat costs 14 tokens, so the token limit refuses first.
    let limits =
        [Limit::requests(100).per_minute().burst(100), Limit::tokens(140).per_minute().burst(28)];
    let sandbox = org_a(Dialect::OpenAi, limits).build();
    assert_eq!(accepted(&sandbox, 50).await, 2);
    let (_, headers, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(headers["x-ratelimit-remaining-requests"], "98");
    assert_eq!(headers["retry-after"], "6");
    assert_eq!(body["error"]["type"], "tokens");
    advance(Duration::from_secs(6)).await;
    assert_eq!(accepted(&sandbox, 50).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_demand_above_the_default_burst_waits_for_a_full_bucket() {
    // 1200 per minute: the bucket holds 100 tokens, so a demand of 202 leaves a debt of 102.
    let sandbox = org_a(Dialect::OpenAi, [Limit::tokens(1_200).per_minute()]).build();
    let large = CHAT.replacen('{', r#"{"max_tokens":200,"#, 1);
    let large = || chat_with("sk-sandbox-a1", &large);
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, OK);
    let (_, headers, _) = ask(&sandbox, large()).await;
    assert_eq!(headers["retry-after-ms"], "700", "14 tokens at 20 a second");
    advance(Duration::from_millis(700)).await;
    assert_eq!(status(&sandbox, large()).await, OK);
    let (_, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(headers["retry-after-ms"], "5800", "102 of debt and 14 at 20 a second");
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_limit_is_refused_without_a_wait() {
    let huge = CHAT.replacen('{', r#"{"max_tokens":5000,"#, 1);
    let limit = || Limit::tokens(1_000).per_minute();
    for window in [LimitAlgorithm::TokenBucket, LimitAlgorithm::FixedWindow] {
        let sandbox = org_a(Dialect::OpenAi, [limit()]).limit_algorithm(window).build();
        let (status, headers, body) = ask(&sandbox, chat_with("sk-sandbox-a1", &huge)).await;
        assert_eq!(status, REFUSED);
        assert!(!headers.contains_key("retry-after"));
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("Request too large for gpt-4o"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_with_a_model_pattern_counts_only_these_models() {
    let limits = [Limit::requests(1).per_minute().models("gpt-4o*")];
    let sandbox = org_a(Dialect::OpenAi, limits).build();
    let mini = CHAT.replace("gpt-4o", "gpt-4o-mini");
    let other = CHAT.replace("gpt-4o", "gpt-5");
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, OK);
    let mini = status(&sandbox, chat_with("sk-sandbox-a1", &mini)).await;
    assert_eq!(mini, REFUSED, "models of one pattern share one meter");
    assert_eq!(status(&sandbox, chat_with("sk-sandbox-a1", &other)).await, OK);
}

#[tokio::test(start_paused = true)]
async fn accounts_share_nothing() {
    let one = || [Limit::requests(1).per_minute()];
    let sandbox = org_a(Dialect::OpenAi, one()).account("org-b", one(), ["sk-sandbox-b1"]).build();
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, OK);
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, REFUSED);
    assert_eq!(status(&sandbox, chat("sk-sandbox-b1")).await, OK);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_freed_at_the_end_of_the_body_or_its_drop() {
    let sandbox = org_a(Dialect::OpenAi, [Limit::concurrent(2)]).build();
    let first = send(&sandbox, chat("sk-sandbox-a1")).await;
    let second = send(&sandbox, chat("sk-sandbox-a2")).await;
    let (status_, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(status_, REFUSED);
    assert!(!headers.contains_key("retry-after"), "the time is unknown");
    drop(first);
    let third = send(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(third.status(), OK);
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, REFUSED);

    // The end of the body frees the concurrency even before the body is dropped.
    let mut body = second.into_body();
    http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, OK);
    drop(body);
    drop(third);
    assert_eq!(sandbox.stats().account("org-a").in_flight, 0);
    assert_eq!(sandbox.stats().account("org-a").max_in_flight, 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_frees_its_concurrency_but_not_its_charge() {
    let limits = [Limit::concurrent(1), Limit::requests(2).per_minute().burst(2)];
    let script = Script::new().latency(Duration::from_secs(10));
    let sandbox = org_a(Dialect::OpenAi, limits).answer(script).build();
    let give_up = async || {
        let call = send(&sandbox, chat("sk-sandbox-a1"));
        tokio::time::timeout(Duration::from_secs(1), call).await.is_err()
    };
    assert!(give_up().await);
    assert!(give_up().await);
    let (_, headers, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(body["error"]["type"], "requests", "{body}");
    assert_eq!(headers["retry-after"], "28");
}

#[tokio::test(start_paused = true)]
async fn limit_headers_state_the_amount_and_the_time_until_it_is_refilled() {
    let limits = [Limit::requests(600).per_minute(), Limit::tokens(60_000).per_minute()];
    let sandbox = org_a(Dialect::OpenAi, limits.clone()).build();
    send(&sandbox, chat("sk-sandbox-a1")).await;
    let (_, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(headers["x-ratelimit-limit-requests"], "600");
    assert_eq!(headers["x-ratelimit-remaining-requests"], "598");
    assert_eq!(headers["x-ratelimit-reset-requests"], "200ms");
    assert_eq!(headers["x-ratelimit-limit-tokens"], "60000");
    assert_eq!(headers["x-ratelimit-remaining-tokens"], "59972");
    assert_eq!(headers["x-ratelimit-reset-tokens"], "28ms");
    assert_eq!(headers["date"], "Thu, 01 Jan 2026 00:00:00 GMT");

    let limits = [
        Limit::requests(60).per_minute().burst(1),
        Limit::input_tokens(600).per_minute(),
        Limit::output_tokens(600).per_minute().burst(600),
    ];
    let sandbox = org_a(Dialect::Anthropic, limits).build();
    advance(Duration::from_secs(90)).await;
    let (_, headers, _) = ask(&sandbox, messages(crate::MESSAGES)).await;
    assert_eq!(headers["date"], "Thu, 01 Jan 2026 00:01:30 GMT");
    assert_eq!(headers["anthropic-ratelimit-requests-limit"], "60");
    assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "59");
    assert_eq!(headers["anthropic-ratelimit-requests-reset"], "2026-01-01T00:01:31Z");
    assert_eq!(headers["anthropic-ratelimit-input-tokens-remaining"], "598");
    assert_eq!(headers["anthropic-ratelimit-output-tokens-remaining"], "588");
    assert_eq!(headers["anthropic-ratelimit-output-tokens-reset"], "2026-01-01T00:01:32Z");
    assert!(!headers.contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn each_dialect_words_a_refusal_in_its_own_shape() {
    let limit = || [Limit::requests(2).per_minute().burst(1)];
    let sandbox = org_a(Dialect::Anthropic, limit()).build();
    text(&sandbox, messages(crate::MESSAGES)).await;
    let (status, headers, body) = ask(&sandbox, messages(crate::MESSAGES)).await;
    assert_eq!(status, REFUSED);
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&"error".into(), &"rate_limit_error".into())
    );
    assert_eq!(headers["retry-after"], "30");
    assert_eq!(headers["x-should-retry"], "true");
    assert!(!headers.contains_key("retry-after-ms"));

    let sandbox = org_a(Dialect::Gemini, limit()).build();
    text(&sandbox, generate("generateContent")).await;
    let (status, headers, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!(status, REFUSED);
    assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
    let details = &body["error"]["details"];
    let quota = details[0]["violations"][0]["quotaId"].as_str().unwrap();
    assert!(quota.contains("PerMinute"), "{quota}");
    assert_eq!(details[1]["retryDelay"], "30s");
    assert!(!headers.contains_key("retry-after"), "Gemini has no headers for limits");
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_refusal_of_anthropic_has_no_limit_headers() {
    let limits = [Limit::concurrent(1), Limit::requests(600).per_minute()];
    let sandbox = org_a(Dialect::Anthropic, limits).build();
    let running = send(&sandbox, messages(crate::MESSAGES)).await;
    let (_, headers, body) = ask(&sandbox, messages(crate::MESSAGES)).await;
    assert!(body["error"]["message"].as_str().unwrap().contains("concurrent connections"));
    assert!(!headers.contains_key("anthropic-ratelimit-requests-limit"));
    assert!(!headers.contains_key("retry-after"));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn an_account_without_limits_and_the_list_of_models_are_never_refused() {
    let sandbox = org_a(Dialect::OpenAi, [Limit::requests(1).per_hour()]).build();
    let list = || {
        let request = http::Request::get("https://sandbox.test/v1/models");
        let request = request.header("authorization", "Bearer sk-sandbox-a1");
        request.body(http_body_util::Full::default()).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(status(&sandbox, list()).await, OK);
    }
    assert_eq!(status(&sandbox, chat("sk-sandbox-a1")).await, OK, "a list costs nothing");
    let free = org_a(Dialect::OpenAi, []).build();
    assert_eq!(accepted(&free, 100).await, 100);
}
