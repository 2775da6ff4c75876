//! An overloaded model does not mean that the provider is overloaded.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{Ask, chat_with, claude_with, gemini_at, pool, run};
use crate::fake::{Reply, Seen, ok, refusal};

struct Overload {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    is_overloaded: fn(&Seen) -> bool,
    reply: fn() -> Reply,
    busy: Ask,
    idle: Ask,
}

const OVERLOADED_MODEL: Overload = Overload {
    what: "one model of Gemini",
    provider: "gemini",
    accounts: 2,
    is_overloaded: |seen| seen.model() == "gemini-2.5-pro",
    reply: || {
        let body = r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#;
        refusal(503, &[], body)
    },
    busy: || gemini_at("gemini-2.5-pro:generateContent"),
    idle: || gemini_at("gemini-2.5-flash:generateContent"),
};

async fn check(case: &Overload) {
    let Overload { what, provider, accounts, is_overloaded, reply, busy, idle } = *case;
    let config = pool(provider, accounts, "max_wait = \"10s\"");
    let running = run(config, move |seen| if is_overloaded(seen) { reply() } else { ok(seen) });
    let half = Duration::from_millis(500);
    let (busy, idle) = tokio::join!(running.pace(60, half, busy), running.pace(60, half, idle));
    for outcome in idle {
        outcome.is_answered_at_once(&format!("{what}: the other model"));
    }
    for outcome in busy {
        let text = outcome.text.to_ascii_lowercase();
        let says_so = outcome.status == 503 || outcome.status == 529 || text.contains("overloaded");
        assert!(
            outcome.status >= 400 && says_so,
            "{what}: the answer must name the overload: {outcome}"
        );
        assert!(
            outcome.took <= Duration::from_millis(10_500),
            "{what}: longer than allowed: {outcome}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_model_delays_no_other_model() {
    check(&OVERLOADED_MODEL).await;
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_model_of_one_key_or_six_delays_no_other_model() {
    check(&Overload { accounts: 1, ..OVERLOADED_MODEL }).await;
    check(&Overload { accounts: 6, ..OVERLOADED_MODEL }).await;
}

#[tokio::test(start_paused = true)]
async fn a_model_overloaded_in_streams_delays_no_other_model() {
    let busy = || gemini_at("gemini-2.5-pro:streamGenerateContent?alt=sse");
    let idle = || gemini_at("gemini-2.5-flash:streamGenerateContent?alt=sse");
    check(&Overload { what: "streams of Gemini", busy, idle, ..OVERLOADED_MODEL }).await;
}

fn chat_of(model: &str) -> Request<Body> {
    chat_with(model, &json!({}))
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_model_of_other_providers_delays_no_other_model() {
    check(&Overload {
        what: "OpenAI",
        provider: "openai",
        is_overloaded: |seen| seen.model() == "gpt-5-pro",
        reply: || {
            let body = r#"{"error":{"message":"That model is currently overloaded with other requests. You can retry your request.","type":"server_error","param":null,"code":null}}"#;
            refusal(503, &[], body)
        },
        busy: || chat_of("gpt-5-pro"),
        idle: || chat_of("gpt-4o-mini"),
        ..OVERLOADED_MODEL
    })
    .await;
    check(&Overload {
        what: "Anthropic",
        provider: "anthropic",
        is_overloaded: |seen| seen.model() == "claude-opus-4-1",
        reply: || {
            let body =
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
            refusal(529, &[], body)
        },
        busy: || claude_with(&json!({"model": "claude-opus-4-1"})),
        idle: || claude_with(&json!({"model": "claude-haiku-4-5"})),
        ..OVERLOADED_MODEL
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_recovers_is_used_again() {
    let running = run(pool("gemini", 2, "max_wait = \"10s\""), |seen| {
        let is_out = (OVERLOADED_MODEL.is_overloaded)(seen) && seen.is_before(20.0);
        if is_out { (OVERLOADED_MODEL.reply)() } else { ok(seen) }
    });
    let half = Duration::from_millis(500);
    let (busy, idle) = tokio::join!(
        running.pace(160, half, OVERLOADED_MODEL.busy),
        running.pace(160, half, OVERLOADED_MODEL.idle)
    );
    for outcome in idle {
        outcome.is_answered_at_once("the other model");
    }
    for outcome in busy.iter().filter(|outcome| outcome.sent > Duration::from_secs(55)) {
        outcome.is_answered_at_once("the model has recovered long ago");
    }
}
