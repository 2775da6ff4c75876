//! A key that may not do one operation is still used for all others.

use std::{sync::atomic::Ordering, time::Duration};

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{
    Ask, chat, chat_stream, chat_with, claude, claude_stream, gemini, get, pool, post, question,
    run, with,
};
use crate::fake::{Seen, ok, refusal};

const MISSING_SCOPE: &str = r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write.","type":"invalid_request_error","param":null,"code":null}}"#;
const PERMISSION: &str = r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}"#;
const AUTHENTICATION: &str =
    r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
const INCORRECT: &str = r#"{"error":{"message":"Incorrect API key provided: sk-x. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;

/// An operation that no key of the provider may do.
struct Forbidden {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    is_forbidden: fn(&Seen) -> bool,
    status: u16,
    body: &'static str,
    /// A request for this operation, and one for another operation.
    wrong: Ask,
    right: Ask,
}

/// The caller gets the refusal after a few calls, and no other caller notices.
async fn check(case: &Forbidden) {
    let Forbidden { what, provider, accounts, is_forbidden, status, body, .. } = *case;
    let running = run(pool(provider, accounts, ""), move |seen| {
        if is_forbidden(seen) { refusal(status, &[], body) } else { ok(seen) }
    });
    let outcome = running.send((case.wrong)()).await;
    let calls = running.fake.calls();
    // For keys that were not accepted yet, the answer may come from the pool.
    assert!(outcome.status >= 400, "{what}: no key may do this: {outcome}");
    assert!(calls <= accounts.min(3), "{what}: {calls} calls of {accounts} keys for one request");
    let outcome = running.send((case.right)()).await;
    outcome.is_answered_at_once(what);
    running.all_is_well(accounts, case.right, what).await;

    // A repeated request costs no more, and does not affect others.
    for _ in 0..10 {
        let outcome = running.send((case.wrong)()).await;
        assert_eq!(
            outcome.status, status,
            "{what}: the keys work, so the request is at fault: {outcome}"
        );
        running.send((case.right)()).await.is_answered_at_once(what);
    }
    let calls = running.fake.count(is_forbidden);
    assert!(calls <= 25, "{what}: {calls} calls for eleven mistakes");

    // All at once, mixed with allowed requests.
    let before = running.fake.count(is_forbidden);
    let wrong: Vec<_> = (0..20).map(|_| tokio::spawn(running.send((case.wrong)()))).collect();
    let right: Vec<_> = (0..20).map(|_| tokio::spawn(running.send((case.right)()))).collect();
    for outcome in right {
        outcome.await.unwrap().is_answered_at_once(what);
    }
    for outcome in wrong {
        let outcome = outcome.await.unwrap();
        assert_eq!(outcome.status, status, "{what}: twenty at once: {outcome}");
    }
    let calls = running.fake.count(is_forbidden) - before;
    assert!(calls <= 60, "{what}: {calls} calls for twenty at once");
    running.all_is_well(accounts, case.right, what).await;
}

fn responses() -> Request<Body> {
    post("/v1/responses", &json!({"model": "gpt-4o", "input": question()}))
}

fn is_responses(seen: &Seen) -> bool {
    seen.path == "/v1/responses"
}

const RESPONSES_WITHOUT_SCOPE: Forbidden = Forbidden {
    what: "responses without their scope",
    provider: "openai",
    accounts: 2,
    is_forbidden: is_responses,
    status: 401,
    body: MISSING_SCOPE,
    wrong: responses,
    right: chat,
};

