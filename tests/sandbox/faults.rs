//! Each fault affects the right requests, the right number of times.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::{Instant, advance};
use tower::ServiceExt;
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, Fault, Sandbox, SandboxError},
};

use crate::{CHAT, MESSAGES, ask, chat, chat_with, generate, messages, org_a, post, send, status};

pub(crate) fn two_accounts(dialect: Dialect) -> Sandbox {
    org_a(dialect, []).account("org-b", [], ["sk-sandbox-b1"]).build()
}

pub(crate) async fn code(sandbox: &Sandbox, secret: &str) -> u16 {
    status(sandbox, chat(secret)).await.as_u16()
}

#[tokio::test]
async fn a_revoked_key_is_unknown_until_it_is_restored() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::revoke("sk-sandbox-a1")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 401);
    assert_eq!(code(&sandbox, "sk-sandbox-a2").await, 200);
    assert!(sandbox.fail(Fault::restore("sk-sandbox-a1")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert!(!sandbox.fail(Fault::revoke("sk-typo")));
}

#[tokio::test]
async fn an_exhausted_account_is_refused_in_the_words_of_each_dialect() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::exhaust_quota("org-a")));
    let (status, headers, body) = ask(&sandbox, chat("sk-sandbox-a2")).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (429, &"insufficient_quota".into()));
    assert!(!headers.contains_key("retry-after"));
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);
    assert!(sandbox.fail(Fault::restore("org-a")));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::exhaust_quota("org-a"));
    let (status, headers, body) = ask(&sandbox, messages(MESSAGES)).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("Your credit balance is too low"));
    assert_eq!((status.as_u16(), &headers["x-should-retry"]), (400, &"false".parse().unwrap()));

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::exhaust_quota("org-a"));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    let quota = &body["error"]["details"][0]["violations"][0]["quotaId"];
    assert_eq!(status.as_u16(), 429);
    assert!(quota.as_str().unwrap().contains("PerDay"));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_account_states_how_long_the_limit_lasts() {
    let sandbox = two_accounts(Dialect::OpenAi);
    advance(Duration::from_secs(7)).await;
    sandbox.fail(Fault::rate_limit("org-a", Duration::from_secs(20)));
    advance(Duration::from_millis(4_500)).await;
    let (status, headers, _) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(status.as_u16(), 429);
    assert_eq!(headers["retry-after"], "16");
    assert_eq!(headers["retry-after-ms"], "15500");
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);
    advance(Duration::from_millis(15_499)).await;
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 429);
    advance(Duration::from_millis(1)).await;
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert_eq!(sandbox.stats().account("org-a").rate_limited, 2);
}

#[tokio::test]
async fn a_forbidden_model_affects_one_key_only() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::forbid_model("sk-sandbox-a1", "gpt-4o"));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 403);
    assert_eq!(code(&sandbox, "sk-sandbox-a2").await, 200);
    let other = CHAT.replace("gpt-4o", "gpt-5");
    assert_eq!(status(&sandbox, chat_with("sk-sandbox-a1", &other)).await, StatusCode::OK);
    sandbox.fail(Fault::restore("sk-sandbox-a1"));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
}

fn responses(secret: &str) -> Request<Full<Bytes>> {
    let request = post("/v1/responses").header("authorization", format!("Bearer {secret}"));
    request.body(Full::from(r#"{"model":"gpt-4o","input":"Hello"}"#)).unwrap()
}

#[tokio::test]
async fn a_key_with_a_forbidden_path_serves_the_other_paths() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::forbid_path("sk-sandbox-a1", "/responses")));
    assert!(!sandbox.fail(Fault::forbid_path("sk-typo", "/responses")));
    let (status, _, body) = ask(&sandbox, responses("sk-sandbox-a1")).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("Missing scopes: api.responses.write."), "{message}");
    assert_eq!((status.as_u16(), &body["error"]["code"]), (401, &Value::Null));
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert_eq!(send(&sandbox, responses("sk-sandbox-a2")).await.status(), StatusCode::OK);
    assert!(sandbox.fail(Fault::restore("sk-sandbox-a1")));
    assert_eq!(send(&sandbox, responses("sk-sandbox-a1")).await.status(), StatusCode::OK);
    let counts = sandbox.stats().key("org-a-1");
    assert_eq!((counts.errors, counts.rejected), (1, 0));

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::forbid_path("sk-sandbox-a1", "/messages"));
    let (status, headers, body) = ask(&sandbox, messages(MESSAGES)).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (403, &"permission_error".into()));
    assert_eq!(headers["x-should-retry"], "false");

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::forbid_path("sk-sandbox-a1", "generateContent"));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!((status.as_u16(), &body["error"]["status"]), (403, &"PERMISSION_DENIED".into()));
    assert_eq!(body["error"]["details"][0]["reason"], "API_KEY_SERVICE_BLOCKED");
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_model_affects_every_key_but_no_other_model() {
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::overload_model("gpt-4o", Duration::from_secs(20))));
    sandbox.fail(Fault::overload_model("gpt-4o", Duration::from_secs(5)));
    let other = CHAT.replace("gpt-4o", "gpt-5");
    assert_eq!(status(&sandbox, chat_with("sk-sandbox-a1", &other)).await, StatusCode::OK);
    advance(Duration::from_millis(19_999)).await;
    for secret in ["sk-sandbox-a1", "sk-sandbox-b1"] {
        let (status, _, body) = ask(&sandbox, chat(secret)).await;
        assert_eq!(status.as_u16(), 503);
        assert_eq!(body["error"]["code"], "server_is_overloaded");
    }
    advance(Duration::from_millis(1)).await;
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    assert_eq!(sandbox.stats().total().errors, 2);

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::overload_model("gemini-2.5-flash", Duration::from_secs(20)));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!((status.as_u16(), &body["error"]["status"]), (503, &"UNAVAILABLE".into()));
}

