//! Which key a request uses, and that no output shows a secret.

use http::StatusCode;
use http_body_util::Full;
use tower_key_rotation::sandbox::{Dialect, Fault, Sandbox};

use crate::{CHAT, GENERATE, MESSAGES, ask, chat, org_a, post, status};

/// The status of a request with these headers.
async fn with(dialect: Dialect, path: &str, body: &'static str, headers: &[(&str, &str)]) -> u16 {
    let sandbox = org_a(dialect, []).build();
    let request =
        headers.iter().fold(post(path), |request, (name, value)| request.header(*name, *value));
    status(&sandbox, request.body(Full::from(body)).unwrap()).await.as_u16()
}

const BEARER: (&str, &str) = ("authorization", "Bearer sk-sandbox-a1");
const X_API_KEY: (&str, &str) = ("x-api-key", "sk-sandbox-a1");
const GOOGLE: (&str, &str) = ("x-goog-api-key", "sk-sandbox-a1");
const WRONG: (&str, &str) = ("authorization", "Bearer sk-wrong");

#[tokio::test]
async fn a_key_is_accepted_only_in_the_places_of_its_dialect() {
    let openai =
        async |headers: &[_]| with(Dialect::OpenAi, "/v1/chat/completions", CHAT, headers).await;
    assert_eq!(openai(&[BEARER]).await, 200);
    assert_eq!(openai(&[X_API_KEY]).await, 401);
    assert_eq!(openai(&[("authorization", "sk-sandbox-a1")]).await, 401);
    assert_eq!(openai(&[WRONG]).await, 401);
    assert_eq!(openai(&[]).await, 401);

    let messages =
        async |headers: &[_]| with(Dialect::Anthropic, "/v1/messages", MESSAGES, headers).await;
    assert_eq!(messages(&[X_API_KEY]).await, 200);
    assert_eq!(messages(&[BEARER]).await, 200);
    assert_eq!(messages(&[GOOGLE]).await, 401);
    let compatible = with(Dialect::Anthropic, "/v1/chat/completions", CHAT, &[BEARER]).await;
    assert_eq!(compatible, 200);

    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let gemini = async |query: &str, headers: &[_]| {
        with(Dialect::Gemini, &format!("{path}{query}"), GENERATE, headers).await
    };
    assert_eq!(gemini("", &[GOOGLE]).await, 200);
    assert_eq!(gemini("?alt=json&key=sk-sandbox-a1", &[]).await, 200);
    assert_eq!(gemini("?%6Bey=sk%2Dsandbox%2Da1", &[]).await, 200, "as a server decodes it");
    assert_eq!(gemini("?%6Bey=sk-sandbox-a1", &[GOOGLE]).await, 400, "two keys");
    assert_eq!(gemini("", &[BEARER]).await, 403, "as without a key");
    let path = "/v1beta/openai/chat/completions";
    assert_eq!(with(Dialect::Gemini, path, CHAT, &[BEARER]).await, 200);
}

#[tokio::test]
async fn several_credentials_are_refused_even_if_each_is_valid() {
    let path = "/v1/chat/completions";
    for second in [BEARER, X_API_KEY, GOOGLE] {
        assert_eq!(with(Dialect::OpenAi, path, CHAT, &[BEARER, second]).await, 401);
    }
    let path = format!("{path}?key=sk-sandbox-a1");
    assert_eq!(with(Dialect::OpenAi, &path, CHAT, &[BEARER]).await, 401);
    let path = "/v1/messages";
    assert_eq!(with(Dialect::Anthropic, path, MESSAGES, &[X_API_KEY, BEARER]).await, 401);
    let path = "/v1beta/models/gemini-2.5-flash:generateContent?key=sk-sandbox-a1";
    assert_eq!(with(Dialect::Gemini, path, GENERATE, &[GOOGLE]).await, 400);
}

#[tokio::test]
async fn rejections_have_the_shape_of_the_dialect() {
    let unknown = |path: &str, name: &str, value: &str| {
        post(path).header(name, value).body(Full::from(CHAT)).unwrap()
    };
    let sandbox = org_a(Dialect::OpenAi, []).build();
    let (_, headers, body) = ask(&sandbox, chat("sk-wrong")).await;
    assert_eq!(body["error"]["code"], "invalid_api_key");
    assert!(!headers.contains_key("x-sandbox-key"));

    let sandbox = org_a(Dialect::Anthropic, []).build();
    let (_, headers, body) = ask(&sandbox, unknown("/v1/messages", "x-api-key", "no")).await;
    assert_eq!(body["error"]["type"], "authentication_error");
    assert_eq!(headers["x-should-retry"], "false");

    let sandbox = org_a(Dialect::Gemini, []).build();
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let (status, _, body) = ask(&sandbox, unknown(path, "x-goog-api-key", "no")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "Gemini has no 401 for a wrong key");
    assert_eq!(body["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let path = "/v1beta/openai/chat/completions";
    let (_, _, body) = ask(&sandbox, unknown(path, "authorization", "Bearer no")).await;
    assert_eq!(body[0]["error"]["status"], "INVALID_ARGUMENT", "in an array on this path");
}

#[tokio::test]
async fn each_response_names_the_key_of_its_request() {
    let sandbox = org_a(Dialect::OpenAi, []).account("org-b", [], ["sk-sandbox-b1"]).build();
    for (secret, id) in
        [("sk-sandbox-a1", "org-a-1"), ("sk-sandbox-a2", "org-a-2"), ("sk-sandbox-b1", "org-b-1")]
    {
        let (_, headers, _) = ask(&sandbox, chat(secret)).await;
        assert_eq!(headers["x-sandbox-key"], id);
    }
    sandbox.fail(Fault::revoke("sk-sandbox-b1"));
    let (status, headers, _) = ask(&sandbox, chat("sk-sandbox-b1")).await;
    assert_eq!((status.as_u16(), &headers["x-sandbox-key"]), (401, &"org-b-1".parse().unwrap()));
}

#[tokio::test]
async fn an_account_named_twice_is_one_account() {
    let sandbox = Sandbox::builder(Dialect::OpenAi)
        .account("org-a", [], ["sk-1"])
        .account("org-b", [], ["sk-1", "sk-2"])
        .account("org-a", [], ["sk-3"])
        .build();
    let mut ids = Vec::new();
    for secret in ["sk-1", "sk-2", "sk-3"] {
        ids.push(ask(&sandbox, chat(secret)).await.1["x-sandbox-key"].clone());
    }
    assert_eq!(ids, ["org-a-1", "org-b-2", "org-a-2"]);
}

#[tokio::test]
async fn no_output_shows_a_secret() {
    let builder = org_a(Dialect::OpenAi, []);
    let mut output = format!("{builder:?}");
    let sandbox = builder.build();
    let faults = [
        Fault::revoke("sk-sandbox-a1"),
        Fault::forbid_model("sk-sandbox-a1", "gpt-4o"),
        Fault::forbid_path("sk-sandbox-a1", "/responses"),
        Fault::restore("sk-sandbox-a1"),
    ];
    output += &format!("{faults:?}");
    for fault in faults {
        sandbox.fail(fault);
    }
    for request in [chat("sk-sandbox-a1"), chat("sk-sandbox-wrong")] {
        let (_, headers, body) = ask(&sandbox, request).await;
        output += &format!("{headers:?} {body}");
    }
    output += &format!("{sandbox:?} {:?} {:?}", sandbox.stats(), sandbox.arrivals("org-a"));
    assert!(output.contains("org-a"));
    assert!(!output.contains("sk-sandbox"), "{output}");
}