#[tokio::test(start_paused = true)]
async fn a_missing_scope_rests_only_its_operation() {
    check(&RESPONSES_WITHOUT_SCOPE).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_of_a_single_key_rests_only_its_operation() {
    check(&Forbidden { accounts: 1, ..RESPONSES_WITHOUT_SCOPE }).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_as_403_or_in_streams_rests_only_its_operation() {
    check(&Forbidden {
        status: 403,
        wrong: || {
            let input = question();
            post("/v1/responses", &json!({"model": "gpt-4o", "stream": true, "input": input}))
        },
        right: chat_stream,
        ..RESPONSES_WITHOUT_SCOPE
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_of_embeddings_or_files_rests_only_its_operation() {
    check(&Forbidden {
        what: "embeddings without their scope",
        is_forbidden: |seen| seen.path == "/v1/embeddings",
        body: r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: model.request. Check that you have the correct role in your organization.","type":"invalid_request_error","param":null,"code":"missing_scope"}}"#,
        // For a model that is also used for chats.
        wrong: || post("/v1/embeddings", &json!({"model": "gpt-4o", "input": question()})),
        ..RESPONSES_WITHOUT_SCOPE
    })
    .await;
    check(&Forbidden {
        what: "files without their scope",
        is_forbidden: |seen| seen.path == "/v1/files",
        body: r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.files.read.","type":"server_error","param":null,"code":null}}"#,
        status: 403,
        wrong: || get("/v1/files"),
        accounts: 3,
        ..RESPONSES_WITHOUT_SCOPE
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_key_without_a_scope_is_tried_again_after_its_rest() {
    let granted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_granted = std::sync::Arc::clone(&granted);
    let running = run(pool("openai", 2, "strategy = \"round_robin\""), move |seen| {
        let lacks = is_responses(seen) && seen.is_of(1) && !is_granted.load(Ordering::Relaxed);
        if lacks { refusal(401, &[], MISSING_SCOPE) } else { ok(seen) }
    });
    let second = Duration::from_secs(1);
    for outcome in running.pace(40, second, responses).await {
        outcome.is_answered_at_once("one key has the scope");
    }
    let asked = running.fake.count(|seen| is_responses(seen) && seen.is_of(1));
    assert!((1..=5).contains(&asked), "the key without the scope was called {asked} times");
    running.all_is_well(2, chat, "chats need no scope").await;

    granted.store(true, Ordering::Relaxed);
    // A place rests for an hour at most. Then a request tries it again.
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    running.all_is_well(2, responses, "the scope was granted").await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_no_key_may_do_is_tried_again_later() {
    let running = run(pool("openai", 2, ""), |seen| {
        let lacks = is_responses(seen) && seen.is_before(600.0);
        if lacks { refusal(401, &[], MISSING_SCOPE) } else { ok(seen) }
    });
    assert_eq!(running.send(responses()).await.status, 401);
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    running.send(responses()).await.is_answered_at_once("the scope was granted");
    running.send(chat()).await.is_answered_at_once("chats are as before");
}

fn has_beta(seen: &Seen) -> bool {
    seen.headers.contains_key("anthropic-beta")
}

const UNKNOWN_BETA: Forbidden = Forbidden {
    what: "a beta that no account has",
    provider: "anthropic",
    accounts: 2,
    is_forbidden: has_beta,
    status: 403,
    body: PERMISSION,
    wrong: || with("anthropic-beta", "x", claude()),
    right: claude,
};

#[tokio::test(start_paused = true)]
async fn a_beta_that_no_account_has_affects_no_other_request() {
    check(&UNKNOWN_BETA).await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_beta_of_a_single_key_or_in_streams_affects_no_other_request() {
    check(&Forbidden { accounts: 1, ..UNKNOWN_BETA }).await;
    let wrong = || with("anthropic-beta", "context-1m-2025-08-07", claude_stream());
    check(&Forbidden { accounts: 3, wrong, right: claude_stream, ..UNKNOWN_BETA }).await;
}

#[tokio::test(start_paused = true)]
async fn a_path_that_no_account_has_affects_no_other_request() {
    check(&Forbidden {
        what: "batches of Anthropic",
        is_forbidden: |seen| seen.path == "/v1/messages/batches",
        wrong: || {
            let params = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": []});
            let requests = json!([{"custom_id": "a", "params": params}]);
            post("/anthropic/v1/messages/batches", &json!({"requests": requests}))
        },
        ..UNKNOWN_BETA
    })
    .await;
    check(&Forbidden {
        what: "cached contents of Gemini",
        provider: "gemini",
        is_forbidden: |seen| seen.path == "/v1beta/cachedContents",
        body: r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#,
        wrong: || {
            let model = "models/gemini-2.5-flash";
            post("/gemini/v1beta/cachedContents", &json!({"model": model, "contents": []}))
        },
        right: gemini,
        ..UNKNOWN_BETA
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_beta_that_one_account_has_affects_no_other_request() {
    let running = run(pool("anthropic", 2, ""), |seen| {
        let lacks = has_beta(seen) && seen.is_of(1);
        if lacks { refusal(403, &[], PERMISSION) } else { ok(seen) }
    });
    for outcome in running.pace(20, Duration::from_secs(1), UNKNOWN_BETA.wrong).await {
        outcome.is_answered_at_once("one account has the beta");
    }
    // The first account may rest for messages, but must be tried again.
    running.send(claude()).await.is_answered_at_once("plain messages need no beta");
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    running.all_is_well(2, claude, "plain messages need no beta").await;
}

const ADMINISTRATION: Forbidden = Forbidden {
    what: "administration with ordinary keys",
    provider: "anthropic",
    accounts: 50,
    is_forbidden: |seen| seen.path.starts_with("/v1/organizations"),
    status: 401,
    body: AUTHENTICATION,
    wrong: || get("/anthropic/v1/organizations/me"),
    right: claude,
};

#[tokio::test(start_paused = true)]
async fn a_forbidden_administration_request_is_not_tried_with_fifty_keys() {
    check(&ADMINISTRATION).await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_administration_request_with_one_or_two_keys_rests_only_its_operation() {
    check(&Forbidden { accounts: 2, ..ADMINISTRATION }).await;
    check(&Forbidden { accounts: 1, ..ADMINISTRATION }).await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_administration_request_of_openai_rests_only_its_operation() {
    check(&Forbidden {
        what: "usage of the organisation",
        provider: "openai",
        accounts: 50,
        is_forbidden: |seen| seen.path.starts_with("/v1/organization/"),
        body: r#"{"error":{"message":"Your authentication token is not from a valid issuer.","type":"invalid_request_error","param":null,"code":"invalid_issuer"}}"#,
        wrong: || get("/openai/v1/organization/usage/completions?start_time=1"),
        right: || chat_with("gpt-4o-mini", &json!({})),
        ..ADMINISTRATION
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_administration_path_that_rejects_working_keys_kills_no_key() {
    let running = run(pool("openai", 5, ""), |seen| {
        let is_forbidden = seen.path.starts_with("/v1/organization/");
        if is_forbidden { refusal(401, &[], INCORRECT) } else { ok(seen) }
    });
    running.all_is_well(5, chat, "before").await;
    let before = running.fake.calls();
    let wrong = post("/openai/v1/organization/admin_api_keys", &json!({"name": "n"}));
    let outcome = running.send(wrong).await;
    assert!(outcome.status >= 400, "{outcome}");
    let calls = running.fake.calls() - before;
    assert!(calls <= 3, "{calls} calls for one request");
    running.send(chat()).await.is_answered_at_once("the keys work");
    running.all_is_well(5, chat, "the keys work").await;
}
