//! Refusals for the rate. Callers wait, within their maximum wait, instead of seeing them. A request that is
//! always refused does not delay others.

use std::time::Duration;

use serde_json::json;

use super::{Ask, chat, chat_stream, chat_with, claude, claude_with, gemini, pool, run};
use crate::fake::{Reply, Seen, ok, refusal};

const RATE: &str = r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
const RATE_OF_ANTHROPIC: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit."}}"#;
const RATE_OF_GEMINI: &str = r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}}"#;

/// All accounts refuse for `lasts` seconds, starting after `after` seconds.
struct Wave {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    in_pool: &'static str,
    after: f64,
    lasts: f64,
    reply: fn() -> Reply,
    ask: Ask,
    /// The time between two callers.
    gap: Duration,
}

impl Wave {
    fn run(&self) -> super::Running {
        let Self { provider, accounts, in_pool, after, lasts, reply, .. } = *self;
        let lines = format!("max_wait = \"30s\"\n{in_pool}");
        run(pool(provider, accounts, &lines), move |seen| {
            let is_over = seen.is_before(after) || !seen.is_before(after + lasts);
            if is_over { ok(seen) } else { reply() }
        })
    }

    /// Sends this many callers, which can all wait: all at once and one after the other, to accounts that are
    /// unknown and to accounts that have answered before.
    async fn crowd(&self, callers: usize) {
        let what = self.what;
        for (gap, after) in [(0, 0.0), (5, 0.0), (0, 20.0), (5, 20.0)] {
            let wave = Self { after, gap: Duration::from_millis(gap), ..*self };
            let running = wave.run();
            while running.fake.age().as_secs_f64() < after {
                running.send((self.ask)()).await.is_answered_at_once(what);
                tokio::time::sleep(Duration::from_millis(80)).await;
            }
            let answers = running.pace(callers, wave.gap, self.ask).await;
            let refused: Vec<_> = answers.iter().filter(|outcome| outcome.status != 200).collect();
            assert!(
                refused.is_empty(),
                "{what}: {} of {callers} callers, {gap} ms apart after {after} s, are not answered: {}",
                refused.len(),
                refused[0],
            );
        }
    }

    /// Sends one caller, which is answered soon after the refusals end.
    async fn one(&self, within: f64) {
        let (what, lasts) = (self.what, self.lasts);
        let running = self.run();
        let outcome = running.send((self.ask)()).await;
        outcome.is_answered(what);
        let took = outcome.took.as_secs_f64();
        assert!((lasts..lasts + within).contains(&took), "{what}: after {took} s of {lasts} s");
        let calls = running.fake.calls();
        assert!(calls <= 30, "{what}: {calls} calls for one request");
    }
}