#[tokio::test(start_paused = true)]
async fn in_an_auth_outage_no_key_is_known() {
    for (dialect, expected) in [(Dialect::OpenAi, 401), (Dialect::Gemini, 400)] {
        let sandbox = two_accounts(dialect);
        let status = async |sandbox: &Sandbox| match dialect {
            Dialect::Gemini => status(sandbox, generate("generateContent")).await.as_u16(),
            _ => code(sandbox, "sk-sandbox-b1").await,
        };
        assert!(sandbox.fail(Fault::auth_outage(Duration::from_secs(3))));
        assert_eq!(status(&sandbox).await, expected);
        assert_eq!(sandbox.stats().total().rejected, 1);
        advance(Duration::from_secs(3)).await;
        assert_eq!(status(&sandbox).await, 200);
    }
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::auth_outage(Duration::from_secs(3)));
    let (_, _, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(body["error"]["code"], "invalid_api_key");
}

#[tokio::test]
async fn a_request_with_a_rejected_header_is_refused_with_every_key() {
    let with = |mut request: Request<Full<Bytes>>, name: &'static str, value: &'static str| {
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let sandbox = two_accounts(Dialect::OpenAi);
    assert!(sandbox.fail(Fault::reject_header("OpenAI-Organization", "typo")));
    for secret in ["sk-sandbox-a1", "sk-sandbox-b1"] {
        let wrong = with(chat(secret), "openai-organization", "org-typo");
        let (status, _, body) = ask(&sandbox, wrong).await;
        assert_eq!(
            (status.as_u16(), &body["error"]["code"]),
            (401, &"invalid_organization".into())
        );
        assert_eq!(body["error"]["message"], "No such organization: org-typo.");
        let right = with(chat(secret), "openai-organization", "org-a");
        assert_eq!(send(&sandbox, right).await.status(), StatusCode::OK);
    }
    assert_eq!(sandbox.stats().total().errors, 2);

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::reject_header("anthropic-beta", "no-such"));
    let wrong = with(messages(MESSAGES), "anthropic-beta", "no-such-beta");
    let (status, _, body) = ask(&sandbox, wrong).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (400, &"invalid_request_error".into()));

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::reject_header("x-goog-user-project", "typo"));
    let wrong = with(generate("generateContent"), "x-goog-user-project", "typo");
    let (status, _, body) = ask(&sandbox, wrong).await;
    assert_eq!(status.as_u16(), 403);
    assert_eq!(body["error"]["details"][0]["reason"], "USER_PROJECT_DENIED");
}

#[tokio::test]
async fn counted_faults_affect_requests_in_turn_and_then_end() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::overload(2));
    sandbox.fail(Fault::error(StatusCode::INTERNAL_SERVER_ERROR, 1));
    assert_eq!(code(&sandbox, "sk-wrong").await, 401, "an unknown key uses up no fault");
    let (_, _, body) = ask(&sandbox, chat("sk-sandbox-a1")).await;
    assert_eq!(body["error"]["code"], "server_is_overloaded");
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 503);
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 500);
    assert_eq!(code(&sandbox, "sk-sandbox-b1").await, 200);

    let sandbox = two_accounts(Dialect::Anthropic);
    sandbox.fail(Fault::overload(1));
    let (status, headers, body) = ask(&sandbox, messages(MESSAGES)).await;
    assert_eq!((status.as_u16(), &body["error"]["type"]), (529, &"overloaded_error".into()));
    assert_eq!(headers["x-should-retry"], "true");

    let sandbox = two_accounts(Dialect::Gemini);
    sandbox.fail(Fault::overload(1));
    let (status, _, body) = ask(&sandbox, generate("generateContent")).await;
    assert_eq!((status.as_u16(), &body["error"]["status"]), (503, &"UNAVAILABLE".into()));
}

#[tokio::test]
async fn a_refused_connection_is_an_error_of_the_call() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::refuse_connections(2));
    for _ in 0..2 {
        let error = sandbox.clone().oneshot(chat("sk-sandbox-a1")).await.unwrap_err();
        assert_eq!(error, SandboxError::ConnectionRefused);
    }
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
    let stats = sandbox.stats();
    assert_eq!((stats.refused_connections(), stats.total().requests), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_delay_affects_answers_and_refusals() {
    let sandbox = two_accounts(Dialect::OpenAi);
    sandbox.fail(Fault::delay(Duration::from_secs(3), 2));
    sandbox.fail(Fault::overload(1));
    let took = async |sandbox: &Sandbox| {
        let start = Instant::now();
        let status = code(sandbox, "sk-sandbox-a1").await;
        (status, start.elapsed())
    };
    assert_eq!(code(&sandbox, "sk-wrong").await, 401, "an unknown key uses up no fault");
    assert_eq!(took(&sandbox).await, (503, Duration::from_secs(3)));
    assert_eq!(took(&sandbox).await, (200, Duration::from_secs(3)));
    assert_eq!(took(&sandbox).await, (200, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_by_a_fault_costs_nothing_of_the_limits() {
    let sandbox = org_a(Dialect::OpenAi, [Limit::requests(1).per_hour()]).build();
    sandbox.fail(Fault::overload(3));
    for _ in 0..3 {
        assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 503);
    }
    assert_eq!(code(&sandbox, "sk-sandbox-a1").await, 200);
}
