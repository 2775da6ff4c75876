//! Errors in streams: what callers see, and the state of keys and accounts afterwards.

use std::time::Duration;

use tower_key_rotation::sandbox::{Dialect, Fault, Sandbox, Script};

use crate::{
    gateway::upstream::Upstream,
    start::{Started, chat, sandbox, start, two_accounts},
};

/// The provider, a path, a body, the number of events before the content, and the start of an error.
const STYLES: [(Dialect, &str, &str, u64, &str); 5] = [
    (
        Dialect::OpenAi,
        "/v1/chat/completions",
        r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        1,
        "data: {\"error\"",
    ),
    (
        Dialect::OpenAi,
        "/openai/v1/responses",
        r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#,
        1,
        "event: response.failed",
    ),
    (
        Dialect::Anthropic,
        "/anthropic/v1/messages",
        r#"{"model":"claude-x","stream":true,"max_tokens":99,"messages":[{"role":"user","content":"Hello"}]}"#,
        3,
        "event: error",
    ),
    (
        Dialect::Gemini,
        "/gemini/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
        r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#,
        0,
        "data: {\"error\"",
    ),
    (
        Dialect::Gemini,
        "/gemini/v1beta/models/gemini-x:streamGenerateContent",
        r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#,
        0,
        "{\"error\"",
    ),
];

async fn gateway(dialect: Dialect, in_pool: &str) -> (Started, Sandbox) {
    let name = match dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        _ => "gemini",
    };
    let fake = sandbox(dialect, Script::new());
    let upstream = Upstream::Sandbox(fake.clone());
    (start(two_accounts(name, in_pool), upstream).await, fake)
}

/// The number of accounts that rest, for all models or for one. Checks that all keys are alive and no request
/// is in flight.
async fn accounts_out(gateway: &Started) -> usize {
    let (_, status) = gateway.json(gateway.get("/-/status")).await;
    let pool = &status["pools"][0];
    let accounts = pool["accounts"].as_array().unwrap();
    for account in accounts {
        assert_eq!(account["keys"][0]["alive"], true, "{status}");
        assert_eq!(account["in_flight"], 0, "{status}");
    }
    let whole = accounts.iter().filter(|account| !account["cooling_for"].is_null()).count();
    let lanes = pool["lanes"].as_array().unwrap().iter();
    whole + lanes.map(|lane| lane["cooling"].as_object().unwrap().len()).sum::<usize>()
}

#[tokio::test]
async fn an_error_before_content_is_hidden_from_the_caller() {
    for (dialect, path, body, preludes, error) in STYLES {
        let (gateway, fake) = gateway(dialect, "").await;
        assert!(fake.fail(Fault::stream_quota_error(preludes, 1)));
        let (status, text) = gateway.text(gateway.post(path, body)).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains(error) && text.contains("ant "), "{path}: {text}");
        let seen = fake.stats();
        assert_eq!((seen.total().requests, seen.total().streams_finished), (2, 1), "{path}");
        assert_eq!(accounts_out(&gateway).await, 1, "{path}");
    }
}

#[tokio::test]
async fn an_error_after_content_is_passed_on_once() {
    for (dialect, path, body, preludes, error) in STYLES {
        let (gateway, fake) = gateway(dialect, "").await;
        assert!(fake.fail(Fault::stream_quota_error(preludes + 1, 1)));
        let (status, text) = gateway.text(gateway.post(path, body)).await;
        assert_eq!((status, text.matches(error).count()), (200, 1), "{path}: {text}");
        assert!(text.contains("ant "), "{path}: {text}");
        assert_eq!(fake.stats().total().requests, 1, "{path}");
        assert_eq!(accounts_out(&gateway).await, 1, "{path}");
        // The next request goes to the other account.
        let (status, text) = gateway.text(gateway.post(path, body)).await;
        assert_eq!((status, text.contains(error)), (200, false), "{path}: {text}");
        assert_eq!(fake.stats().total().requests, 2, "{path}");
    }
}

#[tokio::test]
async fn if_all_accounts_fail_the_last_stream_is_passed_on() {
    for (dialect, path, body, preludes, error) in STYLES {
        let (gateway, fake) = gateway(dialect, "").await;
        assert!(fake.fail(Fault::stream_quota_error(preludes, 9)));
        let (status, text) = gateway.text(gateway.post(path, body)).await;
        assert_eq!((status, text.matches(error).count()), (200, 1), "{path}: {text}");
        assert_eq!(fake.stats().total().requests, 2, "{path}: each account once");
        assert_eq!(accounts_out(&gateway).await, 2, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_ended_and_one_without_a_start_is_retried() {
    let (path, hour) = ("/v1/chat/completions", Duration::from_secs(3_600));
    let (gateway, fake) = gateway(Dialect::OpenAi, "first_token = \"20s\"\nidle = \"20s\"").await;
    assert!(fake.fail(Fault::stall_streams(1, hour, 1)));
    let (status, text) = gateway.text(gateway.post(path, chat("gpt-4o", true))).await;
    assert_eq!(status, 200);
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(fake.stats().total().requests, 2);

    assert!(fake.fail(Fault::stall_streams(3, hour, 1)));
    let (status, text) = gateway.text(gateway.post(path, chat("gpt-4o", true))).await;
    assert_eq!(status, 200);
    let (_, error) = text.split_once("\n\nevent: error\ndata: ").unwrap();
    let error: serde_json::Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["code"], "timeout");
    assert_eq!((fake.stats().total().requests, accounts_out(&gateway).await), (3, 0));
}
