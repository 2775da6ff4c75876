//! Wrong headers of the caller, which every key refuses.

use std::time::Duration;

use super::{Ask, chat, chat_stream, claude, gemini, pool, run, with};
use crate::fake::{Seen, ok, refusal};

const NO_SUCH_ORGANIZATION: &str = r#"{"error":{"message":"No such organization: org-typo.","type":"invalid_request_error","param":null,"code":"invalid_organization"}}"#;

/// A request with a mistake, and the same request without it.
struct Mistake {
    what: &'static str,
    provider: &'static str,
    accounts: usize,
    is_wrong: fn(&Seen) -> bool,
    status: u16,
    body: &'static str,
    wrong: Ask,
    right: Ask,
}

const UNKNOWN_ORGANISATION: Mistake = Mistake {
    what: "an organisation that does not exist",
    provider: "openai",
    accounts: 3,
    is_wrong: |seen| seen.headers.get("openai-organization").is_some_and(|org| org == "org-typo"),
    status: 401,
    body: NO_SUCH_ORGANIZATION,
    wrong: || with("openai-organization", "org-typo", chat()),
    right: chat,
};

async fn check(case: &Mistake) {
    let Mistake { what, provider, accounts, is_wrong, status, body, .. } = *case;
    let answer = move |seen: &Seen| {
        if is_wrong(seen) { refusal(status, &[], body) } else { ok(seen) }
    };
    // As the first request of all, and after others.
    for before in [0, 30] {
        let running = run(pool(provider, accounts, ""), answer);
        for outcome in running.pace(before, Duration::from_millis(100), case.right).await {
            outcome.is_answered_at_once(what);
        }
        let outcome = running.send((case.wrong)()).await;
        assert_eq!((outcome.status, outcome.text.as_str()), (status, body), "{what}: {outcome}");
        let calls = running.fake.count(is_wrong);
        assert!(calls <= accounts.min(3), "{what}: {calls} calls of {accounts} keys");
        running.send((case.right)()).await.is_answered_at_once(what);
        running.all_is_well(accounts, case.right, what).await;

        // A caller with a wrong configuration repeats its request every few seconds.
        for _ in 0..20 {
            assert_eq!(running.send((case.wrong)()).await.status, status, "{what}");
            running.send((case.right)()).await.is_answered_at_once(what);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let calls = running.fake.count(is_wrong);
        assert!(calls <= 45, "{what}: {calls} calls for 21 mistakes");
        running.all_is_well(accounts, case.right, what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_organisation_is_shown_to_three_accounts_at_most() {
    check(&UNKNOWN_ORGANISATION).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_organisation_rests_nothing_for_any_number_of_keys() {
    for accounts in [1, 2, 12] {
        check(&Mistake { accounts, ..UNKNOWN_ORGANISATION }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_project_rests_nothing() {
    check(&Mistake {
        what: "a project of another organisation, as a stream",
        is_wrong: |seen| seen.headers.contains_key("openai-project"),
        body: r#"{"error":{"message":"OpenAI-Project header should match project for API key","type":"invalid_request_error","param":null,"code":"mismatched_project"}}"#,
        wrong: || with("openai-project", "proj_typo", chat_stream()),
        right: chat_stream,
        ..UNKNOWN_ORGANISATION
    })
    .await;
    check(&Mistake {
        what: "the same as a 403 without a word why",
        is_wrong: |seen| seen.headers.contains_key("openai-project"),
        status: 403,
        body: r#"{"error":{"message":"Forbidden"}}"#,
        wrong: || with("openai-project", "proj_typo", chat()),
        ..UNKNOWN_ORGANISATION
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn wrong_headers_of_other_providers_rest_nothing() {
    check(&Mistake {
        what: "a workspace of Anthropic",
        provider: "anthropic",
        is_wrong: |seen| seen.headers.contains_key("anthropic-workspace-id"),
        body: r#"{"type":"error","error":{"type":"authentication_error","message":"Workspace wrkspc_typo is not accessible with this API key."}}"#,
        wrong: || with("anthropic-workspace-id", "wrkspc_typo", claude()),
        right: claude,
        ..UNKNOWN_ORGANISATION
    })
    .await;
    check(&Mistake {
        what: "a project of Google",
        provider: "gemini",
        is_wrong: |seen| seen.headers.contains_key("x-goog-user-project"),
        status: 403,
        body: r#"{"error":{"code":403,"message":"Caller does not have required permission to use project typo.","status":"PERMISSION_DENIED","details":[{"reason":"USER_PROJECT_DENIED"}]}}"#,
        wrong: || with("x-goog-user-project", "typo", gemini()),
        right: gemini,
        ..UNKNOWN_ORGANISATION
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_organisation_of_one_account_rests_nothing_of_others() {
    let answer = |seen: &Seen| {
        let is_foreign = seen.headers.contains_key("openai-organization") && !seen.is_of(2);
        if is_foreign { refusal(401, &[], NO_SUCH_ORGANIZATION) } else { ok(seen) }
    };
    let running = run(pool("openai", 3, ""), answer);
    // The account that could serve it need not be found. But nothing may rest for other requests.
    for _ in 0..20 {
        let outcome = running.send(with("openai-organization", "org-of-2", chat())).await;
        assert!([200, 401].contains(&outcome.status), "{outcome}");
        running.send(chat()).await.is_answered_at_once("without the header");
    }
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    running.all_is_well(3, chat, "without the header").await;
}
