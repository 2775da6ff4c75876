//! Errors inside a 200.

use std::time::Duration;

use super::{Ask, chat, chat_stream, claude, claude_stream, gemini, gemini_stream, pool, run};
use crate::fake::{Seen, ok, refusal};

/// The first account answers 200 with an error, the second with an answer.
async fn check(what: &str, provider: &str, body: &'static str, ask: Ask) {
    let lines = "strategy = \"sequential\"\nmodels = [\"*\"]";
    let running = run(pool(provider, 2, lines), move |seen| {
        if seen.is_of(1) { refusal(200, &[], body) } else { ok(seen) }
    });
    for outcome in running.pace(10, Duration::from_millis(100), ask).await {
        outcome.is_answered_at_once(what);
        assert!(outcome.text.contains("Hello"), "{what}: passed on as a success: {outcome}");
    }
    assert!(running.fake.calls_of(1) >= 1, "{what}: the first account in order was not called");
    assert!(running.fake.calls_of(1) <= 5, "{what}: called too often");
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_sends_the_request_to_another_account() {
    for (what, body) in [
        (
            "a rate",
            r#"{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        ),
        (
            "a quota",
            r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        ),
        (
            "a key",
            r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        ),
        (
            "an overload",
            r#"{"error":{"message":"The server is currently overloaded with other requests.","type":"server_error","param":null,"code":null}}"#,
        ),
        (
            "with all that an answer has",
            r#"{"id":"x","object":"chat.completion","choices":null,"error":{"message":"Rate limit exceeded","code":429}}"#,
        ),
    ] {
        check(what, "openai", body, chat).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_of_other_providers_sends_the_request_to_another_account() {
    let balance = r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#;
    check("DeepSeek's balance", "deepseek", balance, chat).await;
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    check("Anthropic's overload", "anthropic", overloaded, claude).await;
    let rate = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many."}}"#;
    check("Anthropic's rate", "anthropic", rate, claude).await;
    let exhausted = r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#;
    check("Gemini's rate", "gemini", exhausted, gemini).await;
    let router = r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"rate-limited upstream","provider_name":"x"}},"user_id":"u"}"#;
    check("OpenRouter's rate", "openrouter", router, chat).await;
}

#[tokio::test(start_paused = true)]
async fn a_json_error_in_place_of_a_stream_sends_the_request_to_another_account() {
    let rate = r#"{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","code":"rate_limit_exceeded"}}"#;
    check("OpenAI", "openai", rate, chat_stream).await;
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    check("Anthropic", "anthropic", overloaded, claude_stream).await;
    let exhausted = r#"[{"error":{"code":429,"message":"Resource has been exhausted.","status":"RESOURCE_EXHAUSTED"}}]"#;
    check("Gemini", "gemini", exhausted, gemini_stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_faulty_request_refused_inside_a_200_is_sent_twice_at_most() {
    let body = r#"{"error":{"message":"Invalid value for 'messages'.","type":"invalid_request_error","param":"messages","code":"invalid_value"}}"#;
    let running = run(pool("openai", 3, ""), move |seen| {
        if seen.says("mistake") { refusal(200, &[], body) } else { ok(seen) }
    });
    let outcome =
        running.send(super::chat_with("gpt-4o", &serde_json::json!({"user": "mistake"}))).await;
    // The status is not prescribed.
    assert_eq!(outcome.text, body, "{outcome}");
    let calls = running.fake.calls();
    assert!(calls <= 2, "{calls} calls for a mistake");
    running.all_is_well(3, chat, "without the mistake").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_looks_like_an_error_is_an_answer() {
    for body in [
        r#"{"id":"r","object":"response","status":"completed","error":null,"output":[]}"#,
        r#"{"error":null,"choices":[{"message":{"role":"assistant","content":"{\"error\":{\"code\":\"invalid_api_key\"}}"}}]}"#,
        r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"error","arguments":"{\"error\":{\"message\":\"Rate limit reached\",\"code\":\"rate_limit_exceeded\"}}"}}]}}]}"#,
        r#"{"choices":[],"errors":[],"error":""}"#,
        r#"{"choices":[{"message":{"content":"Hello"}}],"error":{}}"#,
    ] {
        let running = run(pool("openai", 2, ""), move |_: &Seen| refusal(200, &[], body));
        for number in 1..=5 {
            let outcome = running.send(chat()).await;
            outcome.is_answered_at_once("as it came");
            assert_eq!((outcome.text.as_str(), running.fake.calls()), (body, number));
        }
    }
}
