//! One account refuses everything. The others answer in its place, and callers do not see it.

use std::time::Duration;

use super::{Ask, chat, chat_stream, claude, claude_stream, gemini, get, pool, run};
use crate::fake::{Reply, ok, refusal};

const FORBIDDEN: &str = r#"{"error":{"message":"Forbidden","type":"forbidden"}}"#;

struct Refusing {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    /// The number of the account that refuses.
    bad: usize,
    reply: fn() -> Reply,
    ask: Ask,
}

const FORBIDDEN_ACCOUNT: Refusing = Refusing {
    what: "403 without a word why",
    provider: "openai",
    accounts: 3,
    bad: 2,
    reply: || refusal(403, &[], FORBIDDEN),
    ask: chat,
};

async fn check(case: &Refusing) {
    let Refusing { what, provider, accounts, bad, reply, ask } = *case;
    // One after the other, at an even rate, and all at once.
    for gap in [0, 250] {
        let running =
            run(
                pool(provider, accounts, ""),
                move |seen| {
                    if seen.is_of(bad) { reply() } else { ok(seen) }
                },
            );
        if gap == 0 {
            for _ in 0..40 {
                running.send(ask()).await.is_answered_at_once(what);
            }
        } else {
            for outcome in running.pace(40, Duration::from_millis(gap), ask).await {
                outcome.is_answered_at_once(what);
            }
        }
        let calls = running.fake.calls_of(bad);
        assert!(calls <= 5, "{what}: the refusing account was called {calls} times of 40");
    }
    let running =
        run(
            pool(provider, accounts, ""),
            move |seen| {
                if seen.is_of(bad) { reply() } else { ok(seen) }
            },
        );
    for outcome in running.pace(40, Duration::ZERO, ask).await {
        outcome.is_answered_at_once(what);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_answers_forbidden_is_replaced_by_others() {
    check(&FORBIDDEN_ACCOUNT).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_refuses_without_a_reason_is_replaced_by_others() {
    let bare = Refusing { what: "401 and nothing else", ..FORBIDDEN_ACCOUNT };
    check(&Refusing { reply: || refusal(401, &[], ""), ..bare }).await;
    check(&Refusing { reply: || refusal(401, &[], "{}"), bad: 1, accounts: 2, ..bare }).await;
    let reply = || refusal(403, &[("content-type", "text/plain")], "Access denied");
    check(&Refusing { what: "403 in plain text", bad: 8, accounts: 8, reply, ..FORBIDDEN_ACCOUNT })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_refuses_streams_or_lists_is_replaced_by_others() {
    check(&Refusing { what: "403 of streams", ask: chat_stream, ..FORBIDDEN_ACCOUNT }).await;
    check(&Refusing {
        what: "403 of listings",
        ask: || get("/openai/v1/files"),
        ..FORBIDDEN_ACCOUNT
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusing_account_of_other_providers_is_replaced_by_others() {
    check(&Refusing {
        what: "403 of Anthropic",
        provider: "anthropic",
        reply: || {
            let body =
                r#"{"type":"error","error":{"type":"forbidden","message":"Request not allowed"}}"#;
            refusal(403, &[], body)
        },
        ask: claude,
        ..FORBIDDEN_ACCOUNT
    })
    .await;
    check(&Refusing {
        what: "a bare 401 of Anthropic, of streams",
        provider: "anthropic",
        reply: || refusal(401, &[], ""),
        ask: claude_stream,
        ..FORBIDDEN_ACCOUNT
    })
    .await;
    check(&Refusing {
        what: "403 of Gemini",
        provider: "gemini",
        reply: || {
            let body = r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#;
            refusal(403, &[], body)
        },
        ask: gemini,
        ..FORBIDDEN_ACCOUNT
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_forbidden_for_a_while_is_used_again() {
    let running = run(pool("openai", 3, ""), |seen| {
        let is_out = seen.is_of(2) && seen.is_before(60.0);
        if is_out { refusal(403, &[], FORBIDDEN) } else { ok(seen) }
    });
    for outcome in running.pace(120, Duration::from_millis(500), chat).await {
        outcome.is_answered_at_once("two accounts answer");
    }
    let calls = running.fake.calls_of(2);
    assert!(calls <= 12, "called {calls} times of 120");
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    running.all_is_well(3, chat, "all answer again").await;
}

#[tokio::test(start_paused = true)]
async fn two_refusing_accounts_of_four_are_replaced_by_others() {
    let running = run(pool("openai", 4, ""), |seen| {
        if seen.is_of(1) || seen.is_of(4) { refusal(401, &[], "") } else { ok(seen) }
    });
    let answers = running.pace(40, Duration::from_millis(250), chat).await;
    // If two accounts refuse alike, the request may be at fault until another account accepts it.
    let refused: Vec<_> = answers.iter().filter(|outcome| outcome.status != 200).collect();
    assert!(refused.len() <= 2, "{} of 40 see it, such as {}", refused.len(), refused[0]);
    for bad in [1, 4] {
        let calls = running.fake.calls_of(bad);
        assert!(calls <= 6, "account {bad} was called {calls} times of 40");
    }
}
