//! Token limits are kept, although the tokens of a prompt are not known before it is sent.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_key_rotation::{
    Account, Anthropic, ApiKey, KeyPool, KeyPoolBuilder, Limit, OpenAi,
    provider::Tokenizer,
    sandbox::{Dialect, Sandbox, SandboxBuilder, Script},
};

use support::{Client, client};

const ACCOUNTS: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// Accounts with the same limit.
fn accounts(
    limit: &Limit,
    mut sandbox: SandboxBuilder,
    mut pool: KeyPoolBuilder,
) -> (SandboxBuilder, KeyPoolBuilder) {
    for i in 1..=ACCOUNTS {
        let (name, secret) = (format!("org-{i}"), support::secret(i));
        sandbox = sandbox.account(&name, [limit.clone()], [secret.as_str()]);
        let account = Account::new(name).limit(limit.clone());
        pool = pool.account(account.key(ApiKey::new(secret).id(format!("k{i}"))));
    }
    // No header reports what is left: the pool relies on its estimates.
    (
        sandbox
            .hide_limits()
            .seed(7)
            .answer(Script::new().tokens(40).latency(Duration::from_millis(700))),
        pool,
    )
}

fn openai(limit: &Limit) -> (SandboxBuilder, KeyPoolBuilder) {
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    accounts(limit, Sandbox::builder(Dialect::OpenAi), pool)
}

fn anthropic(limit: &Limit) -> (SandboxBuilder, KeyPoolBuilder) {
    let pool = KeyPool::builder(Anthropic::default()).seed(7);
    accounts(limit, Sandbox::builder(Dialect::Anthropic), pool)
}

/// A prompt of some hundred bytes, with another length and other letters each time.
fn prompt(i: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(i);
    let words = (0..rng.usize(30..200)).map(|_| "x".repeat(rng.usize(1..10)));
    words.collect::<Vec<_>>().join(" ")
}

