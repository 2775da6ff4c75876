//! A request that is too large for an account proves nothing about smaller requests or larger accounts.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{AT_ONCE, Ask, Running, chat_with, pool, post, question, run, with};
use crate::fake::{Reply, Seen, ok, refusal};

const CANNOT_AFFORD: &str = r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account","code":402,"metadata":{"provider_name":null}}}"#;
/// The number of tokens that an account can pay for.
const AFFORDABLE: u64 = 30_104;

fn is_dear(seen: &Seen) -> bool {
    seen.json()["max_tokens"].as_u64().unwrap_or_default() > AFFORDABLE
}

fn router_chat(most: u64, stream: bool) -> Request<Body> {
    let more = json!({"max_tokens": most, "stream": stream});
    chat_with("anthropic/claude-sonnet-4.5", &more)
}

fn dear() -> Request<Body> {
    router_chat(65_536, false)
}

fn cheap() -> Request<Body> {
    router_chat(1_000, false)
}

fn open_router(accounts: usize, answer: fn(&Seen) -> Reply) -> Running {
    run(pool("openrouter", accounts, "models = [\"*\"]\nstrategy = \"sequential\""), answer)
}

#[tokio::test(start_paused = true)]
async fn an_unaffordable_request_does_not_rest_the_account_for_small_ones() {
    let running =
        open_router(
            1,
            |seen| {
                if is_dear(seen) { refusal(402, &[], CANNOT_AFFORD) } else { ok(seen) }
            },
        );
    for round in 1..=5 {
        let outcome = running.send(dear()).await;
        // The answer may come from the provider or the pool, but must say that the size is wrong.
        assert!((400..500).contains(&outcome.status), "{round}: {outcome}");
        assert!(outcome.took < AT_ONCE, "{round}: waiting does not make it smaller: {outcome}");
        running.send(cheap()).await.is_answered_at_once("a small one after a large one");
        running.send(router_chat(30_000, true)).await.is_answered_at_once("just small enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_account_can_afford_is_refused_at_once() {
    let running =
        open_router(
            2,
            |seen| {
                if is_dear(seen) { refusal(402, &[], CANNOT_AFFORD) } else { ok(seen) }
            },
        );
    let (large, small) = tokio::join!(
        running.pace(10, Duration::from_secs(1), dear),
        running.pace(40, Duration::from_millis(250), cheap)
    );
    for outcome in large {
        assert!((400..500).contains(&outcome.status), "{outcome}");
    }
    for outcome in small {
        outcome.is_answered_at_once("small ones between large ones");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_one_account_cannot_afford_goes_to_another() {
    let running = open_router(2, |seen| {
        let is_refused = is_dear(seen) && seen.is_of(1);
        if is_refused { refusal(402, &[], CANNOT_AFFORD) } else { ok(seen) }
    });
    for _ in 0..10 {
        running.send(dear()).await.is_answered_at_once("the other can afford it");
        running.send(cheap()).await.is_answered_at_once("both can afford it");
    }
    let asked = running.fake.count(|seen| seen.is_of(1) && is_dear(seen));
    assert!((1..=2).contains(&asked), "called {asked} times for requests that it cannot afford");
    let small = running.fake.count(|seen| seen.is_of(1) && !is_dear(seen));
    assert!(small >= 9, "the first in order serves {small} of 10 small ones");
}

#[tokio::test(start_paused = true)]
async fn an_account_without_credit_rests_for_all_sizes() {
    let running = open_router(2, |seen| {
        let body = r#"{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","code":402}}"#;
        if seen.is_of(1) { refusal(402, &[], body) } else { ok(seen) }
    });
    for outcome in running.pace(40, Duration::from_millis(250), cheap).await {
        outcome.is_answered_at_once("the other has credits");
    }
    let asked = running.fake.calls_of(1);
    assert!((1..=3).contains(&asked), "called {asked} times without credits");
}

/// A prompt of about this many tokens.
fn prompt(tokens: usize) -> String {
    format!("{} {}", question(), "word ".repeat(tokens))
}

fn tokens(seen: &Seen) -> usize {
    String::from_utf8_lossy(&seen.body).matches("word ").count()
}

fn long_chat(model: &str, tokens: usize) -> Request<Body> {
    let messages = json!([{"role": "user", "content": prompt(tokens)}]);
    post("/v1/chat/completions", &json!({"model": model, "messages": messages, "max_tokens": 100}))
}

fn too_large(limit: usize, requested: usize) -> Reply {
    let body = format!(
        r#"{{"error":{{"message":"Request too large for gpt-4.1 in organization org-x on tokens per min (TPM): Limit {limit}, Requested {requested}. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}}}"#
    );
    refusal(429, &[], body)
}

/// Accounts with different limits, by number.
fn of_size(limits: &'static [usize]) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        let limit = limits.iter().enumerate().find(|(index, _)| seen.is_of(index + 1));
        match (limit, tokens(seen)) {
            (Some((_, &limit)), tokens) if tokens > limit => too_large(limit, tokens),
            _ => ok(seen),
        }
    }
}

const TOKENS: usize = 41_000;
const SMALL_AND_LARGE: &[usize] = &[30_000, 2_000_000];

fn is_large(seen: &Seen) -> bool {
    tokens(seen) > 30_000
}

async fn six_large_then_four_small(strategy: &str) -> Running {
    let running = run(pool("openai", 2, strategy), of_size(SMALL_AND_LARGE));
    for _ in 0..6 {
        let outcome = running.send(long_chat("gpt-4.1", TOKENS)).await;
        outcome.is_answered_at_once("the larger account takes it");
    }
    for _ in 0..4 {
        running.send(long_chat("gpt-4.1", 10)).await.is_answered_at_once("a small one");
    }
    let asked = running.fake.count(|seen| seen.is_of(1) && is_large(seen));
    assert!(
        asked <= 2,
        "the small account was called {asked} times for requests that are too large"
    );
    running
}

#[tokio::test(start_paused = true)]
async fn the_larger_of_two_accounts_gets_large_requests() {
    let running = six_large_then_four_small("").await;
    // The strategy decides where small requests go, as long as the small account gets its share.
    for _ in 0..20 {
        running.send(long_chat("gpt-4.1", 10)).await.is_answered_at_once("a small one");
    }
    let small = running.fake.count(|seen| seen.is_of(1) && !is_large(seen));
    assert!(small >= 1, "the small account serves none of 24 small ones");
}

#[tokio::test(start_paused = true)]
async fn a_small_account_first_in_order_keeps_small_requests() {
    let running = six_large_then_four_small("strategy = \"sequential\"").await;
    let small = running.fake.count(|seen| seen.is_of(1) && !is_large(seen));
    assert_eq!(small, 4, "small ones go to the first");
}

#[tokio::test(start_paused = true)]
async fn the_largest_of_three_accounts_gets_large_requests() {
    let running = run(pool("openai", 3, ""), of_size(&[30_000, 100_000, 2_000_000]));
    for _ in 0..5 {
        for size in [60_000, 200_000, 10, 60_000, 10] {
            let outcome = running.send(long_chat("gpt-4.1", size)).await;
            outcome.is_answered_at_once(&format!("{size} tokens"));
        }
    }
    let refused = running.fake.count(|seen| {
        let is_over = |(number, limit)| seen.is_of(number) && tokens(seen) > limit;
        [(1, 30_000), (2, 100_000)].into_iter().any(is_over)
    });
    assert!(refused <= 4, "{refused} calls to accounts that are too small");
}

#[tokio::test(start_paused = true)]
async fn a_413_of_groq_limits_the_size_of_one_account() {
    let running = run(pool("groq", 2, "models = [\"*\"]\nstrategy = \"sequential\""), |seen| {
        let body = r#"{"error":{"message":"Request too large for model `llama-3.3-70b-versatile` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Requested 41027, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#;
        let is_refused = seen.is_of(1) && tokens(seen) > 12_000;
        if is_refused { refusal(413, &[], body) } else { ok(seen) }
    });
    for _ in 0..10 {
        let outcome = running.send(long_chat("llama-3.3-70b-versatile", TOKENS)).await;
        outcome.is_answered_at_once("the larger account takes it");
        let outcome = running.send(long_chat("llama-3.3-70b-versatile", 10)).await;
        outcome.is_answered_at_once("a small one");
    }
    let asked = running.fake.count(|seen| seen.is_of(1) && tokens(seen) > 12_000);
    assert!(
        asked <= 2,
        "the small account was called {asked} times for requests that are too large"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_too_large_for_all_accounts_is_refused_at_once() {
    let running = run(pool("openai", 2, ""), of_size(&[30_000, 30_000]));
    let small: Ask = || long_chat("gpt-4.1", 10);
    for _ in 0..5 {
        let outcome = running.send(long_chat("gpt-4.1", TOKENS)).await;
        assert!([413, 429].contains(&outcome.status), "{outcome}");
        assert!(outcome.took < AT_ONCE, "waiting does not make it smaller: {outcome}");
        running.send(small()).await.is_answered_at_once("a small one");
    }
    let asked = running.fake.count(is_large);
    assert!(asked <= 7, "{asked} calls for five requests that no account can take");
    running.all_is_well(2, small, "small ones").await;
}

#[tokio::test(start_paused = true)]
async fn a_size_limit_of_anthropic_applies_to_one_account() {
    let claude = |tokens| {
        let messages = json!([{"role": "user", "content": prompt(tokens)}]);
        let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages});
        with("anthropic-version", "2023-06-01", post("/anthropic/v1/messages", &body))
    };
    let running = run(pool("anthropic", 2, "strategy = \"sequential\""), |seen| {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed the rate limit for your organization (00000000-0000-0000-0000-000000000000) of 30,000 input tokens per minute. Please reduce the prompt length or the maximum tokens requested, or try again later."}}"#;
        let is_refused = seen.is_of(1) && is_large(seen);
        if is_refused { refusal(429, &[], body) } else { ok(seen) }
    });
    for _ in 0..6 {
        running.send(claude(TOKENS)).await.is_answered_at_once("the larger account takes it");
    }
    for _ in 0..4 {
        running.send(claude(10)).await.is_answered_at_once("a small one");
    }
}
