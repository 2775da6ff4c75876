//! The answers to callers when no key is left.

use std::time::Duration;

use super::{Ask, Outcome, chat, chat_stream, claude, gemini, pool, run};
use crate::fake::{Reply, refusal};

const INCORRECT: &str = r#"{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
const QUOTA: &str = r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;

/// Checks that an SDK neither tries again at once nor sleeps for minutes.
#[track_caller]
fn is_final(outcome: &Outcome, what: &str) {
    assert_ne!(outcome.status, 200, "{what}: {outcome}");
    let again = outcome.header("x-should-retry");
    assert_eq!(again, Some("false"), "{what}: x-should-retry of {outcome}");
    // The time to wait is still reported, because it is true.
    let after = outcome.header("retry-after").map(str::parse::<u64>);
    assert!(
        after.as_ref().is_none_or(Result::is_ok),
        "{what}: retry-after {after:?} with {outcome}"
    );
    assert_eq!(outcome.header("retry-after-ms"), None, "{what}: {outcome}");
}

#[track_caller]
fn says(outcome: &Outcome, words: &[&str], what: &str) {
    let text = outcome.text.to_ascii_lowercase();
    for word in words {
        assert!(text.contains(word), "{what}: {word:?} is missing: {outcome}");
    }
    let not = "every account is at its limits";
    assert!(!text.contains(not), "{what}: {not:?} is wrong here: {outcome}");
    assert!(!text.contains("canary"), "{what}: a key is shown: {outcome}");
}

/// Some accounts have a rejected key, and the others are out of quota for a while.
async fn rejected_and_out_of_quota(
    rejected: usize,
    accounts: usize,
    ask: Ask,
    words: &[&str],
    reply: fn() -> Reply,
) {
    let what = words[0];
    let running = run(pool("openai", accounts, ""), move |seen| {
        if (1..=rejected).any(|key| seen.is_of(key)) {
            refusal(401, &[], INCORRECT)
        } else {
            reply()
        }
    });
    // The first request finds this out. Its answer may come from the provider or the pool, but must not make
    // an SDK sleep for minutes.
    let first = running.send(ask()).await;
    assert_ne!(first.status, 200, "{what}: {first}");
    let after = first.header("retry-after").and_then(|after| after.parse::<u64>().ok());
    let sleeps = after.is_some_and(|after| after > 60);
    let again = first.header("x-should-retry");
    assert!(!sleeps || again == Some("false"), "{what}: sleeps for {after:?} s: {first}");
    // Later requests know this. Each rejected key is probed from time to time, which changes nothing.
    for pause in [0, 1, 10, 100] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let outcome = running.send(ask()).await;
        is_final(&outcome, what);
        says(&outcome, words, what);
    }
}

fn out_for_minutes() -> Reply {
    refusal(429, &[("retry-after", "333")], QUOTA)
}

#[tokio::test(start_paused = true)]
async fn three_rejected_keys_and_one_without_quota_are_both_reported() {
    let words = ["3 of 4 keys were rejected", "out of quota"];
    rejected_and_out_of_quota(3, 4, chat, &words, out_for_minutes).await;
}

#[tokio::test(start_paused = true)]
async fn one_rejected_key_and_two_without_quota_are_both_reported() {
    // The grammar for one key is not prescribed.
    let words = ["1 of 3 key", "out of quota"];
    rejected_and_out_of_quota(1, 3, chat_stream, &words, || refusal(429, &[], QUOTA)).await;
}

#[tokio::test(start_paused = true)]
async fn accounts_out_of_quota_are_reported_as_quota() {
    let words = ["out of quota"];
    rejected_and_out_of_quota(0, 2, chat, &words, out_for_minutes).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_reported_as_worth_a_retry() {
    let running = run(pool("openai", 2, "max_wait = \"1s\""), |seen| {
        let rate = r#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#;
        let reply = refusal(429, &[("retry-after", "7")], rate);
        if seen.is_of(1) { refusal(401, &[], INCORRECT) } else { reply }
    });
    // Which of the two the first request sees depends on their order.
    assert!(running.send(chat()).await.status >= 400);
    for _ in 0..3 {
        let outcome = running.send(chat()).await;
        assert_eq!(outcome.status, 429, "{outcome}");
        assert_ne!(outcome.header("x-should-retry"), Some("false"), "retries do help: {outcome}");
        let after = outcome.header("retry-after").and_then(|after| after.parse::<u64>().ok());
        assert!(after.is_some_and(|after| (1..=10).contains(&after)), "{after:?} of {outcome}");
    }
}

/// All keys are rejected.
struct Rejected {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    reply: fn() -> Reply,
    ask: Ask,
    /// The words of the provider, which callers would understand as about their own token.
    not: &'static str,
    /// The start of the name of the rule.
    rule: &'static str,
    /// This many requests may get another answer before all keys are known to be rejected.
    before: usize,
}

const REJECTED_KEYS: Rejected = Rejected {
    what: "two keys",
    provider: "openai",
    accounts: 2,
    reply: || refusal(401, &[], INCORRECT),
    ask: chat,
    not: "Incorrect API key provided",
    rule: "openai/invalid-key",
    before: 0,
};

async fn check(case: &Rejected) {
    let Rejected { what, provider, accounts, reply, ask, not, rule, before } = *case;
    let running = run(pool(provider, accounts, ""), move |_| reply());
    for _ in 0..before {
        let outcome = running.send(ask()).await;
        assert!(outcome.status >= 400, "{what}: {outcome}");
    }
    // The request that meets the last rejected key, and later ones.
    for pause in [0, 0, 1, 60] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let outcome = running.send(ask()).await;
        assert!(outcome.status >= 500, "{what}: it is not the caller's token: {outcome}");
        assert!(!outcome.text.contains(not), "{what}: as if it were the caller's token: {outcome}");
        says(&outcome, &["key", rule], what);
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_that_meets_the_last_rejected_key_is_answered_with_a_503() {
    check(&REJECTED_KEYS).await;
}

#[tokio::test(start_paused = true)]
async fn one_or_six_rejected_keys_are_answered_with_a_503() {
    check(&Rejected { what: "one key", accounts: 1, ..REJECTED_KEYS }).await;
    // One request need not be tried with all six keys.
    let six = Rejected { what: "six keys", accounts: 6, before: 3, ..REJECTED_KEYS };
    check(&Rejected { ask: chat_stream, ..six }).await;
}

#[tokio::test(start_paused = true)]
async fn rejected_keys_of_other_providers_are_answered_with_a_503() {
    check(&Rejected {
        what: "Anthropic",
        provider: "anthropic",
        reply: || {
            let body = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
            refusal(401, &[], body)
        },
        ask: claude,
        not: "invalid x-api-key",
        rule: "anthropic/",
        ..REJECTED_KEYS
    })
    .await;
    check(&Rejected {
        what: "Gemini",
        provider: "gemini",
        reply: || {
            let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
            refusal(400, &[], body)
        },
        ask: gemini,
        not: "Please pass a valid API key",
        rule: "gemini/invalid-key",
        ..REJECTED_KEYS
    })
    .await;
}