fn chat(i: u64) -> Request<String> {
    let text = prompt(i);
    let body = format!(
        r#"{{"model":"gpt-4o","max_tokens":100,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    Request::post(support::CHAT).body(body).unwrap()
}

fn message(i: u64) -> Request<String> {
    let text = prompt(i);
    let body = format!(
        r#"{{"model":"claude","max_tokens":64000,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    Request::post("https://api.anthropic.com/v1/messages").body(body).unwrap()
}

/// The used share of a limit and the refusals, while more was offered than the limit allows.
#[derive(Debug)]
struct Load {
    /// The share of the limit that the provider counted during the measurement, in thousandths.
    used: u64,
    /// Requests that the provider refused before and during the measurement.
    refused: (u64, u64),
}

/// Offers more than the limits allow: for two minutes, in which the pool learns the size of prompts, and for
/// three minutes of measurement.
async fn load(
    client: &Client,
    sandbox: &Sandbox,
    per_minute: u64,
    request: impl Fn(u64) -> Request<String> + Copy + Send + 'static,
    counted: impl Fn(&Sandbox) -> u64,
) -> Load {
    let end = Instant::now() + 5 * MINUTE;
    for caller in 0..40 {
        let mut client = client.clone();
        tokio::spawn(async move {
            for i in 0.. {
                let began = Instant::now();
                client.ready().await.unwrap().call(request(caller * 10_000 + i)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                if began > end {
                    break;
                }
            }
        });
    }
    tokio::time::sleep(2 * MINUTE).await;
    let (used, before) = (counted(sandbox), sandbox.stats().total().rate_limited);
    tokio::time::sleep(3 * MINUTE).await;
    let (used, refused) = (counted(sandbox) - used, sandbox.stats().total().rate_limited - before);
    let allowed = ACCOUNTS as u64 * per_minute * 3;
    Load { used: used * 1_000 / allowed, refused: (before, refused) }
}

fn prompts(sandbox: &Sandbox) -> u64 {
    sandbox.stats().total().prompt_tokens
}

/// Prompts, and the caps that the provider counts when a request arrives.
fn all(sandbox: &Sandbox) -> u64 {
    let total = sandbox.stats();
    total.total().prompt_tokens + 100 * total.total().accepted
}

/// Texts with more tokens than their bytes suggest, with fewer, and alternating. After some answers the limit
/// is used and no request is refused, however wrong the first estimate was.
#[tokio::test(start_paused = true)]
async fn input_limits_are_used_up_for_any_ratio_of_bytes_to_tokens() {
    let limit = Limit::input_tokens(20_000).per_minute();
    for (name, per_1000_bytes) in [("as estimated", 250), ("dense", 700), ("sparse", 90)] {
        let (sandbox, pool) = anthropic(&limit);
        let count = move |text: &str| (text.len() as u64 * per_1000_bytes).div_ceil(1_000);
        let (sandbox, pool) = (sandbox.count_tokens(count).build(), pool.build().unwrap());
        let load = load(&client(&pool, &sandbox), &sandbox, 20_000, message, prompts).await;
        println!("{name}: {load:?}");
        assert!(load.used >= 950, "{name}: {load:?}");
        assert_eq!(load.refused.1, 0, "{name}: {load:?}");
    }
}

/// Each prompt has another ratio, from half to twice the usual one, and many prompts are in flight before the
/// first answers.
#[tokio::test(start_paused = true)]
async fn mixed_prompts_stay_within_the_limit() {
    let limit = Limit::input_tokens(20_000).per_minute();
    let (sandbox, pool) = anthropic(&limit);
    let count = |text: &str| text.len() as u64 * (125 + text.len() as u64 * 37 % 375) / 1_000;
    let slow = Script::new().tokens(40).latency(Duration::from_secs(5));
    let (sandbox, pool) = (sandbox.count_tokens(count).answer(slow).build(), pool.build().unwrap());
    let load = load(&client(&pool, &sandbox), &sandbox, 20_000, message, prompts).await;
    println!("mixed: {load:?}");
    assert!(load.used >= 950, "{load:?}");
    assert_eq!(load.refused.1, 0, "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn limits_on_all_tokens_are_used_up_too() {
    let limit = Limit::tokens(40_000).per_minute();
    let (sandbox, pool) = openai(&limit);
    let count = |text: &str| (text.len() as u64 * 500).div_ceil(1_000);
    let (sandbox, pool) = (sandbox.count_tokens(count).build(), pool.build().unwrap());
    let load = load(&client(&pool, &sandbox), &sandbox, 40_000, chat, all).await;
    println!("all tokens: {load:?}");
    assert!(load.used >= 950, "{load:?}");
    assert_eq!(load.refused.1, 0, "{load:?}");
}

/// With a tokenizer the pool needs no answers to learn from: the first requests keep the limit.
#[tokio::test(start_paused = true)]
async fn with_a_tokenizer_the_first_requests_stay_within_the_limit() {
    #[derive(Debug)]
    struct Exact;

    impl Tokenizer for Exact {
        fn count(&self, model: Option<&str>, text: &str) -> u64 {
            assert_eq!(model, Some("claude"));
            count(text)
        }
    }

    fn count(text: &str) -> u64 {
        text.len() as u64 * (250 + text.len() as u64 * 37 % 1_000) / 1_000
    }

    let limit = Limit::input_tokens(20_000).per_minute();
    let (sandbox, pool) = anthropic(&limit);
    let pool = pool.tokenizer(Exact).build().unwrap();
    let sandbox = sandbox.count_tokens(count).build();
    let load = load(&client(&pool, &sandbox), &sandbox, 20_000, message, prompts).await;
    println!("tokenizer: {load:?}");
    assert!(load.used >= 950, "{load:?}");
    assert_eq!(load.refused, (0, 0), "{load:?}");
}

/// If the provider does not count the cap, a cap above the whole limit does not refuse a request, and answers
/// are reserved at their usual length.
#[tokio::test(start_paused = true)]
async fn a_cap_that_does_not_count_delays_no_request() {
    let limit = Limit::output_tokens(4_000).per_minute();
    let (sandbox, pool) = anthropic(&limit);
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let answers = |sandbox: &Sandbox| sandbox.stats().total().answer_tokens;
    let load = load(&client(&pool, &sandbox), &sandbox, 4_000, message, answers).await;
    println!("answers: {load:?}");
    assert!(load.used >= 950, "{load:?}");
    assert_eq!(load.refused, (0, 0), "{load:?}");
}