const LIMIT_OF_ALL_ACCOUNTS: Wave = Wave {
    what: "a limit wider than an account, for a second",
    provider: "openai",
    accounts: 6,
    in_pool: "",
    after: 0.0,
    lasts: 1.0,
    reply: || refusal(429, &[("retry-after", "1")], RATE),
    ask: chat,
    gap: Duration::ZERO,
};

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_wait_for_all_six_accounts() {
    LIMIT_OF_ALL_ACCOUNTS.crowd(200).await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_wait_if_nothing_is_learnt() {
    Wave { in_pool: "learn = false", ..LIMIT_OF_ALL_ACCOUNTS }.crowd(200).await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_wait_if_limits_are_reported() {
    let reply = || {
        let outcome = [
            ("retry-after", "1"),
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4900"),
            ("x-ratelimit-reset-requests", "1s"),
        ];
        refusal(429, &outcome, RATE)
    };
    Wave { what: "with room left, as its headers have it", reply, ..LIMIT_OF_ALL_ACCOUNTS }
        .crowd(200)
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_wait_without_a_hint_or_for_longer() {
    for in_pool in ["", "learn = false"] {
        let reply = || refusal(429, &[], RATE);
        Wave { what: "without retry-after", reply, in_pool, ..LIMIT_OF_ALL_ACCOUNTS }
            .crowd(200)
            .await;
        Wave { what: "for five seconds", lasts: 5.0, in_pool, ..LIMIT_OF_ALL_ACCOUNTS }
            .crowd(200)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_wait_for_any_number_of_accounts() {
    for (what, accounts) in [("one", 1), ("two", 2), ("three", 3), ("thirty", 30)] {
        for in_pool in ["", "learn = false"] {
            Wave { what, accounts, in_pool, ..LIMIT_OF_ALL_ACCOUNTS }.crowd(200).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_of_streams_and_other_providers_wait() {
    let in_pool = "learn = false";
    Wave { what: "streams", ask: chat_stream, in_pool, ..LIMIT_OF_ALL_ACCOUNTS }.crowd(200).await;
    let reply = || refusal(429, &[("retry-after", "1")], RATE_OF_ANTHROPIC);
    let provider = "anthropic";
    Wave { what: "Anthropic", provider, reply, ask: claude, in_pool, ..LIMIT_OF_ALL_ACCOUNTS }
        .crowd(200)
        .await;
}

const TWO_ACCOUNTS: Wave = Wave {
    what: "two accounts that refuse for five seconds",
    accounts: 2,
    lasts: 5.0,
    reply: || refusal(429, &[("retry-after", "2")], RATE),
    ..LIMIT_OF_ALL_ACCOUNTS
};

#[tokio::test(start_paused = true)]
async fn one_caller_waits_until_all_accounts_accept_again() {
    // The calls are at 0, 2, 4 and 6 s, or a little later.
    TWO_ACCOUNTS.one(4.0).await;
}

#[tokio::test(start_paused = true)]
async fn one_caller_waits_without_a_hint() {
    let reply = || refusal(429, &[], RATE);
    // Pauses double. If a pause ends just before the refusals end, the next pause is as long as all before.
    Wave { what: "without retry-after", reply, ..TWO_ACCOUNTS }.one(8.0).await;
}

#[tokio::test(start_paused = true)]
async fn one_caller_waits_for_any_number_of_accounts() {
    Wave { what: "one account", accounts: 1, ..TWO_ACCOUNTS }.one(4.0).await;
    Wave { what: "seven accounts", accounts: 7, ..TWO_ACCOUNTS }.one(4.0).await;
}

#[tokio::test(start_paused = true)]
async fn one_caller_of_a_stream_or_other_provider_waits() {
    Wave { what: "a stream", ask: chat_stream, ..TWO_ACCOUNTS }.one(4.0).await;
    let reply = || refusal(429, &[("retry-after", "2")], RATE_OF_ANTHROPIC);
    let provider = "anthropic";
    Wave { what: "Anthropic", provider, reply, ask: claude, ..TWO_ACCOUNTS }.one(4.0).await;
    let reply = || refusal(429, &[], RATE_OF_GEMINI);
    Wave { what: "Gemini", provider: "gemini", reply, ask: gemini, ..TWO_ACCOUNTS }.one(4.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_cannot_wait_long_enough_sees_a_rate_limit() {
    let running = run(pool("openai", 2, "max_wait = \"3s\""), |_| {
        refusal(429, &[("retry-after", "2")], RATE)
    });
    let outcome = running.send(chat()).await;
    assert_eq!(outcome.status, 429, "{outcome}");
    // The caller must not wait longer than its limit. The next attempt would be at 4 s.
    assert!(outcome.took < Duration::from_millis(3_500), "{outcome}");
}

/// One kind of request that is always refused, without a time to wait.
struct Poison {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    reply: fn() -> Reply,
    poison: Ask,
    other: Ask,
}

fn is_poison(seen: &Seen) -> bool {
    seen.says("poison")
}

const ALWAYS_REFUSED: Poison = Poison {
    what: "a poisonous request",
    provider: "openai",
    accounts: 3,
    reply: || refusal(429, &[], RATE),
    poison: || chat_with("gpt-4o", &json!({"user": "poison"})),
    other: chat,
};

impl Poison {
    async fn check(&self) {
        let Self { what, provider, accounts, reply, poison, other } = *self;
        let running =
            run(
                pool(provider, accounts, ""),
                move |seen| {
                    if is_poison(seen) { reply() } else { ok(seen) }
                },
            );
        let (_, others) = tokio::join!(
            running.pace(30, Duration::from_secs(2), poison),
            running.pace(240, Duration::from_millis(250), other),
        );
        for outcome in others {
            outcome.is_answered(what);
            assert!(outcome.took <= Duration::from_secs(2), "{what}: another waits: {outcome}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_always_refused_request_delays_no_other() {
    ALWAYS_REFUSED.check().await;
}

#[tokio::test(start_paused = true)]
async fn an_always_refused_request_delays_no_other_for_any_number_of_accounts() {
    for accounts in [1, 2, 8] {
        Poison { accounts, ..ALWAYS_REFUSED }.check().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_always_refused_request_of_other_kinds_delays_no_other() {
    Poison {
        what: "a long context of Anthropic",
        provider: "anthropic",
        reply: || {
            let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Extra usage is required for long context requests."}}"#;
            refusal(429, &[], body)
        },
        poison: || claude_with(&json!({"metadata": {"user_id": "poison"}})),
        other: claude,
        ..ALWAYS_REFUSED
    }
    .check()
    .await;
    Poison {
        what: "a stream, refused without a word",
        reply: || refusal(429, &[], ""),
        poison: || chat_with("gpt-4o", &json!({"user": "poison", "stream": true})),
        other: chat_stream,
        ..ALWAYS_REFUSED
    }
    .check()
    .await;
}
