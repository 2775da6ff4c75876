//! A provider that rejects every key for a short time.

use std::time::Duration;

use super::{Ask, chat, chat_stream, claude, gemini, pool, run};
use crate::fake::{Reply, ok, refusal};

const INCORRECT: &str = r#"{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;

struct Outage {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    reply: fn() -> Reply,
    ask: Ask,
    /// The outage starts after this many seconds of successes, lasts this long, and must leave no effect
    /// after this long.
    after: f64,
    lasts: f64,
    back: f64,
}

const AUTH_OUTAGE: Outage = Outage {
    what: "an outage of a second",
    provider: "openai",
    accounts: 3,
    reply: || refusal(401, &[], INCORRECT),
    ask: chat,
    after: 10.0,
    lasts: 1.0,
    back: 10.0,
};

async fn check(case: &Outage) {
    let Outage { what, provider, accounts, reply, ask, after, lasts, back } = *case;
    let running = run(pool(provider, accounts, ""), move |seen| {
        let is_out = !seen.is_before(after) && seen.is_before(after + lasts);
        if is_out { reply() } else { ok(seen) }
    });
    let gap = Duration::from_millis(200);
    let until_back = Duration::from_secs_f64(after + lasts + back);
    let number = (until_back + Duration::from_secs(10)).as_secs_f64() / gap.as_secs_f64();
    for outcome in running.pace(number as usize, gap, ask).await {
        if outcome.sent + Duration::from_millis(100) < Duration::from_secs_f64(after) {
            outcome.is_answered_at_once(what);
        }
        if outcome.sent > until_back {
            outcome.is_answered_at_once(what);
        }
    }
    // The outage has left no effect.
    tokio::time::sleep(Duration::from_secs(600)).await;
    running.all_is_well(accounts, ask, what).await;
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_of_a_second_kills_no_key() {
    check(&AUTH_OUTAGE).await;
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_of_one_key_or_twenty_kills_no_key() {
    check(&Outage { accounts: 1, ..AUTH_OUTAGE }).await;
    check(&Outage { accounts: 20, ..AUTH_OUTAGE }).await;
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_from_the_first_request_on_kills_no_key() {
    check(&Outage { after: 0.0, ..AUTH_OUTAGE }).await;
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_of_half_a_minute_kills_no_key() {
    check(&Outage { what: "half a minute", lasts: 30.0, back: 40.0, ..AUTH_OUTAGE }).await;
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_in_other_words_kills_no_key() {
    check(&Outage {
        what: "a bare 403, of streams",
        reply: || refusal(403, &[], ""),
        ask: chat_stream,
        ..AUTH_OUTAGE
    })
    .await;
    check(&Outage {
        what: "a deactivated account",
        reply: || {
            let body = r#"{"error":{"message":"The OpenAI account associated with this API key has been deactivated.","type":"invalid_request_error","param":null,"code":"account_deactivated"}}"#;
            refusal(401, &[], body)
        },
        ..AUTH_OUTAGE
    })
    .await;
    check(&Outage {
        what: "Anthropic",
        provider: "anthropic",
        reply: || {
            let body = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
            refusal(401, &[], body)
        },
        ask: claude,
        ..AUTH_OUTAGE
    })
    .await;
    check(&Outage {
        what: "Gemini",
        provider: "gemini",
        reply: || {
            let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
            refusal(400, &[], body)
        },
        ask: gemini,
        ..AUTH_OUTAGE
    })
    .await;
}
